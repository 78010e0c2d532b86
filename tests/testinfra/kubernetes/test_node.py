"""What roles `kubernetes` and `calico` leave on a node."""

import json
import time
from typing import Any

import pytest
from testinfra.host import Host

KUBECTL = "kubectl --kubeconfig=/etc/kubernetes/admin.conf"


@pytest.fixture
def control_plane(host: Host) -> Host:
    if not host.file("/etc/kubernetes/admin.conf").exists:
        pytest.skip("asked of a control-plane node")
    return host


def get(host: Host, what: str) -> Any:
    return json.loads(host.check_output(f"{KUBECTL} get {what} --output=json"))["items"]


def test_kubelet_runs_now_and_at_boot(host: Host) -> None:
    service = host.service("kubelet")
    assert service.is_running
    assert service.is_enabled


def test_guard_rejects_what_nobody_translated(host: Host) -> None:
    service_cidr = host.check_output("grep -m1 -o 'ip daddr [0-9./]*' /etc/kubernetes-guard.nft").split()[-1]
    unused = service_cidr.rsplit(".", 2)[0] + ".254.253"
    started = time.monotonic()
    answer = host.run(f"python3 -c \"import socket; socket.create_connection(('{unused}', 443), timeout=5)\"")
    assert "ConnectionRefusedError" in answer.stderr
    assert time.monotonic() - started < 5, "rejected at once, not dropped"


def test_join_secrets_are_not_readable(host: Host) -> None:
    assert host.file("/etc/kubernetes/kubeadm.yaml").mode == 0o600


def test_nothing_is_half_done(host: Host) -> None:
    assert not host.file("/etc/kubernetes/kubeadm-unfinished").exists


def test_nodes_are_ready_with_their_own_addresses(control_plane: Host) -> None:
    for node in get(control_plane, "nodes"):
        conditions = {item["type"]: item["status"] for item in node["status"]["conditions"]}
        assert conditions["Ready"] == "True"
        addresses = {item["type"]: item["address"] for item in node["status"]["addresses"]}
        assert addresses["InternalIP"].startswith("10.")
        assert node["metadata"]["labels"]["dougong.local/scenario"] == "molecule"


def test_join_tokens_end_by_themselves(control_plane: Host) -> None:
    tokens = control_plane.check_output("kubeadm --kubeconfig=/etc/kubernetes/admin.conf token list")
    assert "<forever>" not in tokens


def test_etcd_data_is_below_its_mount(control_plane: Host) -> None:
    assert control_plane.mount_point("/var/lib/etcd").exists
    assert control_plane.file("/var/lib/etcd/data/member").is_directory


def test_cluster_wide_pods_are_ready(control_plane: Host) -> None:
    pods = get(control_plane, "pods --namespace=kube-system")
    assert any(pod["metadata"]["name"].startswith("calico-node") for pod in pods)
    not_ready = [
        pod["metadata"]["name"]
        for pod in pods
        if not all(container["ready"] for container in pod["status"]["containerStatuses"])
    ]
    assert not_ready == []
