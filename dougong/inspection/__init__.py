"""The deep inspection of an installation: playbooks/check.yml collects evidence, this package judges it.

Evidence is data in a file; judging is pure, so every judgement is tested with recorded evidence, healthy and broken,
and an inspection can be judged again later or elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from dougong.inspection.areas import (
    backups,
    certificates,
    control_plane,
    dns,
    etcd,
    hosts,
    network,
    nodes,
    runtime,
    storage,
    versions,
)
from dougong.inspection.evidence import Evidence
from dougong.inspection.finding import Finding, Severity, alarming

__all__ = ["Area", "Finding", "Severity", "alarming", "inspect"]


@dataclass(frozen=True)
class Area:
    """One area with what was found.

    Attributes:
        name: as in Finding.area.
        seen: in a few words, what was looked at.
        findings: what is not as it should be, the worst first.
    """

    name: str
    seen: str
    findings: list[Finding]


_AREAS: dict[str, tuple[Callable[[Evidence], Iterator[Finding]], Callable[[Evidence], str]]] = {
    "hosts": (hosts.judge, hosts.seen),
    "runtime": (runtime.judge, runtime.seen),
    "etcd": (etcd.judge, etcd.seen),
    "control plane": (control_plane.judge, control_plane.seen),
    "nodes": (nodes.judge, nodes.seen),
    "network": (network.judge, network.seen),
    "DNS": (dns.judge, dns.seen),
    "storage": (storage.judge, storage.seen),
    "certificates": (certificates.judge, certificates.seen),
    "backups": (backups.judge, backups.seen),
    "versions": (versions.judge, versions.seen),
}
_RANK = {severity: rank for rank, severity in enumerate(Severity)}


def area(name: str, seen: str, findings: Iterator[Finding]) -> Area:
    """An area, its findings in order."""
    named = (replace(finding, area=name) for finding in findings)
    return Area(name, seen, sorted(named, key=lambda finding: _RANK[finding.severity]))


def inspect(evidence: Evidence) -> list[Area]:
    """Judge everything that was seen on the hosts and in the cluster."""
    return [area(name, seen(evidence), judge(evidence)) for name, (judge, seen) in _AREAS.items()]
