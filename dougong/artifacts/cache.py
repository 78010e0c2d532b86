"""The content-addressed cache below ~/.cache/dougong/artifacts.

blobs/<sha256>                  the content, read-only
index/<name>/<version>/<os-arch>.json   which content an artifact is, and where it came from
locks/ tmp/ partial/            one writer per unit of work; unfinished work; interrupted downloads
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from dougong import paths
from dougong.artifacts.catalogue import Artifact
from dougong.errors import DougongError

# Seconds after which unfinished work belongs to a process that was killed: no build takes a day.
_ABANDONED = 86_400


@dataclass(frozen=True)
class Entry:
    """What the cache knows about one artifact.

    Attributes:
        origin: see dougong.artifacts.lock; `local` for what was made of Debian packages or assembled here.
        definition: digest of catalogue entry and recipe it was built by; "" for official files.
        built_version: the version the build yielded where it is not the official one.
        reference, digest: name and manifest digest of an image.
        modified: nanoseconds; a blob whose size and time are these need not be read again to be trusted.
    """

    name: str
    version: str
    kind: str
    target: str
    sha256: str
    size: int
    origin: str
    definition: str = ""
    reference: str | None = None
    digest: str | None = None
    modified: int = 0
    built_version: str | None = None


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Cache:
    """The cache.

    Args:
        root: its folder; made when needed.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or paths.cache() / "artifacts"

    def blob(self, sha256: str) -> Path:
        return self.root / "blobs" / sha256

    def _index(self, name: str, version: str, target: str) -> Path:
        return self.root / "index" / name / version / f"{target.replace('/', '-')}.json"

    def partial(self, name: str) -> Path:
        """Where a download is continued; it survives an interruption."""
        folder = self.root / "partial"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / hashlib.sha256(name.encode()).hexdigest()

    @contextmanager
    def workspace(self) -> Iterator[Path]:
        """A folder on the cache's file system that is gone afterwards, whatever happens."""
        parent = self.root / "tmp"
        parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=parent) as folder:
            yield Path(folder)

    @contextmanager
    def exclusive(self, unit: str) -> Iterator[None]:
        """Only one process at a time works on a unit (an artifact, a recipe); the others wait."""
        folder = self.root / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / unit).open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def entries(self) -> Iterator[Entry]:
        """All artifacts that are there, of all versions and platforms."""
        for file in sorted((self.root / "index").glob("*/*/*.json")):
            yield Entry(**json.loads(file.read_text()))

    def get(self, artifact: Artifact, target: str, definition: str) -> Entry | None:
        """The artifact's entry if its content is there, intact, and made by the present definition.

        Content is read only if its size or modification time changed since it was stored.

        Raises:
            DougongError: the content was altered; it has been removed.
        """
        file = self._index(artifact.name, artifact.version, target)
        if not file.exists():
            return None
        entry = Entry(**json.loads(file.read_text()))
        blob = self.blob(entry.sha256)
        if not blob.exists() or (entry.definition and entry.definition != definition):
            return None
        stat = blob.stat()
        if (stat.st_size, stat.st_mtime_ns) == (entry.size, entry.modified):
            return entry
        actual = sha256_of(blob)
        if actual != entry.sha256:
            blob.unlink()
            file.unlink()
            raise DougongError(
                f"{blob} (cached {artifact.name}) was altered: it has {actual}; it has been removed",
                f"dougong artifacts fetch {artifact.name}",
            )
        entry = replace(entry, modified=stat.st_mtime_ns)
        self._write(file, entry)
        return entry

    def put(self, content: Path, entry: Entry) -> Entry:
        """Move a finished file into the cache; its sum must be `entry.sha256` already."""
        blob = self.blob(entry.sha256)
        blob.parent.mkdir(parents=True, exist_ok=True)
        content.chmod(0o555 if entry.kind == "binary" else 0o444)
        with self.exclusive("cache"):  # against a prune between the two
            content.replace(blob)
            stat = blob.stat()
            entry = replace(entry, size=stat.st_size, modified=stat.st_mtime_ns)
            self._write(self._index(entry.name, entry.version, entry.target), entry)
        return entry

    def _write(self, file: Path, entry: Entry) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=file.parent, suffix=".new", delete=False) as new:
            json.dump(asdict(entry), new, indent=1)
        Path(new.name).replace(file)

    def prune(self) -> int:
        """Remove content that no artifact points to, and what killed processes left.

        Returns:
            bytes freed.
        """
        freed = 0
        with self.exclusive("cache"):
            used = {e.sha256 for e in self.entries()}
            for blob in (self.root / "blobs").glob("*"):
                if blob.name not in used:
                    freed += blob.stat().st_size
                    blob.unlink()
        for leftover in [*(self.root / "partial").glob("*"), *(self.root / "tmp").glob("*")]:
            if time.time() - leftover.stat().st_mtime > _ABANDONED:
                freed += leftover.stat().st_size
                shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
        return freed
