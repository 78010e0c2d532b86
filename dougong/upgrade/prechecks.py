"""What would go wrong, found before anything is touched: each with its remedy, all at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from packaging.version import Version

from dougong.upgrade import matrix
from dougong.upgrade.installed import Installed

FREE_BYTES = 3 * 2**30
"""Free disk that a node needs: the images of one version take 1.1 GiB unpacked, their archives 0.4 GiB in passing,
and kubeadm keeps a copy of etcd while it replaces it; the rest is for what else the node does meanwhile."""

CERTIFICATE_DAYS = 7
"""kubeadm renews leaves with the upgrade; this is what must be left to begin it with. The CA it does not renew."""

BACKUP_AGE = timedelta(days=1)
"""An upgrade takes a snapshot of etcd by itself; a backup elsewhere should be no older than a day's work."""


@dataclass(frozen=True)
class Finding:
    """Something that an upgrade would run into.

    Attributes:
        severity: an error keeps the upgrade from beginning, a warning does not.
        what: what was found, and where.
        remedy: what to do about it.
    """

    severity: Literal["error", "warning"]
    what: str
    remedy: str


@dataclass(frozen=True)
class Aim:
    """Where an upgrade leads: versions by component.

    Attributes:
        hops: versions of Kubernetes, the last one wanted.
        etcd: version that belongs to each hop.
        containerd, calico: versions of the catalogue.
    """

    hops: tuple[str, ...]
    etcd: dict[str, str]
    containerd: str
    calico: str


Check = Callable[[Installed, Aim], Iterator[Finding]]


def findings(installed: Installed, aim: Aim) -> tuple[Finding, ...]:
    """Everything that is found, errors first."""
    found = [finding for check in CHECKS for finding in check(installed, aim)]
    return tuple(sorted(found, key=lambda finding: finding.severity))


def _nodes(installed: Installed, _: Aim) -> Iterator[Finding]:
    for node in installed.nodes:
        # One that an upgrade has set aside is where that upgrade goes on.
        if node.trouble and not node.set_aside:
            yield Finding(
                "error",
                f"node {node.name} is not Ready: {node.trouble}",
                f"mend it (dougong ssh {node.name}), or take it out of the cluster by its pool's count in platform.yml",
            )


def _skew(installed: Installed, aim: Aim) -> Iterator[Finding]:
    for node in installed.nodes:
        for hop in aim.hops:
            if Version(hop).minor - Version(node.kubelet).minor > matrix.KUBELET_SKEW:
                yield Finding(
                    "error",
                    f"the kubelet of {node.name} is {node.kubelet}: an API server {hop} does not work with it",
                    f"upgrade the workers first: dougong upgrade --to {aim.hops[0]}",
                )
                break


def _budgets(installed: Installed, _: Aim) -> Iterator[Finding]:
    for budget in installed.budgets:
        if budget.allowed == 0:
            yield Finding(
                "error",
                f"PodDisruptionBudget {budget.name} allows no eviction: {budget.healthy} of {budget.pods} pods are "
                f"healthy, {budget.desired} must be",
                "a drain would wait for it in vain: more replicas, or a budget that allows one to be away",
            )


def _bare_pods(installed: Installed, _: Aim) -> Iterator[Finding]:
    if installed.bare_pods:
        yield Finding(
            "error",
            f"pods that nothing would start anew elsewhere: {', '.join(installed.bare_pods)}",
            "a drain refuses to delete them: give them a Deployment or a Job, or delete them",
        )


def _deprecated(installed: Installed, aim: Aim) -> Iterator[Finding]:
    target = Version(matrix.minor(aim.hops[-1]))
    for api in installed.deprecated:
        gone = Version(api.removed) <= target
        yield Finding(
            "error" if gone else "warning",
            f"somebody uses {api.name}, which Kubernetes {api.removed} does not have any more",
            "the audit log says who; counted since the API server's start, so restart it after you mended them"
            if gone
            else "the audit log says who; it does not hinder this upgrade",
        )


def _certificates(installed: Installed, _: Aim) -> Iterator[Finding]:
    now = datetime.now(UTC)
    for name, until in installed.certificates.items():
        days = (until - now).days
        if days < CERTIFICATE_DAYS:
            yield Finding(
                "error",
                f"{name} {'ended' if days < 0 else f'ends in {days} days'} ({until:%Y-%m-%d})",
                "dougong certificates rotate-ca" if "CA" in name else "dougong certificates renew",
            )


def _disks(installed: Installed, _: Aim) -> Iterator[Finding]:
    for node in installed.nodes:
        if node.free is not None and node.free < FREE_BYTES:
            yield Finding(
                "error",
                f"{node.name} has {node.free / 2**30:.1f} GiB of free disk, {FREE_BYTES / 2**30:.0f} are needed",
                f"dougong ssh {node.name} -- sudo du -xh --max-depth=2 /var | sort -h",
            )


def _etcd(installed: Installed, aim: Aim) -> Iterator[Finding]:
    first = Version(aim.etcd[aim.hops[0]])
    for node in installed.control_planes:
        if "etcd" not in node.static:
            continue  # an etcd of its own, which somebody else upgrades
        have = Version(node.static["etcd"])
        if have < matrix.ETCD_BEFORE_36 and first >= Version("3.6"):
            yield Finding(
                "error",
                f"etcd of {node.name} is {have}: it may not become {first} directly, members that were removed long "
                "ago can come back",
                f"first to the latest patch of {matrix.minor(node.kubelet)}, which brings etcd "
                f"{matrix.ETCD_BEFORE_36} or later",
            )


def _containerd(_: Installed, aim: Aim) -> Iterator[Finding]:
    for hop in aim.hops:
        oldest = matrix.CONTAINERD.get(matrix.minor(hop))
        if oldest and Version(aim.containerd) < oldest:
            yield Finding(
                "error",
                f"Kubernetes {hop} needs containerd {oldest} or later, the catalogue has {aim.containerd}",
                "add a later one to artifacts/catalogue.yml",
            )


def _calico(_: Installed, aim: Aim) -> Iterator[Finding]:
    line, target = matrix.minor(aim.calico), aim.hops[-1]
    upstream, here = matrix.CALICO.get(line), matrix.CALICO_HERE.get(line)
    if upstream and upstream.covers(target):
        return
    known = f"Kubernetes {upstream.first} to {upstream.last} ({upstream.source})" if upstream else "nothing we know of"
    if here and here.covers(target):
        yield Finding(
            "warning",
            f"Tigera tests Calico {aim.calico} with {known}, not with {target}; {here.source} do",
            "decide whether that is enough for you",
        )
    else:
        yield Finding(
            "error",
            f"nobody has tested Calico {aim.calico} with Kubernetes {target}; Tigera tests it with {known}",
            "a later Calico first (artifacts/catalogue.yml), or an earlier target",
        )


def _backup(installed: Installed, _: Aim) -> Iterator[Finding]:
    if installed.backup is None:
        yield Finding("warning", "there is no backup outside of the cluster", "dougong backup")
        return
    age = datetime.now(UTC) - installed.backup
    if age > BACKUP_AGE:
        yield Finding("warning", f"the last backup is {age.total_seconds() / 3600:.0f} hours old", "dougong backup")


CHECKS: tuple[Check, ...] = (
    _nodes,
    _skew,
    _budgets,
    _bare_pods,
    _deprecated,
    _certificates,
    _disks,
    _etcd,
    _containerd,
    _calico,
    _backup,
)
