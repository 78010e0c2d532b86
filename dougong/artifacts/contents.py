"""What is inside a file: the Go modules of a binary, the Debian packages of a root filesystem, both of an image."""

from __future__ import annotations

import gzip
import json
import mmap
import stat
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import zstandard

# The linker writes this before the build information, at an address divisible by 16 (Go's debug/buildinfo).
_MAGIC = b"\xff Go buildinf:"
_ALIGNMENT = 16
_HEADER = 32
_INLINE_STRINGS = 2  # flag since Go 1.18
_SENTINEL = 16  # bytes around the module list


BinaryStream = IO[bytes] | gzip.GzipFile | zstandard.ZstdDecompressionReader


@dataclass(frozen=True, order=True)
class GoModule:
    """A module linked into a binary."""

    path: str
    version: str


@dataclass(frozen=True, order=True)
class DebianPackage:
    """An installed package."""

    name: str
    version: str
    architecture: str


@dataclass
class Contents:
    """What was found."""

    modules: set[GoModule] = field(default_factory=set)
    packages: set[DebianPackage] = field(default_factory=set)


def _string(data: mmap.mmap, position: int) -> tuple[bytes, int]:
    """A string with its length before it as a varint: (string, position behind it)."""
    length = shift = 0
    while True:
        byte = data[position]
        position += 1
        length |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return data[position : position + length], position + length


def go_modules(binary: Path) -> set[GoModule]:
    """The modules a Go binary was linked from, the standard library among them; empty if it is no Go binary."""
    if binary.stat().st_size < _HEADER:
        return set()
    with binary.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        position = data.find(_MAGIC)
        while position >= 0 and (position % _ALIGNMENT or not data[position + len(_MAGIC) + 1] & _INLINE_STRINGS):
            position = data.find(_MAGIC, position + 1)
        if position < 0:
            return set()
        version, behind = _string(data, position + _HEADER)
        information, _ = _string(data, behind)
    modules = [GoModule("stdlib", version.decode().removeprefix("go").split(" ")[0])]
    for line in information[_SENTINEL:-_SENTINEL].decode().splitlines():
        match line.split("\t"):
            case ["dep" | "mod", path, number, *_]:
                modules.append(GoModule(path, number))
            case ["=>", path, number, *_]:
                modules[-1] = GoModule(path, number)
    return set(modules)


def debian_packages(status: str) -> set[DebianPackage]:
    """The installed packages in the text of a dpkg status file."""
    found = set()
    for paragraph in status.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in paragraph.splitlines() if ": " in line and line[0] not in " \t")
        # Distroless images list packages without a status line.
        if "Package" in fields and fields.get("Status", "install ok installed").endswith(" installed"):
            found.add(DebianPackage(fields["Package"], fields["Version"], fields.get("Architecture", "all")))
    return found


def _tar(stream: BinaryStream, contents: Contents) -> None:
    """Look through a tar stream for dpkg's records and programs."""
    with tarfile.open(fileobj=stream, mode="r|*") as tar, tempfile.TemporaryDirectory() as folder:
        for info in tar:
            name = info.name.removeprefix("./")
            file = tar.extractfile(info) if info.isfile() else None
            if file is None:
                continue
            if name == "var/lib/dpkg/status" or name.startswith("var/lib/dpkg/status.d/"):
                contents.packages |= debian_packages(file.read().decode())
            elif info.mode & stat.S_IXUSR:
                head = file.read(4)
                if head == b"\x7fELF":
                    program = Path(folder) / "program"
                    with program.open("wb") as target:
                        target.write(head)
                        while chunk := file.read(1 << 20):
                            target.write(chunk)
                    contents.modules |= go_modules(program)


def _layers(archive: Path) -> Iterator[BinaryStream]:
    """The layers of an OCI archive, uncompressed."""
    with tarfile.open(archive) as tar:

        def blob(digest: str) -> IO[bytes]:
            file = tar.extractfile(f"blobs/{digest.replace(':', '/')}")
            if file is None:
                raise KeyError(digest)
            return file

        index = tar.extractfile("index.json")
        if index is None:
            raise KeyError("index.json")
        manifest = json.load(blob(json.load(index)["manifests"][0]["digest"]))
        for layer in manifest["layers"]:
            packed = blob(layer["digest"])
            if layer["mediaType"].endswith("zstd"):
                yield zstandard.ZstdDecompressor().stream_reader(packed)
            elif layer["mediaType"].endswith("gzip"):
                yield gzip.GzipFile(fileobj=packed)
            else:
                yield packed


def inspect(path: Path, kind: str) -> Contents:
    """What an artifact consists of.

    Args:
        path: its file.
        kind: its kind in the catalogue.
    """
    contents = Contents()
    match kind:
        case "binary":
            contents.modules |= go_modules(path)
        case "archive" | "rootfs":
            with path.open("rb") as file:
                _tar(file, contents)
        case "image":
            for layer in _layers(path):
                _tar(layer, contents)
    return contents
