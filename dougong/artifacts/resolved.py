"""An artifact in the cache, as the other parts of Dougong see it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dougong.artifacts.cache import Cache, Entry


@dataclass(frozen=True)
class Resolved:
    """An artifact in the cache.

    Attributes:
        kind: binary, archive, manifest, image (an OCI archive) or rootfs (a tar file).
        path: the file; read-only, shared.
        sha256: of the file.
        reference, digest: an image's name and manifest digest (`sha256:…`).
    """

    name: str
    version: str
    kind: str
    path: Path
    sha256: str
    reference: str | None = None
    digest: str | None = None


def from_entry(entry: Entry, cache: Cache) -> Resolved:
    """What the cache knows, with the path."""
    path = cache.blob(entry.sha256)
    return Resolved(entry.name, entry.version, entry.kind, path, entry.sha256, entry.reference, entry.digest)
