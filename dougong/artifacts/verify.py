"""Verification of the whole cache: every byte read again, every sum compared with the lock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dougong.artifacts.cache import Cache, Entry, sha256_of
from dougong.artifacts.lock import Lock


@dataclass(frozen=True)
class Finding:
    """What was found of one artifact.

    Attributes:
        problem: empty when it is as it should be.
    """

    entry: Entry
    problem: str = ""


def verify(cache: Cache, lock: Lock) -> Iterator[Finding]:
    """Check everything in the cache, one after another."""
    for entry in cache.entries():
        yield Finding(entry, _problem(entry, cache, lock))


def _problem(entry: Entry, cache: Cache, lock: Lock) -> str:
    blob = cache.blob(entry.sha256)
    if not blob.exists():
        return "the content is missing"
    actual = sha256_of(blob)
    if actual != entry.sha256:
        return f"the content has {actual}, expected {entry.sha256}"
    if entry.origin == "local":
        return ""
    known = lock.get(f"{entry.name}@{entry.version}", entry.target, entry.origin, entry.definition)
    # None: made by a recipe that has changed since; it is not used any more.
    if known not in (None, entry.sha256):
        return f"{lock.path.name} has {known}, the cache {entry.sha256}"
    return ""
