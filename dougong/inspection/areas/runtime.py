"""The container runtime: containerd answers, in one version, and does not crash."""

from __future__ import annotations

from collections.abc import Iterator

from dougong.inspection.evidence import Evidence
from dougong.inspection.finding import Finding, critical, warning

_UNIT = "containerd.service"
# systemd's counter since it was started by a person; one crash may be the kernel's doing.
_RESTARTS = 3


def judge(evidence: Evidence) -> Iterator[Finding]:
    members = {host.name for host in evidence.of_cluster()}
    for name, host in evidence.seen():
        if name not in members or not host.runtime:
            continue
        service = host.services.get(_UNIT)
        journal = "journalctl -u containerd -n 50; systemctl restart containerd"
        if service and service.state != "active":
            yield critical(name, f"containerd is {service.state}: pods run on, nothing starts or stops", journal)
        elif host.runtime.error:
            yield critical(name, f"containerd does not answer: {host.runtime.error}", journal)
        elif len(set(host.runtime.versions)) > 1:
            yield warning(
                name,
                f"containerd's daemon is not the installed version: {' and '.join(host.runtime.versions)}",
                "systemctl restart containerd (pods run on)",
            )
        if service and service.restarts >= _RESTARTS:
            yield warning(name, f"containerd has crashed {service.restarts} times", "journalctl -u containerd")
    # A kubelet that cannot ask its runtime says "Unknown": that is told above.
    versions = {node.runtime for node in evidence.cluster.nodes if not node.runtime.endswith("Unknown")}
    if len(versions) > 1:
        yield warning(
            "cluster", f"mixed container runtimes: {', '.join(sorted(versions))}", "dougong upgrade, or dougong up"
        )


def seen(evidence: Evidence) -> str:
    versions = sorted({v for _, host in evidence.seen() if host.runtime for v in host.runtime.versions})
    return f"containerd {', '.join(versions) or 'nowhere'}"
