"""What role `kubernetes_metrics` notes of a real cluster: a metric with another name than ours would be a zero."""

import json
from typing import Any

import pytest
from testinfra.host import Host

FOLDER = "/run/dougong/metrics"
UNIT = "dougong-kubernetes-metrics"
KUBECTL = "kubectl --kubeconfig=/etc/kubernetes/admin.conf"


@pytest.fixture(scope="module")
def told(host: Host) -> dict[str, Any]:
    """Component → what it said just now."""
    host.check_output(f"systemctl start {UNIT}.service")
    files = host.check_output(f"ls {FOLDER}").split()
    return {name.removesuffix(".json"): json.loads(host.file(f"{FOLDER}/{name}").content_string) for name in files}


def test_every_component_answers(host: Host, told: dict[str, Any]) -> None:
    of_all = {"kubelet", "containerd", "felix", "dns"}
    of_control_planes = {"etcd", "api-server", "controller-manager", "scheduler"}
    is_control_plane = host.file("/etc/kubernetes/manifests/kube-apiserver.yaml").exists
    assert set(told) == of_all | (of_control_planes if is_control_plane else set())
    assert [name for name, each in told.items() if not each["answers"]] == []


def test_nodes_tell_what_is_never_nothing(told: dict[str, Any]) -> None:
    assert told["kubelet"]["pods"] >= 2
    assert told["kubelet"]["runtime_operations"] > 100
    assert told["kubelet"]["certificate_end"] - told["kubelet"]["at"] > 300 * 86400
    assert told["dns"]["panics"] == told["felix"]["failures"] == 0
    assert told["felix"]["endpoints"] >= told["dns"]["pods"]


def test_control_planes_tell_what_is_never_nothing(told: dict[str, Any]) -> None:
    if "api-server" not in told:
        pytest.skip("asked of a control-plane node")
    assert told["api-server"]["requests"] > told["api-server"]["timed"] > 100, "watches are requests"
    assert told["api-server"]["seconds"] > 0
    assert (told["controller-manager"]["nodes"], told["controller-manager"]["nodes_not_ready"]) == (2, 0)
    assert told["scheduler"]["attempts"] > 0
    assert told["etcd"]["leader"] == 1
    assert told["etcd"]["size_limit"] > told["etcd"]["size"] > 0
    assert told["etcd"]["writes"] > 0 < told["etcd"]["write_seconds"]


def test_containerd_and_felix_tell_nobody_else(host: Host) -> None:
    listening = [line.split()[3] for line in host.check_output("ss -tlnH").splitlines()]
    assert {address for address in listening if address.endswith((":1338", ":9091"))} == {
        "127.0.0.1:1338",
        "127.0.0.1:9091",
    }


def test_notes_are_made_each_minute_and_fill_no_journal(host: Host) -> None:
    assert host.service(f"{UNIT}.timer").is_running
    assert host.service(f"{UNIT}.timer").is_enabled
    assert "Finished" not in host.check_output(f"journalctl --unit {UNIT}.service --output cat --quiet")


def test_a_kubelet_may_read_metrics_and_no_more_than_before(host: Host) -> None:
    if not host.file("/etc/kubernetes/admin.conf").exists:
        pytest.skip("asked of a control-plane node")
    as_kubelet = "--as system:node:molecule-worker-0 --as-group system:nodes"
    assert host.check_output(f"{KUBECTL} auth can-i get /metrics {as_kubelet}") == "yes"
    for other in ("list secrets --all-namespaces", "create pods --subresource exec", "get /logs"):
        # The authorizer of nodes says why, too.
        assert host.run(f"{KUBECTL} auth can-i {other} {as_kubelet}").stdout.split()[0] == "no", other
