"""Nodes: every host is one, its kubelet runs and reports, nothing presses on it. And the pods that are not at work."""

from __future__ import annotations

from collections.abc import Iterator

from dougong.inspection.evidence import Evidence, Node, Pod
from dougong.inspection.finding import Finding, critical, info, warning

# kubelet renews its lease each 10 s; after 40 s the control plane calls the node NotReady.
_HEARTBEAT_WARNING, _HEARTBEAT_CRITICAL = 25.0, 40.0
# A pod may take this long to come up: images are on the hosts, volumes take a minute to be attached.
_STARTING_SECONDS = 180.0
_RESTARTS, _RECENT_SECONDS = 3, 3600.0
_PRESSURES = ("MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable")


def judge(evidence: Evidence) -> Iterator[Finding]:
    for name, host in evidence.seen():
        kubelet = host.services.get("kubelet.service")
        if kubelet and kubelet.loaded and kubelet.state != "active":
            yield critical(
                name,
                f"its kubelet is {kubelet.state}: its pods are nobody's business any more",
                "systemctl start kubelet; journalctl -u kubelet -n 50",
            )
    if evidence.cluster.error:
        return
    known = {node.name for node in evidence.cluster.nodes}
    declared = {host.name for host in evidence.of_cluster()}
    for name in sorted(declared - known):
        yield critical(name, "is a host of the cluster, and no node", "dougong up")
    for name in sorted(known - declared):
        yield warning(
            name, "is a node, and no host of the inventory", f"kubectl drain {name}; kubectl delete node {name}"
        )
    for node in evidence.cluster.nodes:
        yield from _node(node)
    for pod in evidence.cluster.pods:
        yield from _pod(pod)


def _node(node: Node) -> Iterator[Finding]:
    describe = f"kubectl describe node {node.name}"
    ready = node.conditions.get("Ready")
    if ready is None or ready.status != "True":
        yield critical(
            node.name, f"is not Ready: {(ready and ready.message) or 'its kubelet has never reported'}", describe
        )
    for pressure in _PRESSURES:
        condition = node.conditions.get(pressure)
        if condition and condition.status == "True":
            yield critical(node.name, f"{pressure}: {condition.message}", describe)
    beat = node.heartbeat_seconds
    if beat is not None and beat > _HEARTBEAT_WARNING:
        make = critical if beat > _HEARTBEAT_CRITICAL else warning
        yield make(node.name, f"its last heartbeat was {beat:.0f} s ago (one comes each 10 s)", describe)
    if node.unschedulable:
        yield info(
            node.name, "is cordoned: it gets no new pods", f"kubectl uncordon {node.name}, when its work is done"
        )


def _pod(pod: Pod) -> Iterator[Finding]:
    namespace, _, name = pod.name.partition("/")
    describe = f"kubectl -n {namespace} describe pod {name}"
    if not pod.ready and pod.age > _STARTING_SECONDS:
        make = critical if namespace == "kube-system" else warning
        where = f" on {pod.node}" if pod.node else ""
        yield make(f"pod {pod.name}", f"is not at work{where}: {pod.reason or pod.phase}", describe)
    elif pod.restarts >= _RESTARTS and (pod.restarted_seconds_ago or _RECENT_SECONDS) < _RECENT_SECONDS:
        yield warning(
            f"pod {pod.name}",
            f"was restarted {pod.restarts} times, last {pod.restarted_seconds_ago:.0f} s ago; {pod.reason}",
            f"kubectl -n {namespace} logs --previous {name}",
        )


def seen(evidence: Evidence) -> str:
    nodes, pods = evidence.cluster.nodes, evidence.cluster.pods
    ready = sum(
        node.conditions.get("Ready") is not None and node.conditions["Ready"].status == "True" for node in nodes
    )
    return (
        f"{ready} of {len(evidence.of_cluster())} Ready; {sum(pod.ready for pod in pods)} of {len(pods)} pods at work"
    )
