"""DNS: each of its pods, and the service before them, answers every host."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from dougong.inspection.evidence import Evidence
from dougong.inspection.finding import Finding, critical, warning

# One question, once: a busy host may be slow by chance. A resolver asks again after 5 s.
_SLOW_MILLISECONDS = 500.0


def judge(evidence: Evidence) -> Iterator[Finding]:
    if not evidence.cluster.error and not any(s.name.startswith("pod ") for s in evidence.cluster.name_servers):
        yield critical("DNS", "CoreDNS has no pod", "kubectl -n kube-system describe deployment coredns")
    silent: dict[tuple[str, str], list[str]] = defaultdict(list)
    asked: dict[str, int] = defaultdict(int)
    for name, host in evidence.seen():
        for server in host.name_servers:
            asked[server.name] += 1
            if server.error:
                silent[(server.name, server.error)].append(name)
            elif server.milliseconds and server.milliseconds > _SLOW_MILLISECONDS:
                yield warning(
                    name,
                    f"{server.name} took {server.milliseconds:.0f} ms to answer",
                    "load on its node; kubectl -n kube-system top pods -l k8s-app=kube-dns",
                )
    for (server_name, error), hosts in silent.items():
        everywhere = len(hosts) == asked[server_name]
        shown = "no host gets an answer" if everywhere else f"no answer on {', '.join(hosts[:5])}"
        yield critical(
            server_name,
            f"{shown}: {error}",
            "kubectl -n kube-system logs -l k8s-app=kube-dns"
            if everywhere
            else "the way there is broken, not the server: see network; kube-proxy on that host",
        )


def seen(evidence: Evidence) -> str:
    answers = [server for _, host in evidence.seen() for server in host.name_servers]
    times = sorted(server.milliseconds for server in answers if server.milliseconds is not None and not server.error)
    median = f", {times[len(times) // 2]:.1f} ms" if times else ""
    return f"{len(times)} of {len(answers)} questions answered{median}"
