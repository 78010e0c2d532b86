"""Container images as OCI archives, assembled here from files or pulled from a registry.

The archive is an OCI image layout in a tar file. Layers are zstd-compressed; times and owners are zero, so the same
parts give the same digest. The name is annotated the way containerd's import reads it.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import shutil
import subprocess
import tarfile
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any

import zstandard

from dougong.artifacts.catalogue import ImageConfig
from dougong.artifacts.download import UnavailableError

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+zstd"
INDEX = "application/vnd.oci.image.index.v1+json"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
EPOCH = "1970-01-01T00:00:00Z"
# zstd level: 9 packs Go binaries 10 % tighter than 3 and still runs at disk speed; beyond it time grows, not the gain.
_LEVEL = 9
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Layer:
    """A compressed layer.

    Attributes:
        path: the blob.
        digest, size: of the blob.
        diff_id: digest of the uncompressed tar.
    """

    path: Path
    digest: str
    size: int
    diff_id: str


@dataclass
class Content:
    """What one layer holds: path in the image → what."""

    files: dict[str, tuple[Path, int]] = field(default_factory=dict)  # source, mode
    texts: dict[str, tuple[str, int]] = field(default_factory=dict)
    directories: dict[str, int] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)


def _hex(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _info(name: str, kind: bytes = tarfile.REGTYPE, mode: int = 0o644) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.mode = kind, mode
    return info


def write_tar(content: Content, output: Path) -> None:
    """A tar of the content: sorted, owned by root, without times."""
    modes = {path.strip("/"): mode for path, mode in content.directories.items()}
    for path in (*content.files, *content.texts, *content.links):
        for parent in PurePosixPath(path.strip("/")).parents:
            if str(parent) != ".":
                modes.setdefault(str(parent), 0o755)
    with tarfile.open(output, "w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(modes):
            tar.addfile(_info(path, tarfile.DIRTYPE, modes[path]))
        for path in sorted((*content.files, *content.texts, *content.links)):
            name = path.strip("/")
            if path in content.files:
                source, mode = content.files[path]
                info = _info(name, mode=mode)
                info.size = source.stat().st_size
                with source.open("rb") as file:
                    tar.addfile(info, file)
            elif path in content.texts:
                text, mode = content.texts[path]
                info = _info(name, mode=mode)
                info.size = len(text.encode())
                tar.addfile(info, io.BytesIO(text.encode()))
            else:
                info = _info(name, tarfile.SYMTYPE, 0o777)
                info.linkname = content.links[path]
                tar.addfile(info)


def compress(tar: Path, folder: Path) -> Layer:
    """Make a layer of a tar file.

    Args:
        tar: the uncompressed layer.
        folder: where the blob goes.
    """
    diff_id, digest = hashlib.sha256(), hashlib.sha256()
    unnamed = folder / f"{tar.name}.zst"
    # Every core compresses: zstd's frames do not depend on how many threads made them, as long as there are any.
    compressor = zstandard.ZstdCompressor(level=_LEVEL, threads=-1, write_checksum=True).compressobj()
    with tar.open("rb") as source, unnamed.open("wb") as target:
        while chunk := source.read(_CHUNK):
            diff_id.update(chunk)
            packed = compressor.compress(chunk)
            digest.update(packed)
            target.write(packed)
        packed = compressor.flush()
        digest.update(packed)
        target.write(packed)
    path = unnamed.rename(folder / digest.hexdigest())
    return Layer(path, digest.hexdigest(), path.stat().st_size, diff_id.hexdigest())


def assemble(reference: str, target: str, layers: list[Layer], config: ImageConfig, output: Path) -> str:
    """Write an image as an OCI archive.

    Args:
        reference: its full name with tag.
        target: `linux/amd64`.
        layers: lowest first.
        config: the process.
        output: the archive.

    Returns:
        the digest of the manifest, `sha256:…`, by which a host's image store knows it.
    """
    system, architecture = target.split("/")
    process: dict[str, Any] = {"Env": [f"{k}={v}" for k, v in {"PATH": PATH, **config.env}.items()], "WorkingDir": "/"}
    if config.entrypoint:
        process["Entrypoint"] = config.entrypoint
    if config.cmd:
        process["Cmd"] = config.cmd
    if config.user:
        process["User"] = config.user
    configuration = _json(
        {
            "architecture": architecture,
            "os": system,
            "created": EPOCH,
            "config": process,
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer.diff_id}" for layer in layers]},
            "history": [{"created": EPOCH, "created_by": "dougong artifacts"} for _ in layers],
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": _descriptor(CONFIG, configuration),
            "layers": [
                {"mediaType": LAYER, "digest": f"sha256:{layer.digest}", "size": layer.size} for layer in layers
            ],
        }
    )
    blobs: dict[str, bytes | Path] = {_hex(configuration): configuration, _hex(manifest): manifest}
    blobs |= {layer.digest: layer.path for layer in layers}
    _archive(reference, _descriptor(MANIFEST, manifest), target, blobs, output)
    return f"sha256:{_hex(manifest)}"


def pull(reference: str, target: str, workspace: Path, output: Path) -> str:
    """Pull an image from its registry as an OCI archive, unchanged, so that its digest is upstream's.

    Args:
        reference: name with tag or digest.
        target: `linux/amd64`.
        workspace: scratch folder.
        output: the archive.

    Returns:
        the digest of the manifest for that platform.

    Raises:
        UnavailableError: no skopeo, or the registry does not give it.
    """
    if not shutil.which("skopeo"):
        raise UnavailableError(f"{reference}: skopeo is not installed", "apt-get install skopeo")
    layout = workspace / "layout"
    system, architecture = target.split("/")
    options = ["--override-os", system, "--override-arch", architecture, "--command-timeout", "15m"]
    done = subprocess.run(
        ["skopeo", *options, "copy", "--retry-times", "2", f"docker://{reference}", f"oci:{layout}:image"],
        text=True,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["skopeo failed"]
        raise UnavailableError(f"{reference}: {said[-1]}")
    [manifest] = json.loads((layout / "index.json").read_text())["manifests"]
    blobs: dict[str, bytes | Path] = {path.name: path for path in (layout / "blobs" / "sha256").iterdir()}
    descriptor = {key: manifest[key] for key in ("mediaType", "digest", "size")}
    _archive(reference, descriptor, target, blobs, output)
    return str(manifest["digest"])


def _json(data: dict[str, Any]) -> bytes:
    return json.dumps(data, sort_keys=True, separators=(",", ":")).encode()


def _descriptor(media_type: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": f"sha256:{_hex(content)}", "size": len(content)}


def _archive(
    reference: str, descriptor: dict[str, Any], target: str, blobs: dict[str, bytes | Path], output: Path
) -> None:
    system, architecture = target.split("/")
    named = {
        **descriptor,
        "platform": {"os": system, "architecture": architecture},
        "annotations": {
            "io.containerd.image.name": reference,
            "org.opencontainers.image.ref.name": reference,
        },
    }
    index = _json({"schemaVersion": 2, "mediaType": INDEX, "manifests": [named]})
    with tarfile.open(output, "w", format=tarfile.PAX_FORMAT) as tar:

        def add(name: str, content: bytes | Path) -> None:
            info = _info(name)
            info.size = len(content) if isinstance(content, bytes) else content.stat().st_size
            with _reader(content) as file:
                tar.addfile(info, file)

        add("oci-layout", _json({"imageLayoutVersion": "1.0.0"}))
        add("index.json", index)
        tar.addfile(_info("blobs", tarfile.DIRTYPE, 0o755))
        tar.addfile(_info("blobs/sha256", tarfile.DIRTYPE, 0o755))
        for digest in sorted(blobs):
            add(f"blobs/sha256/{digest}", blobs[digest])


def _reader(content: bytes | Path) -> IO[bytes]:
    return io.BytesIO(content) if isinstance(content, bytes) else content.open("rb")


def members(archive: Path, wanted: dict[str, Path]) -> dict[str, int]:
    """Extract single files of a tar archive (any compression Python reads).

    Args:
        archive: the tar file.
        wanted: member path → where it goes.

    Returns:
        member path → mode.

    Raises:
        UnavailableError: the archive lacks one.
    """
    modes: dict[str, int] = {}
    with tarfile.open(archive) as tar:
        for info in tar:
            name = info.name.removeprefix("./")
            file = tar.extractfile(info) if name in wanted and (info.isfile() or info.islnk()) else None
            if file:
                with file, wanted[name].open("wb") as target:
                    shutil.copyfileobj(file, target, _CHUNK)
                modes[name] = info.mode
            if len(modes) == len(wanted):
                return modes
    missing = ", ".join(set(wanted) - set(modes))
    raise UnavailableError(f"{archive} has no {missing}", "correct the member path in the catalogue")


def gzipped(tar: Path) -> Path:
    """Compress a tar archive reproducibly; the tar is gone afterwards."""
    output = tar.with_name(f"{tar.name}.gz")
    with tar.open("rb") as source, output.open("wb") as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as packed:
        shutil.copyfileobj(source, packed, _CHUNK)
    tar.unlink()
    return output
