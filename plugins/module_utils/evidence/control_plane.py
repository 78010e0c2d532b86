"""What runs on a control-plane host: etcd, API server, scheduler, controller-manager."""

from __future__ import annotations

import json
import ssl
from typing import Any

from ansible.module_utils.evidence import web

PKI = "/etc/kubernetes/pki"
_ETCD = "https://127.0.0.1:2379"
# kubeadm's --listen-metrics-urls: plain HTTP, on the loopback only.
_ETCD_METRICS = "http://127.0.0.1:2381/metrics"
_METRICS = (
    "etcd_disk_wal_fsync_duration_seconds",
    "etcd_disk_backend_commit_duration_seconds",
    "etcd_server_leader_changes_seen_total",
    "etcd_server_quota_backend_bytes",
)


def is_here() -> bool:
    """Whether this host is meant to run a control plane."""
    here: bool = web.exists("/etc/kubernetes/manifests/kube-apiserver.yaml")
    return here


def components(address: str) -> dict[str, Any]:
    """Health of API server (with its own list of what is wrong), scheduler and controller-manager."""
    api = _client("ca.crt", "apiserver-kubelet-client")
    found = {"kube-apiserver": web.ask(f"https://{address}:6443/readyz?verbose", api)}
    for name, port in {"kube-scheduler": 10259, "kube-controller-manager": 10257}.items():
        found[name] = web.ask(f"https://127.0.0.1:{port}/healthz", web.local())
    return {
        name: {"status": answer["status"], "text": "" if answer["status"] == 200 else answer["text"][-800:]}
        for name, answer in found.items()
    }


def etcd() -> dict[str, Any]:
    """Members, state, alarms and the metrics that tell of its disk, as this host's member sees them."""
    tls = _client("etcd/ca.crt", "etcd/healthcheck-client")
    answers = {
        "members": web.ask(f"{_ETCD}/v3/cluster/member/list", tls, {}),
        "status": web.ask(f"{_ETCD}/v3/maintenance/status", tls, {}),
        "alarms": web.ask(f"{_ETCD}/v3/maintenance/alarm", tls, {"action": "GET"}),
    }
    wrong = [answer for answer in answers.values() if answer["status"] != 200]
    if wrong:
        return {"error": wrong[0]["text"].strip()[:400] or f"HTTP {wrong[0]['status']}"}
    said = {name: json.loads(answer["text"]) for name, answer in answers.items()}
    status = said["status"]
    return {
        "error": "",
        "id": status["header"]["member_id"],
        "leader": status.get("leader", "0"),
        "version": status["version"],
        "size": int(status["dbSize"]),
        "size_in_use": int(status.get("dbSizeInUse", 0)),
        "errors": status.get("errors", []),
        "alarms": [alarm["alarm"] for alarm in said["alarms"].get("alarms", [])],
        "members": [
            {"id": member["ID"], "name": member.get("name", ""), "learner": member.get("isLearner", False)}
            for member in said["members"]["members"]
        ],
        "metrics": _metrics(web.ask(_ETCD_METRICS)["text"]),
    }


def _client(ca: str, name: str) -> ssl.SSLContext:
    tls: ssl.SSLContext = web.trusting(f"{PKI}/{ca}", f"{PKI}/{name}.crt", f"{PKI}/{name}.key")
    return tls


def _metrics(text: str) -> dict[str, float]:
    """The few metrics of interest: name with labels → value."""
    lines = (line.rsplit(" ", 1) for line in text.splitlines() if line.startswith(_METRICS))
    return {name: float(value) for name, value in lines}
