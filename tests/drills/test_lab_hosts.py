"""Hosts of a cloud die, are replaced, come and go: three control planes behind Octavia on the embedded OpenStack.

A lab that is up is removed first, and this one at the end.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import yaml

from dougong import cloud, environment, inventory, paths, runs
from dougong.platform import Platform
from tests.cluster_probe import Cluster, eventually
from tests.drills.api_probe import asking
from tests.integration.harness import CommandLine, lab_of_its_own

# Its stacks' settings are ignored by git as those of every lab.
ENVIRONMENT = "lab-drill"
NAME = "lab-ha"
# A third of the connections goes to the dead one until the balancer's monitor leaves it out; each costs the client's
# patience of 2 s, and one in 81 clients meets it four times in a row.
LONGEST_GAP = 10.0


@pytest.fixture(scope="module")
def dougong() -> Iterator[CommandLine]:
    """The command line for an environment of its own, described as `lab-ha` is."""
    folder = paths.inventory(ENVIRONMENT)
    shutil.rmtree(folder, ignore_errors=True)  # of a drill that was killed
    try:
        with lab_of_its_own(ENVIRONMENT) as dougong:
            shutil.copytree(paths.inventory(NAME), folder)
            yield dougong
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # not there when the lab could not be removed
        shutil.rmtree(paths.state(ENVIRONMENT), ignore_errors=True)
        for settings in paths.ROOT.glob(f"stacks/*/Pulumi.{ENVIRONMENT}.yaml"):
            settings.unlink()


@pytest.fixture(scope="module")
def platform(dougong: CommandLine) -> Platform:
    """The installation, up."""
    dougong("up")
    return environment.platform(ENVIRONMENT)


@pytest.fixture(scope="module")
def cluster(platform: Platform) -> Cluster:
    return Cluster(paths.kubeconfig(ENVIRONMENT))


def servers(platform: Platform) -> dict[str, str]:
    """Names and identifiers of the project's servers."""
    return {server.name: server.id for server in cloud.connect(platform).compute.servers()}


def workers(count: int) -> None:
    """Change the one number in platform.yml."""
    file = paths.platform_file(ENVIRONMENT)
    document = yaml.safe_load(file.read_text())
    document["pools"]["worker"]["count"] = count
    file.write_text(yaml.safe_dump(document))


def application(platform: Platform) -> bool:
    address = inventory.read_outputs(ENVIRONMENT, platform)["apps"]["public_address"]
    return requests.get(f"http://{address}/", timeout=5).status_code == 200


def test_a_control_plane_loses_its_power_and_is_replaced_by_one_command(
    dougong: CommandLine, platform: Platform, cluster: Cluster
) -> None:
    lost = f"{NAME}-control-plane-0"  # the one that founded the cluster
    before = servers(platform)
    volumes = {volume.id for volume in cloud.connect(platform).block_storage.volumes()}
    cluster.kubectl("create", "configmap", "written-before")

    with asking(paths.kubeconfig(ENVIRONMENT)) as answers:
        time.sleep(5)
        assert not answers.failed, answers
        # Behind nova's back, as power goes.
        subprocess.run(
            ["podman", "exec", "dougong-lab", "virsh", "--connect=lxc:///", "destroy", before[lost]],
            check=True,
            capture_output=True,
        )
        time.sleep(60)
    print(f"{lost} lost its power: {answers}")
    assert answers.longest_gap <= LONGEST_GAP, answers
    cluster.kubectl("create", "configmap", "written-without-it")
    assert application(platform)
    # Whoever says so may have been there, too: another one has to take the lead first.
    assert eventually(lambda: lost not in cluster.ready_nodes(), 120)

    with asking(paths.kubeconfig(ENVIRONMENT)) as answers:
        began = time.monotonic()
        dougong("replace", lost)
    print(f"it was replaced in {time.monotonic() - began:.0f} s: {answers}")
    assert answers.longest_gap <= LONGEST_GAP, answers

    after = servers(platform)
    assert {name for name in before if before[name] != after[name]} == {lost}
    assert {volume.id for volume in cloud.connect(platform).block_storage.volumes()} == volumes
    assert eventually(lambda: cluster.ready_nodes() == set(after), 120)
    for name in ("written-before", "written-without-it"):
        cluster.kubectl("get", "configmap", name)
    members = cluster.kubectl("get", "pods", "--namespace=kube-system", "--selector=component=etcd", "--output=name")
    assert len(members.split()) == 3


def test_a_worker_comes_while_another_is_dead_and_nobody_else_is_touched(
    dougong: CommandLine, platform: Platform, cluster: Cluster
) -> None:
    dead, new = f"{NAME}-worker-0", f"{NAME}-worker-2"
    # It hangs: nova takes it for well, kubelet and sshd are gone.
    dougong("ssh", dead, "--", "sudo systemctl stop kubelet && sudo systemd-run --on-active=1 systemctl stop ssh")
    assert eventually(lambda: dead not in cluster.ready_nodes(), 120)
    workers(3)

    # The number says: all is done that could be, and a member is dead.
    dougong("up", expect=3)

    run = runs.find(ENVIRONMENT, "last")
    print(f"a worker more: {run.seconds:.0f} s, of which hosts {run.phase('hosts').seconds:.0f} s")
    assert any(f"--limit {new}" in command for command in run.phase("hosts").commands), run.phase("hosts").commands
    assert new in cluster.ready_nodes()

    cloud.connect(platform).compute.reboot_server(servers(platform)[dead], "HARD")
    assert eventually(lambda: dead in cluster.ready_nodes(), 240)
    dougong("up")


def test_a_worker_goes_and_takes_along_what_it_had(dougong: CommandLine, platform: Platform, cluster: Cluster) -> None:
    gone = f"{NAME}-worker-2"
    workers(2)

    dougong("up")

    run = runs.find(ENVIRONMENT, "last")
    print(f"a worker less: {run.seconds:.0f} s")
    assert "nothing new for 5 hosts" in run.phase("hosts").summary
    assert gone not in {node["metadata"]["name"] for node in cluster.get("nodes")["items"]}
    left = [(kind, title) for kind, title, _ in cloud.remaining(platform) if title.startswith(gone)]
    assert left == []
    assert application(platform)


def test_nothing_is_left_to_do(dougong: CommandLine, platform: Platform) -> None:
    dougong("up", "--all")
    run = runs.find(ENVIRONMENT, "last")
    assert run.changes == 0, [step.name for phase in run.phases for step in phase.steps if step.changed]


def test_kubernetes_is_taken_off_the_hosts_and_comes_back(dougong: CommandLine, platform: Platform) -> None:
    reset = ["ansible-playbook", "-i", str(Path("inventories", ENVIRONMENT, "platform.yml")), "playbooks/reset.yml"]
    variables = environment.overlay(environment.variables(ENVIRONMENT, platform))
    for _ in range(2):  # the second time there is nothing to take away
        done = subprocess.run(reset, cwd=paths.ROOT, env=variables, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    found = dougong.output(
        "ssh", f"{NAME}-control-plane-1", "--", "command -v kubelet containerd; ls /etc/kubernetes || :"
    )
    assert "kubelet" not in found
    assert "containerd" not in found

    dougong("up")
    assert application(platform)
