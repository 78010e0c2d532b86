"""etcd: every control plane is a member, one leader, no alarm, a disk that is quick enough, room in the database."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from dougong.inspection.evidence import Etcd, Evidence
from dougong.inspection.finding import Finding, critical, info, warning

_FSYNC = "etcd_disk_wal_fsync_duration_seconds"
_COMMIT = "etcd_disk_backend_commit_duration_seconds"
_QUOTA = "etcd_server_quota_backend_bytes"
# etcd's documentation ("What does the etcd warning … mean"): p99 of fsync below 10 ms, of commits below 25 ms.
_FSYNC_GOOD, _COMMIT_GOOD = 0.010, 0.025
# Half the election timeout: a leader that waits twice in a row loses its followers, and they elect another one.
_LATE = 0.5
_SIZE_WARNING, _SIZE_CRITICAL = 0.60, 0.80
# Below this much waste a defragmentation is not worth the moment in which the member stands still.
_FRAGMENTED, _FRAGMENTED_BYTES = 0.5, 256 << 20


def judge(evidence: Evidence) -> Iterator[Finding]:
    stores = {name: host.etcd for name, host in evidence.seen() if host.etcd}
    for name, store in stores.items():
        if store.error:
            yield critical(name, f"its etcd does not answer: {store.error}", "crictl ps -a --name etcd; crictl logs ID")
        else:
            yield from _member(name, store)
    answering = {name: store for name, store in stores.items() if not store.error}
    if answering:
        yield from _members(evidence.control_planes(), answering)
        leaders = {store.leader for store in answering.values()}
        if leaders & {"0", ""} or len(leaders) > 1:
            yield critical(
                "etcd", "its members do not agree on a leader", "network between control planes? see network"
            )


def _members(control_planes: list[str], stores: dict[str, Etcd]) -> Iterator[Finding]:
    members = next(iter(stores.values())).members
    names = {member.name for member in members}
    voters = [member for member in members if not member.learner]
    needed, alive = len(voters) // 2 + 1, len(stores)
    for name in sorted(set(control_planes) - names):
        yield critical(name, "is a control plane, and no member of etcd", f"dougong up, or dougong replace {name}")
    for member in members:
        shown = f"member {int(member.id):x}"
        remove = f"etcdctl member remove {int(member.id):x}, if it will not come back"
        if not member.name:
            votes = "" if member.learner else ": it counts for the quorum"
            yield critical("etcd", f"{shown} was added and has never started{votes}", remove)
        elif member.name not in control_planes:
            yield warning("etcd", f"{shown} ({member.name}) is no control plane of the inventory", remove)
        elif member.learner:
            yield info("etcd", f"{member.name} is still learning and does not vote", "wait, then: dougong check")
    if alive <= needed and alive < len(voters):
        yield critical(
            "etcd",
            f"{alive} of {len(voters)} members answer, {needed} are needed: the next loss stops the cluster",
            "bring the others back before anything else is done",
        )


def _member(name: str, store: Etcd) -> Iterator[Finding]:
    for alarm in store.alarms:
        yield critical(
            name, f"etcd has raised the alarm {alarm}", "etcdctl alarm list; after mending: etcdctl alarm disarm"
        )
    for error in store.errors:
        yield critical(name, f"etcd reports: {error}", "crictl logs of the etcd container")
    fsync, commit = (quantile(store.metrics, metric, 0.99) or 0.0 for metric in (_FSYNC, _COMMIT))
    if fsync > _FSYNC_GOOD or commit > _COMMIT_GOOD:
        make = warning if max(fsync, commit) >= _LATE else info
        good = f"99th percentiles since its start; good: {_ms(_FSYNC_GOOD)}, {_ms(_COMMIT_GOOD)}"
        yield make(
            name,
            f"etcd's disk is slow: fsync {_ms(fsync)}, commit {_ms(commit)} ({good})",
            "give etcd a volume of its own of a quicker type; nothing else may write there",
        )
    quota = store.metrics.get(_QUOTA)
    if quota and store.size / quota >= _SIZE_WARNING:
        make = critical if store.size / quota >= _SIZE_CRITICAL else warning
        yield make(
            name,
            f"etcd's database has {_mib(store.size)} of {_mib(quota)}; at the quota the cluster becomes read-only",
            "what fills it: etcdctl get / --prefix --keys-only | cut -d/ -f3 | sort | uniq -c; then etcdctl defrag",
        )
    waste = store.size - store.size_in_use
    if waste > _FRAGMENTED_BYTES and waste / store.size > _FRAGMENTED:
        yield info(
            name, f"{_mib(waste)} of {_mib(store.size)} in etcd's file are free pages", "etcdctl defrag, one by one"
        )


def quantile(metrics: Mapping[str, float], name: str, share: float) -> float | None:
    """A quantile of a Prometheus histogram, by linear interpolation in its bucket as Prometheus does it.

    Args:
        metrics: lines of the exposition, name with labels → value.
        name: of the histogram.
        share: 0.99 for the 99th percentile.

    Returns:
        None if nothing was counted; the last finite bound if it lies beyond.
    """
    bounds = sorted(
        (float(match.group(1)), value)
        for line, value in metrics.items()
        if line.startswith(f"{name}_bucket") and (match := re.search(r'le="([^"]+)"', line))
    )
    if not bounds or not bounds[-1][1]:
        return None
    rank, below, counted = share * bounds[-1][1], 0.0, 0.0
    for bound, value in bounds:
        if value >= rank:
            return below if bound == float("inf") else below + (bound - below) * (rank - counted) / (value - counted)
        below, counted = bound, value
    return below


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < 0.01 else f"{seconds * 1000:.0f} ms"


def _mib(count: float) -> str:
    return f"{count / 2**20:.0f} MiB"


def seen(evidence: Evidence) -> str:
    stores = [host.etcd for _, host in evidence.seen() if host.etcd and not host.etcd.error]
    if not stores:
        return "no member answers"
    slowest = max((q for store in stores if (q := quantile(store.metrics, _FSYNC, 0.99)) is not None), default=None)
    fsync = f"fsync p99 {_ms(slowest)}, " if slowest is not None else ""
    size = max(store.size for store in stores)
    return f"{len(stores)} of {len(stores[0].members)} members answer, {fsync}database {_mib(size)}"
