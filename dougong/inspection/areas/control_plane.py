"""API server, scheduler and controller-manager on each control plane, and the way to each API server from each host."""

from __future__ import annotations

from collections.abc import Iterator

from dougong.inspection.evidence import Evidence
from dougong.inspection.finding import Finding, critical, warning

# A request that takes a second is felt by everything that watches.
_SLOW_SECONDS = 1.0


def judge(evidence: Evidence) -> Iterator[Finding]:
    if evidence.cluster.error:
        yield critical(
            "API",
            f"does not answer the controller: {evidence.cluster.error}",
            "load balancer or every API server? curl -k https://ENDPOINT/readyz, crictl ps on a control plane",
        )
    for name in evidence.control_planes():
        host = evidence.hosts.get(name)
        if host and not host.unreachable and host.components is None:
            yield critical(name, "is a control plane, and kubeadm has never made one of it", "dougong up")
        for component, health in ((host and host.components) or {}).items():
            if health.status != 200:
                failed = [line for line in health.text.splitlines() if line.startswith("[-]")]
                said = "; ".join(failed) or health.text.strip() or "no answer"
                yield critical(
                    name,
                    f"{component} is not healthy: {said[:300]}",
                    f"crictl ps -a --name {component}; crictl logs --tail 50 ID",
                )
    for name, host in evidence.seen():
        for server in host.api_servers:
            if not server.status:
                yield critical(
                    name,
                    f"does not reach the API server of {server.node}: {server.text}",
                    f"from there: curl -k https://{server.address}:6443/livez; security groups, guard, route",
                )
            elif server.seconds > _SLOW_SECONDS:
                yield warning(
                    name,
                    f"the API server of {server.node} took {server.seconds:.1f} s to answer",
                    f"load on {server.node}, etcd's disk: see etcd",
                )


def seen(evidence: Evidence) -> str:
    components = [c for _, host in evidence.seen() for c in (host.components or {}).values()]
    ways = [server for _, host in evidence.seen() for server in host.api_servers]
    slowest = max((server.seconds for server in ways), default=0.0)
    healthy = sum(component.status == 200 for component in components)
    way = f"the API answers from each host within {slowest * 1000:.0f} ms"
    return f"{healthy} of {len(components)} components healthy; {way}"
