"""Artifacts: every third-party file and image, fetched or built once, verified, and kept in a cache."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dougong.artifacts import catalogue
from dougong.artifacts.cache import Cache, Entry
from dougong.artifacts.progress import Event, Listener, silent
from dougong.errors import DougongError

if TYPE_CHECKING:
    from dougong.platform import Platform

__all__ = ["Event", "Listener", "Resolved", "ensure", "for_platform", "resolve"]


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


def _resolved(entry: Entry, cache: Cache) -> Resolved:
    return Resolved(
        entry.name,
        entry.version,
        entry.kind,
        cache.blob(entry.sha256),
        entry.sha256,
        entry.reference,
        entry.digest,
    )


def resolve(name: str, version: str | None = None) -> Resolved:
    """Find an artifact in the cache; nothing is fetched.

    Args:
        name: its name in the catalogue.
        version: one of the catalogue's; the newest if not given.

    Raises:
        DougongError: it is not in the catalogue, or not in the cache yet.
    """
    known = catalogue.default()
    artifact = known.get(f"{name}@{version}" if version else name)
    cache = Cache()
    entry = cache.get(artifact, catalogue.target(), known.definition(artifact))
    if entry is None:
        raise DougongError(
            f"{artifact.key} is not in the cache ({cache.root})", f"dougong artifacts fetch {artifact.key}"
        )
    return _resolved(entry, cache)


def ensure(specs: Iterable[str], progress: Listener = silent) -> list[Resolved]:
    """Have artifacts in the cache: fetch or build what is missing.

    Args:
        specs: `name` or `name@version`.
        progress: told what happens.

    Raises:
        DougongError: one cannot be had, or a checksum does not match.
    """
    # Here, not above: lookups in Ansible's forks need only the cache and should start fast.
    from dougong.artifacts.fetch import Fetcher, Settings  # noqa: PLC0415  see above
    from dougong.artifacts.lock import Lock  # noqa: PLC0415  see above

    cache = Cache()
    fetcher = Fetcher(catalogue.default(), cache, Lock(), Settings.from_environment(), progress)
    return [_resolved(entry, cache) for entry in fetcher.ensure(specs)]


def for_platform(platform: Platform) -> list[str]:
    """What one platform.yml needs, tools included, as `name` or `name@version`.

    Raises:
        DougongError: the catalogue lacks the version it asks for.
    """
    known = catalogue.default()
    sets = ["tools", "containerd", f"kubernetes@{platform.orchestrator.version}", platform.network_plugin.type]
    if platform.services.demo.enabled:
        sets.append("demo")
    return list(dict.fromkeys(name for each in sets for name in known.members(each)))
