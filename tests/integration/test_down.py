"""`dougong down` leaves nothing: not in the project, not on this machine."""

from __future__ import annotations

import subprocess

import pytest

from dougong import cloud, cluster_made, paths
from tests.cluster_probe import eventually
from tests.integration.harness import ENVIRONMENT, KEEP, CommandLine, Installation, Machine
from tests.integration.shop import Shop

pytestmark = pytest.mark.skipif(KEEP, reason="DOUGONG_TEST_KEEP: the lab stays")


def test_the_cluster_has_made_things_that_no_stack_knows_of(shop: Shop, installation: Installation) -> None:
    """Else the next test would prove less than it says."""
    assert eventually(lambda: shop.address() is not None, 120)
    made = cluster_made.find(cloud.connect(installation.platform), installation.platform.name)
    assert made.load_balancers
    assert made.floating_ips
    assert made.security_groups
    assert made.volumes


def test_the_project_is_empty(dougong: CommandLine, installation: Installation) -> None:
    dougong("down", "--yes", "--keep-lab")
    assert cloud.remaining(installation.platform) == []
    assert not paths.kubeconfig(ENVIRONMENT).exists()


def test_what_the_cloud_lists_again_is_removed_again(dougong: CommandLine, installation: Installation) -> None:
    """What a late word on a member's health does to a deleted load balancer, done by hand: it cannot be ordered."""
    revive = (
        "UPDATE octavia.load_balancer SET provisioning_status = 'ACTIVE'"
        " WHERE name = 'lab-apps' AND provisioning_status = 'DELETED' LIMIT 1"
    )
    subprocess.run(["podman", "exec", "dougong-lab", "mariadb", f"--execute={revive}"], check=True)
    assert [kind for kind, _, _ in cloud.remaining(installation.platform)] == ["load balancer"]
    dougong("down", "--yes", "--keep-lab")
    assert cloud.remaining(installation.platform) == []


def test_the_machine_is_as_it_was(dougong: CommandLine, machine: Machine, installation: Installation) -> None:
    dougong("down", "--yes")
    assert Machine.now().more_than(machine) == {}


def test_nothing_to_remove_is_no_error(dougong: CommandLine, machine: Machine) -> None:
    dougong("down", "--yes")
