"""Every judgement of an inspection: on evidence recorded from a healthy cluster, and on the same with one fault."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from dougong import inspection
from dougong.errors import DougongError
from dougong.inspection import Finding, evidence
from dougong.inspection.areas import cloud as cloud_area
from dougong.inspection.areas.cloud import CloudEvidence, Drift, Thing
from dougong.inspection.areas.etcd import quantile
from dougong.inspection.targets import ALL_PAIRS_UP_TO, NEIGHBOURS, peers, targets

RECORDED = Path(__file__).with_name("golden") / "inspection.json"
CONTROL, WORKER = "control-plane-0", "worker-0"

Change = Callable[[dict[str, Any]], None]


def findings(change: Change | None = None) -> list[Finding]:
    """What is found in the recorded evidence after a change."""
    data = json.loads(RECORDED.read_text())
    if change:
        change(data)
    seen = evidence.Evidence.model_validate(data)
    return [finding for area in inspection.inspect(seen) for finding in area.findings]


def host(name: str, **values: Any) -> Change:
    """One host is another way."""
    return lambda data: data["hosts"][name].update(values)


def part(name: str, key: str, **values: Any) -> Change:
    """A part of one host is another way."""
    return lambda data: data["hosts"][name][key].update(values)


def disk(**values: Any) -> Change:
    return lambda data: data["hosts"][WORKER]["disks"][0].update(values)


def node(**values: Any) -> Change:
    return lambda data: next(n for n in data["cluster"]["nodes"] if n["name"] == WORKER).update(values)


def condition(kind: str, status: str) -> Change:
    return lambda data: data["cluster"]["nodes"][0]["conditions"].update({kind: {"status": status, "message": "so"}})


def pod(**values: Any) -> Change:
    return lambda data: data["cluster"]["pods"][0].update(values)


def component(name: str, version: str) -> Change:
    def change(data: dict[str, Any]) -> None:
        for running in data["cluster"]["components"]:
            if running["component"] == name:
                running["version"] = version

    return change


def every(name: str, key: str, **values: Any) -> Change:
    """Each of a host's name servers, paths or API servers is another way."""

    def change(data: dict[str, Any]) -> None:
        for item in data["hosts"][name][key]:
            item.update(values)

    return change


def both(*changes: Change) -> Change:
    def change(data: dict[str, Any]) -> None:
        for single in changes:
            single(data)

    return change


def taken(days: float) -> Change:
    """The same, looked at later."""
    return lambda data: data.update(taken=data["taken"].replace("2026", str(2026 + int(days // 365))))


def member(**values: Any) -> Change:
    return lambda data: data["hosts"][CONTROL]["etcd"]["members"].append(
        {"id": "4660", "name": "", "learner": False, **values}
    )


def fsync(seconds: str) -> Change:
    """All but the first half of etcd's writes have taken as long as the bucket up to this bound says."""

    def change(data: dict[str, Any]) -> None:
        metrics = data["hosts"][CONTROL]["etcd"]["metrics"]
        for name in metrics:
            if name.startswith("etcd_disk_wal_fsync_duration_seconds_bucket"):
                bound = name.split('"')[1]
                metrics[name] = 1000.0 if bound == "+Inf" or float(bound) >= float(seconds) else 500.0

    return change


def declare(**values: Any) -> Change:
    return lambda data: data["declared"].update(values)


def third_host(data: dict[str, Any]) -> None:
    data["declared"]["hosts"].append({"name": "control-plane-1", "address": "10.78.0.73", "role": "control-plane"})


GIB, DAY = 2**30, 86400
FAULTS: dict[str, tuple[Change, str, str, str]] = {
    "host away": (host(WORKER, unreachable="timed out"), "critical", "hosts", "cannot be looked at: timed out"),
    "disk full": (disk(used=95 * GIB, available=5 * GIB), "critical", "hosts", "disk / is 95% full, 5.0 GiB left"),
    "disk nearly full": (disk(used=87 * GIB, available=13 * GIB), "warning", "hosts", "disk / is 87% full"),
    "inodes": (disk(inodes=1000, inodes_free=40), "critical", "hosts", "4% of its inodes left (40)"),
    "dead volume": (disk(error="Input/output error"), "critical", "hosts", "cannot be read: Input/output error"),
    "memory": (part(WORKER, "memory", available=2**20), "critical", "hosts", "of memory is available (1 MiB)"),
    "swap": (
        both(host(WORKER, container=False), part(WORKER, "memory", swap_total=GIB)),
        "warning",
        "hosts",
        "swap is on (0 B of 1.0 GiB used)",
    ),
    "sysctl": (
        lambda data: data["hosts"][WORKER]["sysctls"][0].update(found="0"),
        "warning",
        "hosts",
        "net.ipv4.ip_forward is 0, not 1",
    ),
    "nothing set up": (host(WORKER, sysctls=None), "warning", "hosts", "90-dougong.conf is not there"),
    "unit": (host(WORKER, failed_units=["a.service"]), "warning", "hosts", "the unit a.service has failed"),
    "clock": (every(WORKER, "api_servers", offset=[4.5, 5.6]), "warning", "hosts", "its clock is 4.5 s or more away"),
    "clock behind": (every(WORKER, "api_servers", offset=[-61.0, -60.0]), "critical", "hosts", "60.0 s or more away"),
    "containerd stopped": (
        lambda data: data["hosts"][WORKER]["services"]["containerd.service"].update(state="failed"),
        "critical",
        "runtime",
        "containerd is failed",
    ),
    "containerd hangs": (part(WORKER, "runtime", error="deadline"), "critical", "runtime", "does not answer: deadline"),
    "containerd old": (part(WORKER, "runtime", versions=["2.4.2", "2.4.1"]), "warning", "runtime", "2.4.2 and 2.4.1"),
    "containerd crashes": (
        lambda data: data["hosts"][WORKER]["services"]["containerd.service"].update(restarts=7),
        "warning",
        "runtime",
        "has crashed 7 times",
    ),
    "mixed runtimes": (
        node(runtime="containerd://1.7.0"),
        "warning",
        "runtime",
        "containerd://1.7.0, containerd://2.4",
    ),
    "etcd away": (host(CONTROL, etcd={"error": "refused"}), "critical", "etcd", "its etcd does not answer: refused"),
    "no member": (third_host, "critical", "etcd", "is a control plane, and no member of etcd"),
    "member never started": (member(), "critical", "etcd", "member 1234 was added and has never started"),
    "member left over": (member(name="old-2"), "warning", "etcd", "member 1234 (old-2) is no control plane"),
    "quorum at its edge": (member(name="x"), "critical", "etcd", "1 of 2 members answer, 2 are needed"),
    "no leader": (part(CONTROL, "etcd", leader="0"), "critical", "etcd", "do not agree on a leader"),
    "alarm": (part(CONTROL, "etcd", alarms=["NOSPACE"]), "critical", "etcd", "has raised the alarm NOSPACE"),
    "slow disk": (fsync("0.032"), "info", "etcd", "etcd's disk is slow: fsync 32 ms"),
    "very slow disk": (fsync("1.024"), "warning", "etcd", "etcd's disk is slow: fsync 1014 ms"),
    "quota": (part(CONTROL, "etcd", size=2**31 - 1), "critical", "etcd", "2048 MiB of 2048 MiB"),
    "fragmented": (part(CONTROL, "etcd", size=GIB, size_in_use=2**20), "info", "etcd", "1023 MiB of 1024 MiB"),
    "API away": (
        lambda data: data.update(cluster={"error": "Connection refused"}),
        "critical",
        "control plane",
        "does not answer the controller: Connection refused",
    ),
    "component": (
        lambda data: data["hosts"][CONTROL]["components"]["kube-scheduler"].update(status=0, text="refused"),
        "critical",
        "control plane",
        "kube-scheduler is not healthy: refused",
    ),
    "readyz": (
        lambda data: data["hosts"][CONTROL]["components"]["kube-apiserver"].update(
            status=500, text="[+]ping ok\n[-]etcd failed: reason withheld\nreadyz check failed"
        ),
        "critical",
        "control plane",
        "kube-apiserver is not healthy: [-]etcd failed: reason withheld",
    ),
    "no control plane": (host(CONTROL, components=None), "critical", "control plane", "has never made one of it"),
    "way to the API": (
        every(WORKER, "api_servers", status=0, text="timed out"),
        "critical",
        "control plane",
        "does not reach the API server of control-plane-0: timed out",
    ),
    "slow API": (every(WORKER, "api_servers", seconds=2.0), "warning", "control plane", "took 2.0 s to answer"),
    "kubelet stopped": (
        lambda data: data["hosts"][WORKER]["services"]["kubelet.service"].update(state="inactive"),
        "critical",
        "nodes",
        "its kubelet is inactive",
    ),
    "no node": (
        lambda data: data["cluster"]["nodes"].pop(),
        "critical",
        "nodes",
        "is a host of the cluster, and no node",
    ),
    "strange node": (node(name="stranger"), "warning", "nodes", "is a node, and no host of the inventory"),
    "not ready": (condition("Ready", "Unknown"), "critical", "nodes", "is not Ready: so"),
    "pressure": (condition("DiskPressure", "True"), "critical", "nodes", "DiskPressure: so"),
    "heartbeat": (node(heartbeat_seconds=30.0), "warning", "nodes", "its last heartbeat was 30 s ago"),
    "cordoned": (node(unschedulable=True), "info", "nodes", "is cordoned"),
    "pod": (pod(ready=False, reason="CrashLoopBackOff"), "critical", "nodes", "is not at work on worker-0: CrashLoop"),
    "somebody's pod": (pod(name="shop/web", ready=False), "warning", "nodes", "is not at work on worker-0: Running"),
    "crashes": (
        pod(restarts=5, restarted_seconds_ago=60.0),
        "warning",
        "nodes",
        "was restarted 5 times, last 60 s ago",
    ),
    "no DNS": (lambda data: data["cluster"].update(name_servers=[]), "critical", "DNS", "CoreDNS has no pod"),
    "DNS unheard": (every(WORKER, "name_servers", error="no answer"), "critical", "DNS", "no answer on worker-0"),
    "slow DNS": (every(WORKER, "name_servers", milliseconds=900.0), "warning", "DNS", "took 900 ms to answer"),
    "path": (every(WORKER, "paths", small=0, full=0), "critical", "network", "no answer from"),
    "MTU of a path": (every(WORKER, "paths", full=0), "critical", "network", "bytes do not pass, small ones do"),
    "slow path": (every(WORKER, "paths", milliseconds=75.0), "warning", "network", "takes 75.0 ms there and back"),
    "MTU of a host": (declare(mtu=1442), "critical", "network", "has MTU 1500, the cloud's network carries 1442"),
    "MTU of pods": (host(WORKER, pod_mtu=1501), "critical", "network", "pods have MTU 1501, and only 1500 fits"),
    "MTU with overlay": (
        both(declare(encapsulation="VXLAN"), host(WORKER, pod_mtu=1460)),
        "critical",
        "network",
        "pods have MTU 1460, and only 1450 fits through",
    ),
    "volume": (host(WORKER, mounts={"/srv/data": False}), "critical", "storage", "nothing is mounted at /srv/data"),
    "claim": (
        lambda data: data["cluster"]["claims"].append(
            {"name": "shop/db", "phase": "Pending", "storage_class": "fast", "age": 900.0}
        ),
        "warning",
        "storage",
        "has no volume after 15 min",
    ),
    "claim lost": (
        lambda data: data["cluster"]["claims"].append(
            {"name": "shop/db", "phase": "Lost", "storage_class": "fast", "age": 900.0}
        ),
        "critical",
        "storage",
        "its volume is gone",
    ),
    "failed volume": (
        lambda data: data["cluster"]["volumes"].append({"name": "pv", "phase": "Failed", "message": "not deleted"}),
        "warning",
        "storage",
        "not deleted",
    ),
    "attachment": (
        lambda data: data["cluster"]["attachments"].append({"volume": "pv", "node": WORKER, "message": "in use"}),
        "warning",
        "storage",
        "cannot be attached to or detached from worker-0: in use",
    ),
    "expired": (taken(days=2 * 365), "critical", "certificates", "expired"),
    "never backed up": (
        host(CONTROL, backup={"age": None, "scheduled": False}),
        "info",
        "backups",
        "no backup was ever",
    ),
    "timer without backup": (
        host(CONTROL, backup={"age": None, "scheduled": True}),
        "warning",
        "backups",
        "none has arr",
    ),
    "old backup": (
        host(CONTROL, backup={"age": 9.0 * DAY, "scheduled": True}),
        "warning",
        "backups",
        "its last backup is 9 days old",
    ),
    "old kubelet": (node(kubelet="v1.32.1"), "critical", "versions", "1.32.1 is more than 3 minors older"),
    "new kubelet": (node(kubelet="v1.37.0"), "critical", "versions", "1.37.0 is newer than the API server's 1.36.3"),
    "old scheduler": (component("kube-scheduler", "v1.34.1"), "critical", "versions", "more than 1 minors older"),
    "half upgraded": (node(kubelet="v1.35.8"), "warning", "versions", "several versions of Kubernetes: 1.35.8, 1.36.3"),
    "not upgraded": (declare(version="1.37.0"), "info", "versions", "runs 1.36.3, platform.yml says 1.37.0"),
}


def test_a_healthy_cluster_has_no_findings() -> None:
    assert findings() == []


def test_every_area_says_what_was_looked_at() -> None:
    seen = {area.name: area.seen for area in inspection.inspect(evidence.read(RECORDED))}
    assert seen["etcd"] == "1 of 1 members answer, fsync p99 7.4 ms, database 3 MiB"
    assert seen["nodes"] == "2 of 2 Ready; 11 of 11 pods at work"
    assert seen["storage"] == "1 of 1 declared volumes mounted; no claims"
    assert all(seen.values())


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(fault: str) -> None:
    change, severity, area, words = FAULTS[fault]
    found = [finding for finding in findings(change) if words in finding.evidence]
    assert found, findings(change)
    assert {(finding.severity, finding.area) for finding in found} == {(severity, area)}
    assert all(finding.remedy and finding.where for finding in found)


@pytest.mark.parametrize(
    "change",
    [
        pod(ready=False, age=20.0),  # it starts
        pod(restarts=9, restarted_seconds_ago=7200.0),  # long ago
        every(WORKER, "api_servers", offset=[-0.4, 0.9]),  # within what HTTP's Date can tell
        part(WORKER, "memory", swap_total=GIB),  # a container's machine may swap
        node(heartbeat_seconds=11.0),
        component("etcd", "3.6.9-0"),  # a version of its own
        component("kube-proxy", "mirrored"),  # a tag that says no version
    ],
)
def test_what_is_in_order_is_no_finding(change: Change) -> None:
    assert findings(change) == []


def test_a_claim_that_waits_for_its_first_pod_is_in_order() -> None:
    def change(data: dict[str, Any]) -> None:
        data["cluster"]["waiting_classes"] = ["fast"]
        FAULTS["claim"][0](data)

    assert findings(change) == []


@pytest.mark.parametrize(("days", "severity"), [(20, "warning"), (3, "critical")])
def test_a_certificate_about_to_end(days: int, severity: str) -> None:
    def change(data: dict[str, Any]) -> None:
        found = data["hosts"][CONTROL]["certificates"][0]
        ends = x509.load_pem_x509_certificate(found["pem"].encode()).not_valid_after_utc
        data["hosts"][CONTROL]["certificates"] = [found]
        data["hosts"][WORKER]["certificates"] = []
        data["taken"] = (ends - timedelta(days=days)).isoformat()

    (found,) = findings(change)
    assert (found.severity, found.area) == (severity, "certificates")
    assert f"expires in {days} days" in found.evidence


def test_a_host_that_nobody_reaches_is_said_once() -> None:
    def change(data: dict[str, Any]) -> None:
        path = data["hosts"][WORKER]["paths"][0] | {"small": 0, "full": 0, "kind": "host", "node": CONTROL}
        for number in range(5):
            data["hosts"][f"worker-{number}"] = data["hosts"][WORKER] | {"paths": [path]}

    found = [finding for finding in findings(change) if finding.area == "network"]
    assert [(finding.where, finding.evidence) for finding in found] == [
        (CONTROL, "this host: nobody of 5 gets an answer")
    ]


def test_findings_come_the_worst_first() -> None:
    def change(data: dict[str, Any]) -> None:
        FAULTS["sysctl"][0](data)
        FAULTS["disk full"][0](data)

    assert [finding.severity for finding in findings(change)] == ["critical", "warning"]


def test_information_alarms_nobody() -> None:
    assert not inspection.alarming(findings(FAULTS["slow disk"][0]))
    assert inspection.alarming(findings(FAULTS["sysctl"][0]))


def test_quantiles_are_interpolated() -> None:
    metrics = {'x_bucket{le="1"}': 50.0, 'x_bucket{le="2"}': 100.0, 'x_bucket{le="+Inf"}': 100.0}
    assert quantile(metrics, "x", 0.5) == 1.0
    assert quantile(metrics, "x", 0.75) == 1.5
    assert quantile({'x_bucket{le="1"}': 0.0, 'x_bucket{le="+Inf"}': 9.0}, "x", 0.5) == 1.0
    assert quantile({'x_bucket{le="1"}': 0.0, 'x_bucket{le="+Inf"}': 0.0}, "x", 0.5) is None
    assert quantile({}, "x", 0.5) is None


def test_few_nodes_try_all_others() -> None:
    names = [f"n{number:02}" for number in range(ALL_PAIRS_UP_TO)]
    assert peers(names, "n05") == [name for name in names if name != "n05"]
    assert peers(names, "bastion") == []


def test_many_nodes_try_a_ring_in_which_nobody_is_left_out() -> None:
    names = [f"n{number:03}" for number in range(300)]
    tried = {name: peers(names, name) for name in names}
    assert {len(others) for others in tried.values()} == {NEIGHBOURS}
    assert all(name not in others for name, others in tried.items())
    times = [sum(name in others for others in tried.values()) for name in names]
    assert set(times) == {NEIGHBOURS}


def test_a_bastion_tries_nothing() -> None:
    hosts = [
        {"name": "bastion", "address": "10.0.0.9", "role": ""},
        {"name": "a", "address": "10.0.0.1", "role": "worker"},
    ]
    assert targets("bastion", hosts, {"error": "no"}) == {"paths": [], "api_servers": [], "name_servers": []}
    assert targets("a", hosts, {"error": "no"})["paths"] == []


def test_targets_are_hosts_and_their_pod_networks() -> None:
    hosts = [
        {"name": "a", "address": "10.0.0.1", "role": "control-plane"},
        {"name": "b", "address": "10.0.0.2", "role": "worker"},
    ]
    cluster = {
        "nodes": [{"name": "a", "tunnel": "10.244.0.1"}, {"name": "b", "tunnel": None}],
        "name_servers": [{"name": "service kube-dns", "address": "10.96.0.10"}],
    }
    assert targets("b", hosts, cluster) == {
        "paths": [
            {"node": "a", "address": "10.0.0.1", "kind": "host"},
            {"node": "a", "address": "10.244.0.1", "kind": "pod"},
        ],
        "api_servers": [{"node": "a", "address": "10.0.0.1"}],
        "name_servers": cluster["name_servers"],
    }


def test_evidence_of_another_version_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "inspection.json"
    with pytest.raises(DougongError, match="there is no evidence"):
        evidence.read(file)
    file.write_text('{"taken": "2026-01-01T00:00:00Z"}')
    with pytest.raises(DougongError, match="no evidence of this version: declared"):
        evidence.read(file)


CLOUD: dict[str, tuple[CloudEvidence, str, str]] = {
    "a deleted port": (
        CloudEvidence([Drift("cluster", "create", "Port", "lab-worker-1")]),
        "critical",
        "Port lab-worker-1: is declared, and not in the cloud",
    ),
    "its server": (
        CloudEvidence(
            [
                Drift("cluster", "delete-replaced", "Instance", "lab-worker-1"),
                Drift("cluster", "create-replacement", "Instance", "lab-worker-1"),
                Drift("cluster", "replace", "Instance", "lab-worker-1"),
            ]
        ),
        "warning",
        "Instance lab-worker-1: cannot be made right as it is",
    ),
    "a changed one": (
        CloudEvidence([Drift("network", "update", "SecGroup", "lab-node")]),
        "warning",
        "SecGroup lab-node: differs from what is declared",
    ),
    "one too many": (
        CloudEvidence([Drift("cluster", "delete", "Volume", "lab-old")]),
        "warning",
        "Volume lab-old: is in the cloud, and not declared any more",
    ),
    "a broken balancer": (
        CloudEvidence(things=[Thing("load balancer", "lab-api", "ERROR", "ONLINE")]),
        "critical",
        "load balancer lab-api: is ERROR in the cloud",
    ),
    "one without members": (
        CloudEvidence(things=[Thing("load balancer", "lab-api", "ACTIVE", "ERROR")]),
        "critical",
        "load balancer lab-api: is ERROR: no member answers",
    ),
    "one with few members": (
        CloudEvidence(things=[Thing("load balancer", "lab-api", "ACTIVE", "DEGRADED")]),
        "warning",
        "load balancer lab-api: is DEGRADED",
    ),
    "a server that is off": (
        CloudEvidence(things=[Thing("server", "lab-worker-0", "SHUTOFF")]),
        "critical",
        "server lab-worker-0: is SHUTOFF in the cloud",
    ),
    "a broken volume": (
        CloudEvidence(things=[Thing("volume", "lab-worker-0-data", "error_deleting")]),
        "critical",
        "volume lab-worker-0-data: is error_deleting in the cloud",
    ),
    "no answer": (CloudEvidence(errors=[("stack cluster", "locked", "wait")]), "critical", "stack cluster: locked"),
}


@pytest.mark.parametrize("fault", CLOUD)
def test_a_fault_in_the_cloud_is_found(fault: str) -> None:
    seen, severity, words = CLOUD[fault]
    (finding,) = cloud_area.judge(seen)
    assert finding.severity == severity
    assert f"{finding.where}: {finding.evidence}".startswith(words)
    assert finding.remedy


def test_a_healthy_cloud_has_no_findings() -> None:
    things = [
        Thing("server", "lab-worker-0", "ACTIVE"),
        Thing("load balancer", "lab-api", "ACTIVE", "ONLINE"),
        Thing("load balancer", "kube_service_lab_web", "ACTIVE", "NO_MONITOR"),
        Thing("volume", "lab-worker-0-data", "in-use"),
    ]
    drift = [Drift("cluster", "same", "Port", "a"), Drift("cluster", "refresh", "Port", "a")]
    seen = CloudEvidence(drift=drift, unchanged=40, things=things)
    assert list(cloud_area.judge(seen)) == []
    assert cloud_area.seen(seen) == "40 resources as declared; 1 servers, 2 load balancers, 1 volumes"
