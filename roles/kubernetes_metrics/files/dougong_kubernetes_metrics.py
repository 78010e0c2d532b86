#!/usr/bin/python3
"""What the components of Kubernetes on a host say of themselves, boiled down to what is watched.

The API server alone tells megabytes, to whoever has a name in the cluster. Here that name stays with one program, and a
monitoring without any rights reads a few numbers: a JSON file for each component, with `at` (seconds since the epoch),
`answers` (1 or 0), and the sums below.
"""

from __future__ import annotations

import argparse
import http.client
import json
import re
import ssl
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

# An API server of a large cluster takes seconds to write down all that it knows.
TIMEOUT_SECONDS = 10
DNS_PORT = 9153
DNS_PODS = "/api/v1/namespaces/kube-system/pods"
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True)
class Sum:
    """The samples of one metric, added up.

    Attributes:
        metric: its name.
        labels: label → regular expression that its whole value must match.
    """

    metric: str
    labels: Mapping[str, str] = field(default_factory=dict)


# A watch lasts as long as somebody listens.
_REQUESTS = {"verb": "(?!WATCH|CONNECT).*"}
KUBELET = {
    "pods": Sum("kubelet_running_pods"),
    "runtime_operations": Sum("kubelet_runtime_operations_total"),
    "runtime_errors": Sum("kubelet_runtime_operations_errors_total"),
    "evictions": Sum("kubelet_evictions"),
}
VOLUMES = {
    "used": "kubelet_volume_stats_used_bytes",
    "capacity": "kubelet_volume_stats_capacity_bytes",
}
CONTAINERD = {
    # Twice "total": one is containerd's, the other its library's.
    "network_errors": Sum("containerd_cri_network_plugin_operations_errors_total_total"),
    "pulls": Sum("containerd_cri_sandboxed_image_pulls_total"),
    "failed_pulls": Sum("containerd_cri_sandboxed_image_pulls_total", {"status": "failure"}),
}
FELIX = {
    "endpoints": Sum("felix_active_local_endpoints"),
    "failures": Sum("felix_int_dataplane_failures"),
    "rule_errors": Sum("felix_iptables_restore_errors"),
    "set_errors": Sum("felix_ipset_errors"),
}
DNS = {
    "answers_given": Sum("coredns_dns_responses_total"),
    "server_failures": Sum("coredns_dns_responses_total", {"rcode": "SERVFAIL"}),
    "panics": Sum("coredns_panics_total"),
}
ETCD = {
    "leader": Sum("etcd_server_has_leader"),
    "leader_changes": Sum("etcd_server_leader_changes_seen_total"),
    "size": Sum("etcd_mvcc_db_total_size_in_bytes"),
    "size_limit": Sum("etcd_server_quota_backend_bytes"),
    "writes": Sum("etcd_disk_wal_fsync_duration_seconds_count"),
    "write_seconds": Sum("etcd_disk_wal_fsync_duration_seconds_sum"),
}
API_SERVER = {
    "requests": Sum("apiserver_request_total"),
    "server_errors": Sum("apiserver_request_total", {"code": "5.."}),
    "refused": Sum("apiserver_flowcontrol_rejected_requests_total"),
    "in_flight": Sum("apiserver_current_inflight_requests"),
    "timed": Sum("apiserver_request_duration_seconds_count", _REQUESTS),
    "seconds": Sum("apiserver_request_duration_seconds_sum", _REQUESTS),
}
CONTROLLER_MANAGER = {
    # The one that leads knows; the others say nothing of it.
    "nodes": Sum("node_collector_zone_size"),
    "nodes_not_ready": Sum("node_collector_unhealthy_nodes_in_zone"),
    "waiting": Sum("workqueue_depth"),
}
SCHEDULER = {
    "unschedulable": Sum("scheduler_pending_pods", {"queue": "unschedulable"}),
    "errors": Sum("scheduler_schedule_attempts_total", {"result": "error"}),
    "attempts": Sum("scheduler_schedule_attempts_total"),
}


class Samples:
    """Samples in Prometheus' text format.

    Args:
        lines: of it.
        names: the metrics that are wanted; of what else is told nothing is kept.
    """

    def __init__(self, lines: Iterable[str], names: Iterable[str]) -> None:
        self.found: dict[str, list[tuple[dict[str, str], float]]] = {name: [] for name in names}
        for line in lines:
            name = line.partition("{")[0].partition(" ")[0]
            if name not in self.found:
                continue
            labels, _, value = line.removeprefix(name).rpartition("}")
            self.found[name].append((dict(_LABEL.findall(labels)), float(value.split()[0])))

    def total(self, wanted: Sum) -> float:
        """The sum of the samples that match; 0 without any: a counter is told of from its first event on."""
        return sum(
            value
            for labels, value in self.found[wanted.metric]
            if all(re.fullmatch(pattern, labels.get(label, "")) for label, pattern in wanted.labels.items())
        )


def sums(lines: Iterable[str], wanted: Mapping[str, Sum]) -> dict[str, float]:
    samples = Samples(lines, {each.metric for each in wanted.values()})
    return {name: samples.total(each) for name, each in wanted.items()}


def kubelet(lines: Iterable[str]) -> dict[str, Any]:
    """What the kubelet says, and how full the volumes are that pods of this host have claimed."""
    samples = Samples(lines, {*(each.metric for each in KUBELET.values()), *VOLUMES.values()})
    claims: dict[tuple[str, str], dict[str, float]] = {}
    for name, metric in VOLUMES.items():
        for labels, value in samples.found[metric]:
            claims.setdefault((labels["namespace"], labels["persistentvolumeclaim"]), {})[name] = value
    return {
        **{name: samples.total(each) for name, each in KUBELET.items()},
        "volumes": [
            {"namespace": namespace, "claim": claim, "used_percent": round(100 * sizes["used"] / sizes["capacity"], 1)}
            for (namespace, claim), sizes in sorted(claims.items())
            if sizes.get("capacity") and "used" in sizes
        ],
    }


class Host:
    """Ways to the components of this host, and the name by which they are asked.

    Args:
        client: file with the kubelet's certificate and key.
        authority: file with the cluster's authority.
        node: name of the node.
        api_server: URL of the API, wherever that is.
    """

    def __init__(self, client: Path, authority: Path, node: str, api_server: str) -> None:
        self.client, self.node, self.api_server = client, node, api_server
        trusting = ssl.create_default_context(cafile=str(authority))
        # On the host itself, where components have certificates that nobody has signed.
        local = ssl.create_default_context()
        local.check_hostname, local.verify_mode = False, ssl.CERT_NONE
        self.openers: dict[str, urllib.request.OpenerDirector] = {}
        for name, context in {"api": trusting, "local": local}.items():
            context.load_cert_chain(client)
            self.openers[name] = urllib.request.build_opener(
                urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
            )

    def lines(self, url: str, way: str = "local") -> list[str]:
        with closing(self.openers[way].open(url, timeout=TIMEOUT_SECONDS)) as answer:
            return [line.decode() for line in answer]

    def kubelet(self) -> dict[str, Any]:
        return {
            **kubelet(self.lines("https://127.0.0.1:10250/metrics")),
            # By it the kubelet reaches the API; it renews it by itself.
            "certificate_end": certificate_end(self.client),
        }

    def containerd(self) -> dict[str, Any]:
        return sums(self.lines("http://127.0.0.1:1338/v1/metrics"), CONTAINERD)

    def felix(self) -> dict[str, Any]:
        return sums(self.lines("http://127.0.0.1:9091/metrics"), FELIX)

    def dns(self) -> dict[str, Any]:
        """CoreDNS' pods on this host together; each question to the service would reach another one."""
        # As a kubelet may: the pods of its own node. From the API server's memory.
        query = {
            "fieldSelector": f"spec.nodeName={self.node}",
            "labelSelector": "k8s-app=kube-dns",
            "resourceVersion": "0",
        }
        pods = json.loads("".join(self.lines(f"{self.api_server}{DNS_PODS}?{urllib.parse.urlencode(query)}", "api")))
        addresses = [pod["status"]["podIP"] for pod in pods["items"] if pod["status"]["phase"] == "Running"]
        lines = [line for address in addresses for line in self.lines(f"http://{address}:{DNS_PORT}/metrics")]
        return {"pods": len(addresses), **sums(lines, DNS)}

    def etcd(self) -> dict[str, Any]:
        return sums(self.lines("http://127.0.0.1:2381/metrics"), ETCD)

    def api(self, address: str) -> dict[str, Any]:
        return sums(self.lines(f"https://{address}:6443/metrics", "api"), API_SERVER)

    def controller_manager(self) -> dict[str, Any]:
        return sums(self.lines("https://127.0.0.1:10257/metrics"), CONTROLLER_MANAGER)

    def scheduler(self) -> dict[str, Any]:
        return sums(self.lines("https://127.0.0.1:10259/metrics"), SCHEDULER)


def certificate_end(file: Path) -> int:
    """When a certificate ends, in seconds since the epoch."""
    words = ["openssl", "x509", "-in", str(file), "-noout", "-enddate", "-dateopt", "iso_8601"]
    told = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    end = datetime.fromisoformat(told.strip().removeprefix("notAfter="))
    return int(end.astimezone(UTC).timestamp())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--client", type=Path, required=True, help="certificate and key of the kubelet")
    parser.add_argument("--authority", type=Path, required=True, help="certificate of the cluster's authority")
    parser.add_argument("--node", required=True, help="name of the node")
    parser.add_argument("--api-server", required=True, help="URL of the API")
    parser.add_argument("--control-plane", metavar="ADDRESS", help="address of the API server on this host")
    parser.add_argument("--into", type=Path, required=True, help="folder for the files")
    arguments = parser.parse_args()
    host = Host(arguments.client, arguments.authority, arguments.node, arguments.api_server)
    asked: dict[str, Callable[[], dict[str, Any]]] = {
        "kubelet": host.kubelet,
        "containerd": host.containerd,
        "felix": host.felix,
        "dns": host.dns,
    }
    if arguments.control_plane:
        asked |= {
            "etcd": host.etcd,
            "api-server": lambda: host.api(arguments.control_plane),
            "controller-manager": host.controller_manager,
            "scheduler": host.scheduler,
        }
    for name, ask in asked.items():
        try:
            told = {"answers": 1, **ask()}
        # The others are asked all the same; that this one does not answer is in its file, and why in the journal.
        except (OSError, ValueError, KeyError, http.client.HTTPException, subprocess.CalledProcessError) as trouble:
            print(f"{name}: {trouble}", file=sys.stderr)
            told = {"answers": 0}
        (arguments.into / f"{name}.json").write_text(json.dumps({"at": int(time.time()), **told}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
