"""The cluster that `dougong up` made: its network, its volumes, and a server that is rebooted under it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import openstack
import pytest
import requests

from tests.cluster_network import PodNetwork
from tests.cluster_probe import Cluster, eventually
from tests.integration.harness import ENVIRONMENT, Installation

# A server of the lab answers again 15 s after its start on idle cores; the kubelet reports every 10 s.
_REBOOT_SECONDS = 300


@pytest.fixture(scope="module")
def cluster(api: Cluster) -> Iterator[Cluster]:
    """The cluster with a probe on every node."""
    api.start_probes()
    yield api
    api.stop_probes()


def application(installation: Installation) -> requests.Response | None:
    """What the application answers behind its load balancer; None when nobody does."""
    try:
        return requests.get(f"http://{installation.outputs['apps']['public_address']}/", timeout=5)
    except requests.RequestException:
        return None


class TestPodNetwork(PodNetwork):
    """Of the lab's cluster."""


def test_every_server_of_the_cluster_is_a_ready_node(cluster: Cluster, installation: Installation) -> None:
    servers = {host["name"] for host in installation.outputs["hosts"] if host["role"] != "services"}
    assert cluster.ready_nodes() == servers


def test_the_application_runs_on_both_workers(cluster: Cluster, installation: Installation) -> None:
    pods = cluster.get("pods", "--namespace=demo")["items"]
    workers = {host["name"] for host in installation.outputs["hosts"] if host["role"] == "worker"}
    assert {pod["spec"]["nodeName"] for pod in pods} == workers


def test_volumes_are_mounted_where_platform_yml_says(installation: Installation) -> None:
    for host in installation.outputs["hosts"]:
        for volume in host["volumes"]:
            assert (
                installation.ssh(host["name"], f"findmnt --noheadings --output FSTYPE {volume['mount']}").strip()
                == (volume["filesystem"])
            )


def test_a_rebooted_server_comes_back_with_its_volume_and_its_pods(
    cluster: Cluster, installation: Installation
) -> None:
    host = next(host for host in installation.outputs["hosts"] if host["role"] == "worker")
    volume = host["volumes"][0]
    note = f"{volume['mount']}/written-before-the-reboot"
    installation.ssh(host["name"], f"sudo touch {note}")
    before = installation.ssh(host["name"], "stat --format=%Y /run/systemd/system")

    cloud = openstack.connect(cloud=installation.platform.cloud.name)
    cloud.compute.reboot_server(host["server_id"], "SOFT")

    def rebooted() -> bool:
        probe = ["dougong", "ssh", "-e", ENVIRONMENT, host["name"], "--", "stat --format=%Y /run/systemd/system"]
        run = subprocess.run(probe, capture_output=True, text=True, check=False)
        return run.returncode == 0 and run.stdout != before

    assert eventually(rebooted, _REBOOT_SECONDS)
    assert eventually(lambda: host["name"] in cluster.ready_nodes(), _REBOOT_SECONDS)
    installation.ssh(host["name"], f"mountpoint {volume['mount']} && test -e {note} && sudo rm {note}")

    def all_pods_are_ready() -> bool:
        pods = cluster.get("pods", "--all-namespaces", f"--field-selector=spec.nodeName={host['name']}")["items"]
        return all(status["ready"] for pod in pods for status in pod["status"].get("containerStatuses", []))

    assert eventually(all_pods_are_ready, _REBOOT_SECONDS)
    answer = application(installation)
    assert answer is not None
    assert answer.status_code == 200
