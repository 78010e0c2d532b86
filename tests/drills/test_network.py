"""A pod network without encapsulation: routers outside learn by BGP where pods are, and it is measured."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dougong import runs
from dougong.bench import cli, network
from dougong.bench.network import BASE, Measurement
from tests.cluster_probe import eventually
from tests.drills.conftest import Scenario
from tests.drills.harness import Cluster

ROUTER, WORKER = "molecule-check-router-0", "molecule-check-worker-0"


@pytest.fixture(scope="module")
def cluster(scenario: Scenario) -> Cluster:
    return scenario("inspection")


def dns(cluster: Cluster) -> list[dict[str, Any]]:
    """The pods of the cluster's DNS: pods with addresses of their own that are in every cluster."""
    pods = cluster.kubernetes("get", "pods", "--namespace=kube-system", "--selector=k8s-app=kube-dns")["items"]
    assert pods
    return list(pods)


def test_a_router_outside_reaches_pods(cluster: Cluster) -> None:
    for pod in dns(cluster):
        address = pod["status"]["podIP"]
        assert "via 10.78.0.7" in cluster.shell(ROUTER, f"ip route get {address}")
        assert cluster.shell(ROUTER, f"curl --silent --max-time 5 http://{address}:8181/ready") == "OK"


def test_the_router_follows_the_node(cluster: Cluster) -> None:
    def routes() -> str:
        return cluster.shell(ROUTER, "ip route show proto bird")

    assert "via 10.78.0.72" in routes()
    cluster.shell(WORKER, "systemctl stop bird")
    try:
        assert eventually(lambda: "via 10.78.0.72" not in routes(), seconds=30), routes()
    finally:
        cluster.shell(WORKER, "systemctl start bird")
    assert eventually(lambda: "via 10.78.0.72" in routes(), seconds=60), routes()


def test_pods_fill_the_packets_of_the_hosts(cluster: Cluster) -> None:
    for node in {pod["spec"]["nodeName"] for pod in dns(cluster)}:
        links = json.loads(cluster.shell(node, "ip -json link show"))
        assert {link["mtu"] for link in links if link["ifname"].startswith("cali")} == {1500}


def test_every_path_is_measured_and_nothing_is_left(cluster: Cluster) -> None:
    try:
        cluster.playbook(network.PLAYBOOK)
        kubectl = network.Kubectl(cluster.variables)
        found, left_out = network.paths(kubectl)
        results = network.rounds(found, kubectl.execute, runs.current())
    finally:
        cluster.playbook(network.PLAYBOOK, network_bench_state="absent")
    data = cli.as_data(Measurement(results, left_out))
    print(json.dumps(data, indent=1))  # for whoever runs the drill to see the numbers
    assert [path["path"] for path in data["paths"]] == [
        BASE,
        "pod to pod, same node",
        "pod to pod, across nodes",
        "pod to Service, across nodes",
    ]
    assert set(left_out) == {"pod to load balancer"}
    # Any of them is slow if it takes ten times as long as between hosts; the same machine does all the work here.
    assert all(0 < path["round_trip_ratio"] < 10 and path["throughput_ratio"] > 0.1 for path in data["paths"])
    assert network.NAMESPACE not in cluster.kubectl("get", "namespaces")
