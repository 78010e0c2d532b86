"""A backup is of use: ten thousand keys are written, the cluster is destroyed, and they are all there again."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from kubernetes import client, config

from tests.cluster_probe import eventually
from tests.drills.conftest import Scenario
from tests.drills.harness import Cluster

CONTROL_PLANE, WORKER = "molecule-backup-control-plane-0", "molecule-backup-worker-0"
KEYS = 10_000


def value(number: int) -> str:
    return str(number * number)


def api(cluster: Cluster) -> client.CoreV1Api:
    loaded = config.new_client_from_config(str(cluster.kubeconfig))  # type: ignore[no-untyped-call]  # it has none
    return client.CoreV1Api(loaded)


def note(cluster: Cluster, name: str, text: str) -> None:
    cluster.kubectl("create", "configmap", "--namespace=ledger", name, f"--from-literal=value={text}")


def ledger(cluster: Cluster) -> dict[str, str]:
    """What is in it; read anew each time, as the API server does when it is asked for no certain revision."""
    found = cluster.kubernetes("get", "configmaps", "--namespace=ledger", "--selector=drill=backup")["items"]
    return {each["metadata"]["name"]: each["data"]["value"] for each in found}


@pytest.fixture(scope="module")
def cluster(scenario: Scenario) -> Cluster:
    """A cluster with ten thousand keys of ours, and a backup of it."""
    cluster = scenario("backup")
    cluster.kubectl("create", "namespace", "ledger")
    core = api(cluster)

    def put(number: int) -> None:
        metadata = client.V1ObjectMeta(name=f"key-{number:05}", labels={"drill": "backup"})
        core.create_namespaced_config_map(
            "ledger", client.V1ConfigMap(metadata=metadata, data={"value": value(number)})
        )

    with ThreadPoolExecutor(8) as writers:
        list(writers.map(put, range(KEYS)))
    timed("backup", lambda: cluster.playbook("playbooks/backup.yml"))
    return cluster


@pytest.fixture(scope="module")
def expected() -> dict[str, str]:
    return {f"key-{number:05}": value(number) for number in range(KEYS)}


def timed(what: str, work: Callable[[], object]) -> None:
    """Do it and say how long it took; `pytest -s` shows it."""
    begun = time.monotonic()
    work()
    print(f"\n{what}: {time.monotonic() - begun:.0f} s")


def kept(cluster: Cluster) -> Path:
    """The one backup on the controller."""
    (archive,) = Path(cluster.variables["MOLECULE_EPHEMERAL_DIRECTORY"], "backup", "kept").glob("*.age")
    return archive


def works(cluster: Cluster) -> None:
    """All nodes are ready, and a pod that is asked for now runs and answers."""
    cluster.kubectl("wait", "nodes", "--all", "--for=condition=Ready", "--timeout=180s")
    # One that ends slowly would answer in place of the new one.
    cluster.kubectl("delete", "pods", "--all", "--namespace=demo")
    cluster.kubectl("rollout", "status", "deployment/demo", "--namespace=demo", "--timeout=180s")
    assert eventually(lambda: subprocess.run(["curl", "-sf", "http://10.78.0.44:30080/"], check=False).returncode == 0)


def test_a_backup_that_cannot_be_used_is_refused_before_anything_is_touched(cluster: Cluster, tmp_path: Path) -> None:
    etcd = cluster.shell(CONTROL_PLANE, "pgrep --exact etcd")
    good = kept(cluster)
    sidecar = good.name.replace(".tar.gz.age", ".json")

    def refused(name: str, content: bytes, says: str, **extra: str) -> None:
        folder = tmp_path / name
        folder.mkdir()
        (folder / good.name).write_bytes(content)
        shutil.copy(good.with_name(sidecar), folder)
        extra.setdefault("backup_archive", str(folder / good.name))
        # Ansible breaks long lines.
        assert says in " ".join(cluster.playbook("playbooks/restore.yml", expect=2, **extra).split())

    whole = good.read_bytes()
    refused("truncated", whole[: len(whole) // 2], "is truncated: it has")
    refused("corrupted", whole[:-1] + bytes([whole[-1] ^ 1]), "is corrupted: its sha256 is")
    identity = good.parents[1] / "identity.txt"
    shutil.move(identity, tmp_path / "identity.txt")
    try:
        # The run makes a new key, since it finds none.
        refused("stranger", whole, "does not open")
    finally:
        shutil.move(tmp_path / "identity.txt", identity)
    assert "There is no backup yesterday" in cluster.playbook("playbooks/restore.yml", expect=2, backup_id="yesterday")

    assert cluster.shell(CONTROL_PLANE, "pgrep --exact etcd") == etcd
    assert not (good.parents[1] / "opened").exists()


def test_hosts_make_backups_by_themselves_and_a_schedule_that_goes_takes_its_timer_along(cluster: Cluster) -> None:
    cluster.shell(CONTROL_PLANE, "mkdir -p /srv/backups && mv /var/lib/dougong/backup/last.json /tmp/last.json")
    target = {"type": "directory", "path": "/srv/backups", "options": {}}
    cluster.playbook("playbooks/site.yml", "--limit", "control_plane", backup_schedule="minutely", backup_target=target)

    assert eventually(
        lambda: "sha256" in cluster.shell(CONTROL_PLANE, "cat /var/lib/dougong/backup/last.json || :"), 120
    )
    stored = cluster.shell(CONTROL_PLANE, "ls /srv/backups").split()
    assert [name.partition(".")[2] for name in stored[:2]] == ["json", "tar.gz.age"]
    # What a host has made and cannot read, the controller opens.
    cluster.playbook("playbooks/backup-verify.yml", backup_target=target)

    cluster.playbook("playbooks/site.yml", "--limit", "control_plane")
    assert "dougong-backup" not in cluster.shell(CONTROL_PLANE, "systemctl list-timers --all")


def test_all_keys_come_back_in_place(cluster: Cluster, expected: dict[str, str]) -> None:
    note(cluster, "late", "after the backup")
    cluster.kubectl("delete", "configmap", "--namespace=ledger", "key-00000", "key-00001")
    cluster.shell(CONTROL_PLANE, "rm -r /var/lib/etcd/data/member && pkill --exact etcd")

    timed("restore in place", lambda: cluster.playbook("playbooks/restore.yml"))

    assert ledger(cluster) == expected
    assert "late" not in cluster.kubectl("get", "configmaps", "--namespace=ledger", "--output=name")
    works(cluster)


def test_all_keys_come_back_on_new_machines(cluster: Cluster, expected: dict[str, str], tmp_path: Path) -> None:
    authority = cluster.shell(CONTROL_PLANE, "cat /etc/kubernetes/pki/ca.crt")
    # The controller's backups and key are what survives; molecule would empty the folder that they are in.
    controller = kept(cluster).parents[1]
    shutil.copytree(controller, tmp_path / "backup")
    cluster.destroy()
    cluster.create()
    shutil.copytree(tmp_path / "backup", controller, dirs_exist_ok=True)

    timed("restore on new machines", lambda: cluster.playbook("playbooks/restore.yml"))

    assert ledger(cluster) == expected
    assert cluster.shell(CONTROL_PLANE, "cat /etc/kubernetes/pki/ca.crt") == authority
    # The worker's machine is new, too: it joins as any new host does.
    timed("the other hosts join", cluster.converge)
    works(cluster)


def test_a_restore_that_was_killed_goes_on(cluster: Cluster, expected: dict[str, str]) -> None:
    """Killed where it hurts most: the control plane is stopped, its state half replaced."""
    note(cluster, "later", "after the backup")
    process = cluster.start_playbook("playbooks/restore.yml")
    assert process.stdout
    assert any("is that of the snapshot" in line for line in process.stdout), "it was over before it could be killed"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    # Broken off, it has no control plane: the manifests are still aside.
    assert cluster.shell(CONTROL_PLANE, "ls /etc/kubernetes/manifests") == ""

    cluster.playbook("playbooks/restore.yml")

    assert ledger(cluster) == expected
    works(cluster)
