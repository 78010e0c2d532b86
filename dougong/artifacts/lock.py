"""The lock: which sum each artifact had when it first came, by platform and origin (artifacts/catalogue.lock.yml).

Origins:
    official    what upstream publishes; `archive` is the file it was taken out of
    go1.26.8    built here by that compiler: `-trimpath` and CGO_ENABLED=0 make builds reproducible
    java17      built here by Maven and that compiler; the project's pom.xml says of what
    module      a file of a Go module, pinned by go.sum as well

The sum of a build holds for one definition (catalogue entry and recipe): when that changes, in a commit that shows it,
the sum is recorded anew. What is made of Debian packages carries no sum: it changes with every security update; its
packages are in the SBOM.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NotRequired, TypedDict

import yaml

from dougong import paths
from dougong.errors import DougongError

FILE = paths.ROOT / "artifacts" / "catalogue.lock.yml"
HEADER = (
    "# Written by `dougong artifacts`; commit it. Each sum was recorded when the file first came, and is enforced.\n"
)


class Record(TypedDict):
    """A sum, and for builds the definition it belongs to."""

    sha256: str
    definition: NotRequired[str]


Records = dict[str, dict[str, dict[str, Record]]]  # artifact → platform → origin → record


class Lock:
    """The recorded sums.

    Args:
        path: the file; it need not exist.
        guard: a file whose lock serialises writers.
    """

    def __init__(self, path: Path = FILE, guard: Path | None = None) -> None:
        self.path = path
        self.guard = guard or paths.cache() / "artifacts" / "locks" / "catalogue"

    def _read(self) -> Records:
        data: Records | None = yaml.load(self.path.read_text(), Loader=yaml.CSafeLoader) if self.path.exists() else None
        return data or {}

    @contextmanager
    def _writing(self) -> Iterator[Records]:
        self.guard.parent.mkdir(parents=True, exist_ok=True)
        with self.guard.open("w") as guard:
            fcntl.flock(guard, fcntl.LOCK_EX)
            records = self._read()
            yield records
            new = self.path.with_suffix(f".{os.getpid()}")
            new.write_text(HEADER + yaml.safe_dump(records, sort_keys=True))
            new.replace(self.path)

    def get(self, key: str, target: str, origin: str, definition: str = "") -> str | None:
        """The sum recorded for an artifact, if there is one.

        Args:
            key: `name@version`.
            definition: for builds: a record of another definition does not count.
        """
        record = self._read().get(key, {}).get(target, {}).get(origin)
        return record["sha256"] if record and record.get("definition", "") == definition else None

    def check(self, key: str, target: str, origin: str, sha256: str, *, what: str, definition: str = "") -> None:
        """Record the sum the first time; afterwards insist on it.

        Args:
            key: `name@version`.
            what: the file or address the sum is of, for the message.
            definition: of a build.

        Raises:
            DougongError: another sum is recorded.
        """
        known = self.get(key, target, origin, definition)
        if known is None:
            with self._writing() as records:
                record = Record(sha256=sha256)
                if definition:
                    record["definition"] = definition
                records.setdefault(key, {}).setdefault(target, {})[origin] = record
        elif known != sha256:
            according_to = f"{self.path.name}: {key} {target} {origin}"
            raise mismatch(what, sha256, known, according_to, _NOT_REPRODUCED if definition else _CHANGED)

    def forget(self, key: str, target: str) -> None:
        """Drop what is recorded for an artifact on one platform, after a deliberate change."""
        with self._writing() as records:
            entry = records.get(key, {})
            entry.pop(target, None)
            if not entry:
                records.pop(key, None)


_CHANGED = (
    "it was discarded. If upstream released the file anew, find out why, then record the new sum with "
    "`dougong artifacts fetch --relock NAME` and commit the lock; otherwise do not trust the source"
)
_NOT_REPRODUCED = (
    "it was discarded. The same recipe and compiler gave another result: `go mod verify` in the recipe's folder tells "
    "whether the sources are intact; to accept the new result, `dougong artifacts fetch --relock NAME`"
)


def mismatch(what: str, actual: str, expected: str, according_to: str, remedy: str = _CHANGED) -> DougongError:
    """The error for a sum that is not the expected one."""
    return DougongError(
        f"checksum mismatch: {what}\n  has      {actual}\n  expected {expected}\n  by       {according_to}", remedy
    )
