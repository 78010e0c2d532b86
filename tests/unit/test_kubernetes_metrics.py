"""The program that notes what components of Kubernetes say of themselves, before components that say it."""

from __future__ import annotations

import http.server
import importlib.util
import json
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from dougong.paths import ROOT

FILE = ROOT / "roles" / "kubernetes_metrics" / "files" / "dougong_kubernetes_metrics.py"


def _load() -> Any:
    spec = importlib.util.spec_from_file_location("dougong_kubernetes_metrics", FILE)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


program = _load()

# As Kubernetes 1.36 writes them.
API_SERVER = """\
# HELP apiserver_request_total [STABLE] Counter of apiserver requests
# TYPE apiserver_request_total counter
apiserver_request_total{code="200",component="apiserver",resource="pods",scope="namespace",verb="GET"} 90
apiserver_request_total{code="500",component="apiserver",resource="pods",scope="namespace",verb="LIST"} 6
apiserver_request_total{code="504",component="apiserver",resource="nodes",scope="cluster",verb="GET"} 4
apiserver_request_duration_seconds_bucket{resource="pods",verb="GET",le="0.005"} 80
apiserver_request_duration_seconds_sum{resource="pods",verb="GET"} 1.5
apiserver_request_duration_seconds_count{resource="pods",verb="GET"} 90
apiserver_request_duration_seconds_sum{resource="pods",verb="WATCH"} 3600
apiserver_request_duration_seconds_count{resource="pods",verb="WATCH"} 1
apiserver_current_inflight_requests{request_kind="mutating"} 2
apiserver_current_inflight_requests{request_kind="readOnly"} 3

process_start_time_seconds 1.7637e+09
"""
KUBELET = """\
kubelet_running_pods 7
kubelet_runtime_operations_total{operation_type="list_podsandbox"} 1000
kubelet_runtime_operations_errors_total{operation_type="container_status"} 2
kubelet_runtime_operations_errors_total{operation_type="pull_image"} 1
kubelet_volume_stats_capacity_bytes{namespace="shop",persistentvolumeclaim="data"} 1.0e+09
kubelet_volume_stats_used_bytes{namespace="shop",persistentvolumeclaim="data"} 9.17e+08
kubelet_volume_stats_capacity_bytes{namespace="shop",persistentvolumeclaim="new"} 0
"""


def test_samples_are_added_up_as_far_as_their_labels_match() -> None:
    assert program.sums(API_SERVER.splitlines(), program.API_SERVER) == {
        "requests": 100,
        "server_errors": 10,
        "refused": 0,
        "in_flight": 5,
        "timed": 90,
        "seconds": 1.5,
    }


def test_a_label_may_hold_anything() -> None:
    line = r'm{path="a\"} b{c",code="500"} 3 1763700000'
    assert program.Samples([line], ["m"]).found["m"] == [({"path": r"a\"} b{c", "code": "500"}, 3.0)]


def test_a_metric_is_not_another_one_whose_name_begins_so() -> None:
    lines = ["kubelet_running_pods_more 9", "kubelet_running_pods 7"]
    assert program.Samples(lines, ["kubelet_running_pods"]).total(program.Sum("kubelet_running_pods")) == 7


def test_claimed_volumes_are_as_full_as_the_kubelet_says() -> None:
    told = program.kubelet(KUBELET.splitlines())
    assert (told["pods"], told["runtime_errors"], told["evictions"]) == (7, 3, 0)
    assert told["volumes"] == [{"namespace": "shop", "claim": "data", "used_percent": 91.7}]


def test_pods_of_coredns_on_this_node_are_taken_together(monkeypatch: pytest.MonkeyPatch) -> None:
    pods = [("Running", "10.79.0.2"), ("Running", "10.79.0.3"), ("Pending", None)]
    listed = {"items": [{"status": {"phase": phase, "podIP": address}} for phase, address in pods]}
    asked = []

    def lines(_: Any, url: str, way: str = "local") -> list[str]:
        asked.append((url, way))
        if way == "api":
            return [json.dumps(listed)]
        return ['coredns_dns_responses_total{rcode="SERVFAIL"} 1', 'coredns_dns_responses_total{rcode="NOERROR"} 9']

    monkeypatch.setattr(program.Host, "lines", lines)
    host = program.Host.__new__(program.Host)
    host.node, host.api_server = "worker-0", "https://192.0.2.1:6443"
    assert host.dns() == {"pods": 2, "answers_given": 20, "server_failures": 2, "panics": 0}
    assert "fieldSelector=spec.nodeName%3Dworker-0" in asked[0][0], "a kubelet may list no others"
    assert [url for url, way in asked if way == "local"] == [
        "http://10.79.0.2:9153/metrics",
        "http://10.79.0.3:9153/metrics",
    ]


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """One for 127.0.0.1 that signs itself; and, as the kubelet has it, with its key in one file."""
    alone, both = folder / f"{name}.crt", folder / f"{name}.pem"
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    subject = ["-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "30"]
    subprocess.run([*words, *subject, "-keyout", both, "-out", alone], check=True, capture_output=True)
    both.write_text(alone.read_text() + both.read_text())
    return alone, both


def test_the_end_of_the_kubelets_certificate_is_known(tmp_path: Path) -> None:
    _, both = certificate(tmp_path, "node")
    assert program.certificate_end(both) == pytest.approx(time.time() + 30 * 86400, abs=60)


def test_components_are_asked_by_a_name_and_only_the_real_api_is_told_apart(tmp_path: Path) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"kubelet_running_pods 7\n")

        def log_message(self, *_: Any) -> None: ...

    alone, both = certificate(tmp_path, "node")
    other, _ = certificate(tmp_path, "other")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(alone)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"https://127.0.0.1:{server.server_address[1]}/metrics"
        host = program.Host(both, alone, "node", url)
        assert host.lines(url) == host.lines(url, "api") == ["kubelet_running_pods 7\n"]
        stranger = program.Host(both, other, "node", url)
        assert stranger.lines(url), "on the host itself nobody has signed them"
        with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
            stranger.lines(url, "api")
        server.shutdown()


def test_who_does_not_answer_hides_nobody_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Host:
        def __init__(self, *_: Any) -> None: ...

        def kubelet(self) -> dict[str, Any]:
            raise OSError("HTTP Error 403: Forbidden")

        def containerd(self) -> dict[str, Any]:
            return {"pulls": 3}

        def felix(self) -> dict[str, Any]:
            return {}

        dns = felix

    monkeypatch.setattr(program, "Host", Host)
    words = ["--client", "c", "--authority", "a", "--node", "n", "--api-server", "u", "--into", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["program", *words])
    assert program.main() == 0
    told = {file.stem: json.loads(file.read_text()) for file in tmp_path.iterdir()}
    assert {name: each["answers"] for name, each in told.items()} == {
        "kubelet": 0,
        "containerd": 1,
        "felix": 1,
        "dns": 1,
    }
    assert told["containerd"]["pulls"] == 3
    assert "kubelet: HTTP Error 403: Forbidden" in capsys.readouterr().err
