"""The drill of an upgrade: 1.35.8 → 1.36.3 under load, killed in the middle, begun again; no request is lost."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from dougong.artifacts import catalogue
from dougong.upgrade import installed, plan
from tests.drills.conftest import Scenario
from tests.drills.harness import Cluster, have_kubernetes
from tests.drills.load import load

BEFORE, AFTER = "1.35.8", "1.36.3"
PLAYBOOK = "playbooks/upgrade.yml"
CONTROL_PLANE = "molecule-upgrade-control-plane-0"
WORKERS = ("molecule-upgrade-worker-0", "molecule-upgrade-worker-1")
BALANCER = "10.78.0.26"
RATE = 200
_RECAP = re.compile(r"^(\S+) .*?changed=(\d+) .*?failed=(\d+)", re.MULTILINE)


@pytest.fixture(scope="module")
def cluster(scenario: Scenario) -> Iterator[Cluster]:
    have_kubernetes(BEFORE, AFTER)
    yield scenario("upgrade")


def versions(cluster: Cluster) -> dict[str, str]:
    """The kubelets' versions, by node."""
    nodes = cluster.kubernetes("get", "nodes")["items"]
    return {node["metadata"]["name"]: node["status"]["nodeInfo"]["kubeletVersion"] for node in nodes}


def cordoned(cluster: Cluster) -> set[str]:
    """Nodes that take no pods."""
    nodes = cluster.kubernetes("get", "nodes")["items"]
    return {node["metadata"]["name"] for node in nodes if node["spec"].get("unschedulable")}


def planned(cluster: Cluster) -> plan.Plan:
    """The plan for the cluster as it is."""
    return plan.make(installed.read(cluster.kubeconfig, datetime.now(UTC)), AFTER)


def recap(printed: str) -> dict[str, tuple[int, int]]:
    """(changed, failed) of each host in what Ansible printed."""
    return {host: (int(changed), int(failed)) for host, changed, failed in _RECAP.findall(printed)}


def kill_at(process: subprocess.Popen[str], play: str, task: str) -> str:
    """Let a playbook run until a task of a play begins, kill it there, and give what it printed.

    Fails when the playbook ends before that.
    """
    lines: list[str] = []
    present = ""
    for line in process.stdout or ():
        lines.append(line)
        present = line if line.startswith("PLAY [") else present
        if play in present and line.startswith("TASK [") and task in line:
            os.killpg(process.pid, signal.SIGKILL)
            break
    process.wait()
    printed = "".join(lines)
    assert process.returncode == -signal.SIGKILL, printed
    return printed


def test_upgrade_under_load_survives_a_kill(cluster: Cluster) -> None:
    assert set(versions(cluster).values()) == {f"v{BEFORE}"}
    # A person has set a node aside: that is none of the upgrade's business.
    cluster.kubectl("cordon", CONTROL_PLANE)
    before = planned(cluster)
    assert before.hops == (AFTER,)
    assert (before.control_planes, before.workers) == ((CONTROL_PLANE,), WORKERS)
    assert before.errors == ()
    with load(BALANCER, 80, RATE) as result:
        began = time.monotonic()
        printed = kill_at(cluster.start_playbook(PLAYBOOK, kubernetes_version=AFTER), "Workers", "Pods leave the node")
        killed = time.monotonic()
        assert versions(cluster) == {CONTROL_PLANE: f"v{AFTER}", **dict.fromkeys(WORKERS, f"v{BEFORE}")}, printed
        assert WORKERS[0] in cordoned(cluster)
        assert planned(cluster).workers == WORKERS
        printed = cluster.playbook(PLAYBOOK, kubernetes_version=AFTER)
        ended = time.monotonic()
    print(f"until the kill {killed - began:.0f} s, from there {ended - killed:.0f} s; {result}")
    assert set(versions(cluster).values()) == {f"v{AFTER}"}, printed
    assert cordoned(cluster) == {CONTROL_PLANE}
    assert not result.lost, str(result)
    assert result.answered == result.sent
    assert result.rate > RATE * 0.95, str(result)


def test_components_are_those_of_the_version(cluster: Cluster) -> None:
    images = {
        container["image"]
        for pod in cluster.kubernetes("get", "pods", "-n", "kube-system")["items"]
        for container in pod["spec"]["containers"]
    }
    known = catalogue.default()
    for name in ("etcd-image", "kube-apiserver-image", "kube-proxy-image", "coredns-image"):
        wanted = known.member(f"kubernetes@{AFTER}", name)
        assert isinstance(wanted, catalogue.Image)
        assert wanted.reference in images


def test_snapshot_of_before_can_be_read(cluster: Cluster) -> None:
    path = f"/var/lib/dougong/etcd/before-{AFTER}.db"
    # bbolt's magic number, little-endian, behind the header of the first page.
    assert cluster.shell(CONTROL_PLANE, f"od -A n -t x4 -j 16 -N 4 {path}").split() == ["ed0cdaed"]


def test_third_run_changes_nothing(cluster: Cluster) -> None:
    assert planned(cluster).hops == ()
    hosts = recap(cluster.playbook(PLAYBOOK, kubernetes_version=AFTER))
    assert hosts.keys() >= {CONTROL_PLANE, *WORKERS}
    assert set(hosts.values()) == {(0, 0)}


def test_budget_that_allows_nothing_is_said_beforehand_and_stops_the_drain(cluster: Cluster) -> None:
    cluster.kubectl("patch", "pdb", "-n", "demo", "demo", "--type=merge", "-p", '{"spec":{"maxUnavailable":0}}')
    cluster.kubectl("annotate", "node", WORKERS[0], f"{installed.SET_ASIDE}=drill")
    said = planned(cluster)
    assert any("PodDisruptionBudget demo/demo allows no eviction" in finding.what for finding in said.errors)
    printed = cluster.playbook(PLAYBOOK, expect=2, kubernetes_version=AFTER, kubernetes_drain_minutes=1)
    assert "did not come through" in printed
    assert "To go on: mend what is said above" in printed
