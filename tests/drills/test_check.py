"""An inspection finds what is broken on purpose, and nothing on a healthy cluster.

The pod network of this cluster has no encapsulation: the inspection's paths to pods prove that it works.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from dougong import inspection
from dougong.inspection import Finding, evidence
from tests.cluster_probe import eventually
from tests.drills.conftest import Scenario
from tests.drills.harness import Cluster

CONTROL, WORKER = "molecule-check-control-plane-0", "molecule-check-worker-0"
_ETCDCTL = (
    *("exec", "--namespace=kube-system", f"etcd-{CONTROL}", "--", "etcdctl"),
    *("--cacert=/etc/kubernetes/pki/etcd/ca.crt", "--cert=/etc/kubernetes/pki/etcd/healthcheck-client.crt"),
    "--key=/etc/kubernetes/pki/etcd/healthcheck-client.key",
)
_LEAF = "/etc/kubernetes/pki/front-proxy-client.crt"


@pytest.fixture(scope="module")
def cluster(scenario: Scenario) -> Cluster:
    return scenario("inspection")


def inspect(cluster: Cluster) -> list[Finding]:
    """What the playbook's evidence says, but for the disk below the containers: it is the machine's, full or slow."""
    cluster.playbook("playbooks/check.yml", inspection_strict=False)
    seen = evidence.read(Path(cluster.variables["MOLECULE_EPHEMERAL_DIRECTORY"], "inspection.json"))
    findings = [finding for area in inspection.inspect(seen) for finding in area.findings]
    return [finding for finding in findings if not finding.evidence.startswith(("disk / ", "etcd's disk is slow"))]


def healthy(cluster: Cluster) -> bool:
    return not inspection.alarming(inspect(cluster))


@dataclass(frozen=True)
class Fault:
    """Something broken: how to break and mend it, and what the inspection has to say of it."""

    host: str
    breaks: str
    mends: str
    severity: str
    says: str


FAULTS = {
    "full disk": Fault(
        WORKER,
        "mkdir -p /srv/full && mount -t tmpfs -o size=8m full /srv/full && head -c 8M /dev/zero >/srv/full/file",
        "umount /srv/full && rmdir /srv/full",
        "critical",
        "/srv/full is 100% full",
    ),
    "stopped kubelet": Fault(
        WORKER, "systemctl stop kubelet", "systemctl start kubelet", "critical", "its kubelet is inactive"
    ),
    "wrong sysctl": Fault(
        WORKER,
        "sysctl --write net.ipv4.ip_forward=0",
        "systemctl restart systemd-sysctl",
        "warning",
        "net.ipv4.ip_forward is 0, not 1",
    ),
    "expired leaf": Fault(
        CONTROL,
        f"cp -p {_LEAF} /root/leaf && openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=front-proxy-client "
        f"-not_before 20240101000000Z -not_after 20240201000000Z -keyout /dev/null -out {_LEAF}",
        f"mv /root/leaf {_LEAF}",
        "critical",
        f"{_LEAF} expired",
    ),
    "stopped containerd": Fault(
        WORKER, "systemctl stop containerd", "systemctl start containerd", "critical", "containerd is inactive"
    ),
    "broken path": Fault(
        WORKER,
        "ip link set dev eth0 mtu 1400",
        "ip link set dev eth0 mtu 1500",
        "critical",
        "bytes do not pass, small ones do",
    ),
    "failed unit": Fault(
        WORKER,
        "systemd-run --unit=broken false; sleep 1",
        "systemctl reset-failed broken",
        "warning",
        "the unit broken.service has failed",
    ),
}


def test_a_healthy_cluster_alarms_nobody(cluster: Cluster) -> None:
    # On a busy machine an answer may come late enough to be told, once.
    assert eventually(lambda: healthy(cluster), seconds=300), inspect(cluster)


def test_by_hand_the_exit_code_says_so(cluster: Cluster) -> None:
    cluster.shell(WORKER, "systemctl stop kubelet")
    try:
        assert "its kubelet is inactive" in cluster.playbook("playbooks/check.yml", expect=2)
    finally:
        cluster.shell(WORKER, "systemctl start kubelet")


@pytest.mark.parametrize("name", FAULTS)
def test_what_is_broken_is_found(cluster: Cluster, name: str) -> None:
    fault = FAULTS[name]
    cluster.shell(fault.host, fault.breaks)
    try:
        found = inspect(cluster)
    finally:
        cluster.shell(fault.host, fault.mends)
    matches = [finding for finding in found if fault.says in finding.evidence]
    assert matches, found
    assert {finding.severity for finding in matches} == {fault.severity}
    assert all(fault.host in finding.where for finding in matches)


def test_a_member_of_etcd_that_never_started_is_found(cluster: Cluster) -> None:
    # A learner does not vote: a second voting member that is not there would stop this cluster of one.
    added = cluster.kubectl(*_ETCDCTL, "member", "add", "ghost", "--learner", "--peer-urls=https://10.78.0.79:2380")
    identifier = added.split()[1]
    try:
        found = inspect(cluster)
    finally:
        cluster.kubectl(*_ETCDCTL, "member", "remove", identifier)
    assert [f"member {identifier} was added and has never started"] == [
        finding.evidence for finding in found if finding.area == "etcd" and finding.severity == "critical"
    ]


def test_a_host_that_is_away_is_a_finding_and_no_failure(cluster: Cluster) -> None:
    cluster.shell(WORKER, "systemctl stop ssh.service && loginctl terminate-user debian")
    try:
        found = inspect(cluster)
    finally:
        cluster.shell(WORKER, "systemctl start ssh.service")
    (gone,) = [finding for finding in found if finding.area == "hosts"]
    assert (gone.where, gone.severity) == (WORKER, "critical")
    assert gone.evidence.startswith("cannot be looked at")
