"""A person at a registry: skopeo, with images made on the spot."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import subprocess
import tarfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import requests

from dougong import credentials, paths
from dougong.images import reach

STATE = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])
"""What the scenario's inventory has for a state folder."""
OCI = "application/vnd.oci.image"
# A connection that is not made in time, on a busy machine. skopeo also tries again what the registry has refused.
_RETRY = ["--retry-times", "3"]


@dataclass(frozen=True)
class Client:
    """Somebody who uses a registry.

    Attributes:
        address: host:port.
        user: whose credential is used; "" for nobody's.
        password: another than the right one.
        patient: what fails is tried again. Not where a failure is what is looked for: the second push succeeds.
    """

    address: str
    user: str = ""
    password: str = ""
    patient: bool = True

    def push(self, image: Path, name: str) -> subprocess.CompletedProcess[str]:
        """Copy an image into the registry."""
        return self._skopeo("copy", *self._retry(), *self._options("dest-"), f"oci:{image}", self._reference(name))

    def pull(self, name: str, into: Path) -> subprocess.CompletedProcess[str]:
        """Copy an image out of the registry; skopeo compares each digest."""
        return self._skopeo("copy", *self._retry(), *self._options("src-"), self._reference(name), f"oci:{into}")

    def delete(self, name: str) -> subprocess.CompletedProcess[str]:
        """Remove an image's manifest."""
        return self._skopeo("delete", *self._options(), self._reference(name))

    def digest(self, name: str) -> str:
        """The digest of an image's manifest."""
        done = self._skopeo("inspect", "--format", "{{.Digest}}", *self._options(), self._reference(name))
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def token(self, scope: str) -> requests.Response:
        """What a client asks for before it does something."""
        return requests.get(
            f"https://{self.address}/auth/token",
            params={"service": "registry", "scope": scope},
            auth=(self.user, self._secret()),
            verify=str(STATE / "certificates" / "ca.crt"),
            timeout=30,
        )

    def _retry(self) -> list[str]:
        return _RETRY if self.patient else []

    def _secret(self) -> str:
        return self.password or credentials.get(STATE, f"registry/{self.user}")

    def _reference(self, name: str) -> str:
        return f"docker://{self.address}/{name}"

    def _options(self, prefix: str = "") -> list[str]:
        folder = STATE / "trusted"
        folder.mkdir(exist_ok=True)
        # A link: others may be reading it at this moment.
        with suppress(FileExistsError):
            (folder / "authority.crt").symlink_to(STATE / "certificates" / "ca.crt")
        who = [f"--{prefix}creds={self.user}:{self._secret()}"] if self.user else [f"--{prefix}no-creds"]
        return [*who, f"--{prefix}cert-dir={folder}"]

    def _skopeo(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["skopeo", "--insecure-policy", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


def way(address: str) -> reach.Host:
    """How `dougong images` reaches the registry on one of a scenario's hosts."""
    key = paths.cache() / "molecule" / "id_ed25519"
    trusting = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]
    login = f"platform:{credentials.get(STATE, 'registry/platform')}"
    return reach.Host(["ssh", "-i", str(key), *trusting, f"debian@{address}"], login, STATE / "certificates" / "ca.crt")


def image(folder: Path, *layers: bytes | dict[str, bytes]) -> Path:
    """An image, as an OCI layout.

    Args:
        folder: where it goes; made.
        layers: contents of the files of each; a single one without a name is called content.
    """
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def blob(kind: str, content: bytes) -> dict[str, object]:
        digest = hashlib.sha256(content).hexdigest()
        (blobs / digest).write_bytes(content)
        return {"mediaType": f"{OCI}.{kind}", "digest": f"sha256:{digest}", "size": len(content)}

    archives = [_archive(layer if isinstance(layer, dict) else {"content": layer}) for layer in layers]
    config = {
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(a).hexdigest()}" for a in archives]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{OCI}.manifest.v1+json",
        "config": blob("config.v1+json", json.dumps(config).encode()),
        "layers": [blob("layer.v1.tar+gzip", gzip.compress(archive, mtime=0)) for archive in archives],
    }
    index = {"schemaVersion": 2, "manifests": [blob("manifest.v1+json", json.dumps(manifest).encode())]}
    (folder / "index.json").write_text(json.dumps(index))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return folder


def layers(folder: Path) -> list[str]:
    """Digests of an image's layers."""
    manifest = json.loads((folder / "index.json").read_text())["manifests"][0]["digest"].removeprefix("sha256:")
    return [each["digest"] for each in json.loads((folder / "blobs" / "sha256" / manifest).read_text())["layers"]]


def _archive(files: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return file.getvalue()
