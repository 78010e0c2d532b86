"""From stack outputs to Ansible's inventory, with the real Pulumi and the real Ansible where they matter."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from ansible.inventory.data import InventoryData
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import inventory_loader
from installation import outputs

from dougong import environment, inventory, paths
from dougong.errors import DougongError
from dougong.platform import Logging, Monitoring, Platform, Pool, Registry, Services, load

LAB = paths.platform_file("lab")
PRODUCTION = paths.platform_file("production")


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "dougong"


def with_workers(platform: Platform, count: int) -> Platform:
    worker = platform.pools["worker"].model_copy(update={"count": count})
    return platform.model_copy(update={"pools": {**platform.pools, "worker": worker}})


def test_hosts_are_in_the_groups_of_their_role_and_pool() -> None:
    platform = load(PRODUCTION)

    built = inventory.build(platform, "production", outputs(platform))

    assert built.children == {"cluster": ["control_plane", "workers"]}
    assert built.groups["control_plane"] == [f"prod-control-plane-{index}" for index in range(3)]
    assert built.groups["pool_worker_memory"] == [f"prod-worker-memory-{index}" for index in range(3)]
    assert len(built.groups["workers"]) == 9
    assert built.groups["bastions"] == ["prod-bastion-0"]


def test_services_have_the_hosts_of_their_pools() -> None:
    platform = load(LAB)
    pools = platform.pools | {
        name: Pool(role="services", count=count, flavor="small", floating_ip=True)
        for name, count in {"services": 1, "search": 3}.items()
    }
    logging = Logging(enabled=True, pool="search", kibana=True)
    services = Services(registry=Registry(enabled=True), logging=logging)
    platform = platform.model_copy(update={"pools": pools, "services": services})

    built = inventory.build(platform, "lab", outputs(platform))

    assert built.groups["registry"] == ["lab-services-0"]
    assert built.groups["elasticsearch"] == built.groups["kibana"] == [f"lab-search-{index}" for index in range(3)]
    assert built.groups["zabbix"] == built.groups["logstash"] == [], "they are not enabled"
    assert set(built.groups["services"]).isdisjoint(built.groups["workers"] + built.groups["control_plane"])


def test_registry_and_monitoring_are_on_one_host_of_their_pool() -> None:
    platform = load(LAB)
    pools = platform.pools | {"watch": Pool(role="services", count=2, flavor="small", floating_ip=True)}
    services = Services(
        registry=Registry(enabled=True, pool="watch"), monitoring=Monitoring(enabled=True, pool="watch")
    )
    platform = platform.model_copy(update={"pools": pools, "services": services})

    built = inventory.build(platform, "lab", outputs(platform))

    assert built.groups["registry"] == built.groups["zabbix"] == ["lab-watch-0"]
    assert built.groups["services"] == ["lab-services-0", "lab-watch-0", "lab-watch-1"]


def test_a_host_carries_what_the_roles_need() -> None:
    platform = load(LAB)

    built = inventory.build(platform, "lab", outputs(platform))

    assert built.hosts["lab-worker-0"] == {
        "ansible_host": "172.24.4.11",
        "ansible_user": "debian",
        "node_address": "10.1.0.11",
        "node_pool": "worker",
        "node_role": "worker",
        "node_zone": "nova",
        "node_volumes": [
            {"name": "data", "id": "v", "device": "/dev/vdb", "size": 2, "mount": "/srv/data", "filesystem": "ext4"}
        ],
        "node_labels": {},
        "node_taints": [],
    }


def test_all_hosts_know_the_installation(state: Path) -> None:
    platform = load(LAB)

    variables = inventory.build(platform, "lab", outputs(platform)).variables

    assert variables["platform"]["orchestrator"]["version"] == "1.36.3"
    assert json.dumps(variables), "Ansible wants plain data"
    assert variables["platform_environment"] == "lab"
    assert variables["api_endpoint"]["public_address"] == "172.24.4.5"
    assert variables["network_mtu"] == 1442
    assert variables["ansible_ssh_private_key_file"] == str(state / "lab" / "ssh" / "id_ed25519")
    assert "accept-new" in variables["ansible_ssh_common_args"]
    assert str(state / "lab" / "ssh" / "known_hosts") in variables["ansible_ssh_common_args"]


def test_hosts_without_a_public_address_are_reached_through_the_bastion() -> None:
    platform = load(PRODUCTION)

    built = inventory.build(platform, "production", outputs(platform))

    hidden = built.hosts["prod-worker-0"]
    assert hidden["ansible_host"] == hidden["node_address"]
    assert "-W [%h]:%p debian@172.24.4.10" in hidden["ansible_ssh_common_args"]
    assert "ansible_ssh_common_args" not in built.hosts["prod-bastion-0"]


def test_ssh_understands_the_way_through_the_bastion() -> None:
    platform = load(PRODUCTION)
    hidden = inventory.build(platform, "production", outputs(platform)).hosts["prod-worker-0"]
    arguments = shlex.split(hidden["ansible_ssh_common_args"])
    shown = subprocess.run(
        ["ssh", "-G", *arguments, hidden["ansible_host"]], capture_output=True, text=True, check=True
    ).stdout

    (proxy,) = [line for line in shown.splitlines() if line.startswith("proxycommand ")]
    assert proxy.endswith("debian@172.24.4.10")
    assert f"-i {paths.ssh_key('production')}" in proxy


def test_a_host_of_a_pool_that_is_no_longer_wanted_is_still_there() -> None:
    platform = load(LAB)
    found = outputs(platform)
    found["hosts"].append({**found["hosts"][-1], "name": "lab-old-0", "pool": "old"})

    built = inventory.build(platform, "lab", found)

    assert built.groups["pool_old"] == ["lab-old-0"]
    assert built.hosts["lab-old-0"]["node_labels"] == {}


def test_nothing_built_is_an_inventory_without_hosts() -> None:
    built = inventory.build(load(LAB), "lab", {})

    assert built.hosts == {}
    of_roles = {"control_plane", "workers", "services", "bastions"}
    of_services = {"registry", "elasticsearch", "kibana", "logstash", "zabbix"}
    assert set(built.groups) == of_roles | of_services | {"pool_control_plane", "pool_worker", "pool_services"}


needs_pulumi = pytest.mark.skipif(
    not shutil.which("pulumi", path=str(Path(sys.prefix) / "bin")), reason="`dougong artifacts fetch --tools` first"
)


def ansible_inventory(source: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """The command as a person types it, away from the repository."""
    variables = {**os.environ, "ANSIBLE_CONFIG": str(paths.ROOT / "ansible.cfg"), "COLUMNS": "1000"}
    return subprocess.run(
        [Path(sys.prefix) / "bin" / "ansible-inventory", "-i", source, *arguments],
        capture_output=True, text=True, check=False, env=variables, cwd="/",
    )  # fmt: skip


def import_outputs(platform: Platform, name: str, found: dict[str, Any]) -> None:
    """Put outputs into a real stack of the real Pulumi, as if `up` had made them."""
    variables = environment.overlay(environment.variables(name, platform))
    folder = Path(os.environ["XDG_STATE_HOME"]) / "program"  # a stack's settings would be written into stacks/cluster
    folder.mkdir()
    (folder / "Pulumi.yaml").write_text("name: dougong-cluster\nruntime: python\n")
    stack = {
        "urn": f"urn:pulumi:{name}::dougong-cluster::pulumi:pulumi:Stack::dougong-cluster-{name}",
        "type": "pulumi:pulumi:Stack",
        "custom": False,
        "outputs": found,
    }
    manifest = {"time": "2026-01-01T00:00:00Z", "magic": "", "version": ""}
    deployment = {"version": 3, "deployment": {"manifest": manifest, "resources": [stack]}}
    for command, stdin in ((["init", name], ""), (["import", "--stack", name], json.dumps(deployment))):
        subprocess.run(
            ["pulumi", "stack", *command], cwd=folder, env=variables, input=stdin, text=True, check=True,
            capture_output=True,
        )  # fmt: skip


@needs_pulumi
def test_ansible_inventory_works_by_hand() -> None:
    platform = load(LAB)
    import_outputs(platform, "lab", outputs(platform))

    done = ansible_inventory(LAB, "--list")

    assert done.returncode == 0, done.stderr
    listed = json.loads(done.stdout)
    assert listed["cluster"]["children"] == ["control_plane", "workers"]
    assert listed["workers"]["hosts"] == ["lab-worker-0", "lab-worker-1"]
    one = ansible_inventory(LAB, "--host", "lab-worker-1")
    assert json.loads(one.stdout)["ansible_host"] == "172.24.4.12"
    assert "WARNING" not in done.stderr


@needs_pulumi
def test_a_file_elsewhere_is_the_environment_of_its_folder(tmp_path: Path) -> None:
    file = tmp_path / "elsewhere" / "platform.yml"
    file.parent.mkdir()
    shutil.copy(LAB, file)

    done = ansible_inventory(file, "--list")

    assert done.returncode == 0, done.stderr
    assert "The stack 'elsewhere' of stacks/cluster does not exist yet." in done.stderr
    assert "hosts" not in json.loads(done.stdout).get("workers", {})


def test_a_broken_platform_stops_ansible(tmp_path: Path) -> None:
    file = tmp_path / "broken" / "platform.yml"
    file.parent.mkdir()
    file.write_text(LAB.read_text().replace("count: 2", "count: 0"))

    done = ansible_inventory(file, "--list")

    assert done.returncode == 4
    assert "pools.worker.count: 0 is too small" in done.stderr
    assert done.stdout == ""


def test_other_files_are_left_to_other_plugins(tmp_path: Path) -> None:
    plugin = inventory_plugin()
    for name in ("platform.yml", "hosts.yml"):
        (tmp_path / name).touch()

    assert plugin.verify_file(str(tmp_path / "platform.yml"))
    assert not plugin.verify_file(str(tmp_path / "hosts.yml"))
    assert not plugin.verify_file(str(tmp_path / "missing" / "platform.yml"))


@needs_pulumi
def test_a_failing_pulumi_is_an_error_with_the_command_to_try() -> None:
    platform = load(LAB)
    backend = platform.state.model_copy(update={"backend": "file:///does/not/exist"})

    with pytest.raises(DougongError, match="does/not/exist") as caught:
        inventory.read_outputs("lab", platform.model_copy(update={"state": backend}))

    assert not isinstance(caught.value, inventory.NoStackError)
    assert "pulumi stack output --json" in caught.value.remedy


def test_before_pulumi_is_fetched_there_is_no_stack(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(inventory.NoStackError, match="pulumi is not there yet"):
        inventory.read_outputs("lab", load(LAB))


def inventory_plugin() -> Any:
    inventory_loader.add_directory(str(paths.ROOT / "plugins" / "inventory"))
    return inventory_loader.get("dougong")


def test_a_thousand_hosts_take_about_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """From reading platform.yml to Ansible's finished inventory; the one subprocess is replaced by its answer."""
    platform = with_workers(load(LAB), 998)
    answer = json.dumps(outputs(platform.model_copy(update={"network": load(PRODUCTION).network})))
    done = subprocess.CompletedProcess(args=[], returncode=0, stdout=answer, stderr="")
    monkeypatch.setattr("dougong.inventory.shutil.which", lambda *_, **__: "/bin/pulumi")
    monkeypatch.setattr("dougong.inventory.subprocess.run", lambda *_, **__: done)
    plugin, data = inventory_plugin(), InventoryData()

    begin = time.process_time()  # what else the machine does must not decide
    plugin.parse(data, DataLoader(), str(LAB))
    data.reconcile_inventory()
    took = time.process_time() - begin

    assert len(data.hosts) == 1000
    assert len(data.groups["workers"].get_hosts()) == 998
    assert took < 1.0, f"{took:.2f} s"
