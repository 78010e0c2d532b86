"""Paths between hosts and into each other's pod network: they exist, carry full packets, and are quick."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from statistics import median

from dougong.inspection.evidence import Evidence, NetworkPath
from dougong.inspection.finding import Finding, critical, warning

# Bytes that VXLAN puts before a packet: Ethernet 14, IP 20, UDP 8, VXLAN 8.
_VXLAN = 50
# In one network; more means that a path leads elsewhere, or that a machine is overloaded.
_SLOW_MILLISECONDS = 50.0
# One broken host breaks a path to each of the others: it is named once.
_MANY = 3
_WORDS = {"host": "", "pod": "pods of "}


def judge(evidence: Evidence) -> Iterator[Finding]:
    yield from _mtu(evidence)
    paths = [(name, path) for name, host in evidence.seen() for path in host.paths]
    broken = [(name, path) for name, path in paths if not path.small]
    tried = Counter((path.node, path.kind) for _, path in paths)
    failures = Counter((path.node, path.kind) for _, path in broken)
    lost = {key for key, count in failures.items() if count == tried[key] and count >= _MANY}
    for node, kind in sorted(lost):
        yield critical(
            node,
            f"{_WORDS[kind]}this host: nobody of {tried[(node, kind)]} gets an answer",
            "does it run? its port's security groups"
            if kind == "host"
            else "calico-node there: kubectl -n kube-system get pods -o wide",
        )
    for name, path in paths:
        if (path.node, path.kind) not in lost:
            yield from _path(name, path)


def _path(name: str, path: NetworkPath) -> Iterator[Finding]:
    where = f"{name} → {_WORDS[path.kind]}{path.node}"
    remedy = (
        f"security groups of both ports; from there: ping {path.address}"
        if path.kind == "host"
        else f"calico-node on both hosts; ip route get {path.address}; UDP port 4789, or allowed address pairs"
    )
    if not path.small:
        yield critical(where, f"no answer from {path.address}{f' ({path.error})' if path.error else ''}", remedy)
    elif not path.full:
        yield critical(
            where,
            f"packets of {path.bytes} bytes do not pass, small ones do{f' ({path.error})' if path.error else ''}",
            "the MTU is larger than the path: set network.mtu in platform.yml to what the cloud really carries",
        )
    elif path.milliseconds and path.milliseconds > _SLOW_MILLISECONDS:
        yield warning(where, f"takes {path.milliseconds:.1f} ms there and back", "load on the hosts; mtr between them")


def _mtu(evidence: Evidence) -> Iterator[Finding]:
    members = {host.name for host in evidence.of_cluster()}
    wrapped = _VXLAN if evidence.declared.encapsulation == "VXLAN" else 0
    for name, host in evidence.seen():
        if name not in members or host.mtu is None:
            continue
        if evidence.declared.mtu and host.mtu > evidence.declared.mtu:
            yield critical(
                name,
                f"its interface has MTU {host.mtu}, the cloud's network carries {evidence.declared.mtu}",
                "reboot it, or `networkctl renew`: DHCP tells the right one",
            )
        if host.pod_mtu and host.pod_mtu > host.mtu - wrapped:
            yield critical(
                name,
                f"pods have MTU {host.pod_mtu}, and only {host.mtu - wrapped} fits through",
                "kubectl -n kube-system rollout restart daemonset calico-node: it looks at the interfaces anew",
            )


def seen(evidence: Evidence) -> str:
    paths = [path for _, host in evidence.seen() for path in host.paths]
    if not paths:
        return "one node: no path to try"
    words = []
    for kind, what in (("host", "between hosts"), ("pod", "to pods")):
        of_kind = [path for path in paths if path.kind == kind]
        times = [path.milliseconds for path in of_kind if path.milliseconds is not None]
        if of_kind:
            sizes = sorted({path.bytes for path in of_kind})
            speed = f", {median(times):.2f} ms" if times else ""
            words.append(f"{len(times)} of {len(of_kind)} paths {what} (MTU {', '.join(map(str, sizes))}{speed})")
    return "; ".join(words)
