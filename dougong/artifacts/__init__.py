"""Artifacts: every third-party file and image, fetched or built once, verified, and kept in a cache."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from dougong.artifacts import catalogue, tools
from dougong.artifacts.cache import Cache
from dougong.artifacts.progress import Event, Listener, silent
from dougong.artifacts.resolved import Resolved, from_entry
from dougong.errors import DougongError

if TYPE_CHECKING:
    from dougong.platform import Platform

__all__ = ["Event", "Listener", "Resolved", "ensure", "for_platform", "missing", "resolve", "tools"]


def resolve(name: str, version: str | None = None, of_set: str | None = None) -> Resolved:
    """Find an artifact in the cache; nothing is fetched.

    Args:
        name: its name in the catalogue.
        version: one of the catalogue's; the newest if not given.
        of_set: a set of the catalogue, which says the version instead.

    Raises:
        DougongError: it is not in the catalogue or the set, or not in the cache yet.
    """
    known = catalogue.default()
    artifact = known.member(of_set, name) if of_set else known.get(f"{name}@{version}" if version else name)
    cache = Cache()
    entry = cache.get(artifact, catalogue.target(), known.definition(artifact))
    if entry is None:
        raise DougongError(
            f"{artifact.key} is not in the cache ({cache.root})", f"dougong artifacts fetch {artifact.key}"
        )
    return from_entry(entry, cache)


def missing(specs: Iterable[str]) -> list[str]:
    """Which artifacts a fetch would have to get.

    Args:
        specs: `name` or `name@version`.
    """
    known = catalogue.default()
    cache = Cache()
    wanted = [known.get(spec) for spec in specs]
    return [a.key for a in wanted if not cache.get(a, catalogue.target(), known.definition(a))]


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
    return [from_entry(entry, cache) for entry in fetcher.ensure(specs)]


def for_platform(platform: Platform, *, kubernetes: str | None = None) -> list[str]:
    """What one platform.yml needs, tools included, each once, as `name` or `name@version`.

    Args:
        platform: what is wanted.
        kubernetes: another version of it than platform.yml has, which an upgrade passes through.

    Raises:
        DougongError: the catalogue lacks the version it asks for.
    """
    known = catalogue.default()
    version = kubernetes or platform.orchestrator.version
    sets = ["tools", "containerd", f"kubernetes@{version}", platform.network_plugin.type]
    if platform.orchestrator.cloud_integration.enabled:
        sets += ["cloud-controller", "cinder-csi"]
    if platform.services.demo.enabled:
        sets.append("demo")
    sets += [service for service in platform.services.beside() if service in known.sets]
    if any(tenant.signed_images for tenant in platform.tenants.values()):
        sets.append("admission")
    logging = platform.services.logging
    sets += [name for name in ("kibana", "logstash") if logging.enabled and getattr(logging, name)]
    return list({known.get(name).key: name for each in sets for name in known.members(each)}.values())
