"""Drills of security: the key of the encryption at rest is rotated, also by a run that is killed half-way; a changed
configuration reaches a live cluster, and one that does not work is taken back."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from dougong import paths
from tests.drills.conftest import Scenario
from tests.drills.harness import Cluster

CONTROL_PLANE = "molecule-security-control-plane-0"
CONVERGE = "molecule/security/converge.yml"
ROTATE = "playbooks/rotate-encryption-key.yml"
EVENTS = {"apiServer": {"extraArgs": [{"name": "event-ttl", "value": "2h"}]}}
# A variable of the command line takes the place of the lab's: what such hosts need is said again.
LAB = yaml.safe_load((paths.inventory("lab") / "group_vars" / "all.yml").read_text())
PODS = {**LAB["kubernetes_kubelet_configuration"], "maxPods": 77}
KEYS = "/etc/kubernetes/encryption/config.yaml"
ETCDCTL = (
    "etcdctl --cacert=/etc/kubernetes/pki/etcd/ca.crt --cert=/etc/kubernetes/pki/etcd/server.crt "
    "--key=/etc/kubernetes/pki/etcd/server.key"
)


@pytest.fixture(scope="module")
def cluster(scenario: Scenario) -> Cluster:
    return scenario("security")


def keys(cluster: Cluster) -> list[str]:
    """Names of the keys, in the order in which the API server tries them."""
    return re.findall(r"name: (\S+)", cluster.shell(CONTROL_PLANE, f"cat {KEYS}"))


def read(cluster: Cluster) -> bool:
    """Whether the API gives the secret of the drill."""
    done = subprocess.run(
        ["kubectl", "get", "secret", "kept", "-o", "jsonpath={.data.value}"],
        env=cluster.variables,
        capture_output=True,
        check=False,
    )
    return done.stdout == base64.b64encode(b"of-the-drill")


def stored_with(cluster: Cluster, secret: str) -> str:
    """Name of the key with which etcd holds a secret."""
    read = f"{ETCDCTL} get /registry/secrets/default/{secret} --write-out=json"
    pod = f"etcd-{CONTROL_PLANE}"
    stored = json.loads(cluster.kubectl("exec", "--namespace=kube-system", pod, "--", *read.split()))
    value = base64.b64decode(stored["kvs"][0]["value"])
    found = re.match(rb"k8s:enc:secretbox:v1:([^:]+):", value)
    assert found, value[:40]
    return found[1].decode()


def arguments(cluster: Cluster, component: str) -> str:
    """The command line of a running component of the control plane."""
    return cluster.shell(CONTROL_PLANE, f"tr '\\0' ' ' </proc/$(pidof {component})/cmdline")


def test_the_key_is_rotated_while_secrets_are_read(cluster: Cluster) -> None:
    cluster.kubectl("create", "secret", "generic", "kept", "--from-literal=value=of-the-drill")
    (before,) = keys(cluster)
    assert stored_with(cluster, "kept") == before
    asked = failed = 0
    rotation = cluster.start_playbook(ROTATE)
    while rotation.poll() is None:
        asked += 1
        failed += not read(cluster)
        time.sleep(0.2)
    printed, _ = rotation.communicate()

    assert rotation.returncode == 0, printed
    (after,) = keys(cluster)
    assert after != before
    assert stored_with(cluster, "kept") == after
    assert asked > 50
    assert failed == 0, f"{failed} of {asked} reads failed"


def test_a_rotation_that_is_killed_goes_on(cluster: Cluster) -> None:
    (before,) = keys(cluster)
    rotation = cluster.start_playbook(ROTATE)
    while len(keys(cluster)) == 1:
        assert rotation.poll() is None, "it was over before it could be killed"
        time.sleep(0.5)
    os.killpg(rotation.pid, signal.SIGKILL)
    rotation.communicate()
    half_way = keys(cluster)
    assert half_way[0] == before, "the new key reads, and does not write yet"
    assert read(cluster)

    cluster.playbook(ROTATE)

    assert keys(cluster) == half_way[1:], "the key that was drawn is used, and no other"
    assert stored_with(cluster, "kept") == half_way[1]


def test_a_changed_configuration_reaches_the_live_cluster(cluster: Cluster) -> None:
    changed = cluster.playbook(CONVERGE, kubernetes_cluster_configuration=EVENTS, kubernetes_kubelet_configuration=PODS)

    assert "--event-ttl=2h" in arguments(cluster, "kube-apiserver")
    assert "event-ttl" in cluster.kubectl("get", "configmap", "kubeadm-config", "--namespace=kube-system", "-o", "yaml")
    for node in cluster.kubernetes("get", "nodes")["items"]:
        assert node["status"]["capacity"]["pods"] == "77"
    assert "Configuration is rolled out" in changed
    again = cluster.playbook(CONVERGE, kubernetes_cluster_configuration=EVENTS, kubernetes_kubelet_configuration=PODS)
    assert "Configuration is rolled out" not in again
    assert not re.search(r"changed=[1-9]", again), again


def test_a_configuration_that_does_not_work_is_taken_back(cluster: Cluster) -> None:
    wrong = {"apiServer": {"extraArgs": [{"name": "no-such-option", "value": "1"}]}}

    printed = cluster.playbook(CONVERGE, expect=2, kubernetes_cluster_configuration=wrong)

    assert "well again" in printed
    assert "unknown flag: --no-such-option" in printed
    assert "no-such-option" not in arguments(cluster, "kube-apiserver")
    assert read(cluster)


def test_somebody_of_a_tenant_gets_a_kubeconfig(cluster: Cluster, tmp_path: Path) -> None:
    file = tmp_path / "ada.kubeconfig"
    cluster.playbook(
        "playbooks/tenant-kubeconfig.yml", tenants_tenant="red", tenants_user="ada", tenants_file=str(file)
    )

    assert file.stat().st_mode & 0o777 == 0o600
    ada = f"--kubeconfig={file}"
    assert cluster.kubectl(ada, "auth", "whoami", "-o", "jsonpath={.status.userInfo.username}") == "ada"
    assert cluster.kubectl(ada, "get", "secrets", "-o", "name") == ""
    with pytest.raises(AssertionError, match="Forbidden"):
        cluster.kubectl(ada, "get", "secrets", "--namespace=default")
