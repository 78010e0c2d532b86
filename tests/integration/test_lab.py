"""The lab under an installation: a restart of its container brings OpenStack, servers and cluster back."""

from __future__ import annotations

import subprocess

import pytest
import requests

from dougong import lab
from tests.cluster_probe import eventually
from tests.integration.harness import CommandLine, Installation

# On idle cores the services are up after 40 s, servers and cluster 20 s later.
_RESTART_SECONDS = 420


@pytest.fixture(scope="module")
def restarted(installation: Installation) -> Installation:
    """The installation after its cloud was away."""
    subprocess.run(["podman", "restart", "--time=60", "dougong-lab"], check=True, capture_output=True)
    return installation


def answers(installation: Installation) -> bool:
    try:
        address = installation.outputs["apps"]["public_address"]
        return requests.get(f"http://{address}/", timeout=5).status_code == 200
    except requests.RequestException:
        return False


def test_openstack_comes_back_by_itself(restarted: Installation) -> None:
    def healthy() -> bool:
        return all(check.ok for check in lab.status())

    assert eventually(healthy, _RESTART_SECONDS), [check for check in lab.status() if not check.ok]


def test_servers_and_cluster_come_back_by_themselves(restarted: Installation) -> None:
    assert eventually(lambda: answers(restarted), _RESTART_SECONDS)
    nodes = restarted.kubernetes("get", "nodes")["items"]
    ready = {
        node["metadata"]["name"]
        for node in nodes
        for condition in node["status"]["conditions"]
        if condition["type"] == "Ready" and condition["status"] == "True"
    }
    assert ready == {host["name"] for host in restarted.outputs["hosts"] if host["role"] != "services"}


def test_volumes_are_mounted_again(restarted: Installation) -> None:
    for host in restarted.outputs["hosts"]:
        for volume in host["volumes"]:
            restarted.ssh(host["name"], f"mountpoint --quiet {volume['mount']}")


def test_another_run_of_the_lab_changes_nothing(dougong: CommandLine, restarted: Installation) -> None:
    dougong("lab", "up")
    assert "no change" in dougong.output("runs", "show", "last")
