"""The drills of three control planes: while one is lost, or all are changed, the API answers.

The host that holds the shared address dies and is replaced; certificates are renewed, their authorities rotated; and
the cluster is upgraded. Before that all three go back to a backup together, which is the one thing that stops the API.
"""

from __future__ import annotations

import re
import subprocess
import time

import pytest
import requests

from tests.cluster_probe import eventually
from tests.drills.api_probe import TIMEOUT_SECONDS, asking
from tests.drills.conftest import Scenario
from tests.drills.harness import Cluster, have_kubernetes

ADDRESS = "10.78.0.39"
BEFORE, AFTER = "1.35.8", "1.36.3"
CONTROL_PLANES = [f"molecule-ha-control-plane-{index}" for index in range(3)]
# VRRP's Master_Down_Interval, one advertisement a second, priority 100 (RFC 9568): 3 s + (256 - 100) / 256 s.
# Then a request that was under way has to time out, and the next one to be answered.
LONGEST_GAP = 3.6 + TIMEOUT_SECONDS + 1


@pytest.fixture(scope="module")
def cluster(scenario: Scenario) -> Cluster:
    have_kubernetes(BEFORE, AFTER)
    return scenario("high_availability")


def holders(cluster: Cluster, hosts: list[str]) -> list[str]:
    """Who holds the shared address."""
    return [host for host in hosts if ADDRESS in cluster.shell(host, "ip -brief -4 address")]


def etcd_members(cluster: Cluster, host: str) -> dict[str, str]:
    """Names and identifiers of the members, as the etcd of a host knows them."""
    pki = "/etc/kubernetes/pki/etcd"
    options = [f"--cacert={pki}/ca.crt", f"--cert={pki}/server.crt", f"--key={pki}/server.key"]
    printed = cluster.kubectl("-n", "kube-system", "exec", f"etcd-{host}", "--", "etcdctl", *options, "member", "list")
    members = [line.split(", ") for line in printed.splitlines()]
    assert all(member[1] == "started" for member in members), printed
    return {member[2]: member[0] for member in members}


def ready(cluster: Cluster) -> set[str]:
    """Nodes that are Ready."""
    return {
        node["metadata"]["name"]
        for node in cluster.kubernetes("get", "nodes")["items"]
        if any(each["type"] == "Ready" and each["status"] == "True" for each in node["status"]["conditions"])
    }


def application() -> bool:
    """Whether it answers, through the shared address."""
    try:
        return requests.get(f"http://{ADDRESS}/", timeout=5).status_code == 200
    except requests.RequestException:
        return False


def test_a_lost_control_plane_is_survived_and_replaced(cluster: Cluster) -> None:
    [lost] = holders(cluster, CONTROL_PLANES)
    survivors = [host for host in CONTROL_PLANES if host != lost]
    before = etcd_members(cluster, survivors[0])
    cluster.kubectl("create", "configmap", "written-before")

    # Lost: the power is gone, nothing is handed over.
    with asking(cluster.kubeconfig) as answers:
        time.sleep(5)
        assert not answers.failed, answers
        subprocess.run(["podman", "kill", lost], check=True, capture_output=True)
        time.sleep(30)
    print(f"the holder of the address was killed: {answers}")
    assert answers.longest_gap <= LONGEST_GAP, answers
    assert len(holders(cluster, survivors)) == 1
    cluster.kubectl("create", "configmap", "written-without-it")
    assert application()

    # Replaced, while clients go on: a new host of the same name, on the old one's etcd volume.
    with asking(cluster.kubeconfig) as answers:
        cluster.playbook("playbooks/remove-node.yml", remove_nodes=[lost])
        assert set(etcd_members(cluster, survivors[0])) == set(survivors)
        subprocess.run(["podman", "rm", "--force", lost], check=True, capture_output=True)
        subprocess.run(
            ["podman", "volume", "rm", f"{lost}-containerd", f"{lost}-kubelet"], check=True, capture_output=True
        )
        cluster.playbook("molecule/shared/create.yml", "--limit", f"localhost,{lost}")
        cluster.playbook("playbooks/site.yml", "--limit", lost)
    print(f"it was replaced: {answers}")
    # The founder of the cluster may have been the lost one: whoever is first joins as anybody else.
    after = etcd_members(cluster, survivors[0])
    assert set(after) == set(CONTROL_PLANES)
    assert after[lost] != before[lost], "the old member came back with its old data"
    assert eventually(lambda: ready(cluster) >= set(CONTROL_PLANES), 120)
    for name in ("written-before", "written-without-it"):
        cluster.kubectl("get", "configmap", name)
    assert holders(cluster, CONTROL_PLANES) != [lost], "the address moved a second time, without need"
    assert answers.longest_gap <= LONGEST_GAP, answers


def test_nothing_is_left_to_do(cluster: Cluster) -> None:
    printed = cluster.playbook("playbooks/site.yml")
    changed = [each for each in printed.split("\nTASK ") if re.search(r"^changed: ", each, re.MULTILINE)]
    assert not changed, "\n".join(changed)
    recap = printed[printed.index("PLAY RECAP") :]
    assert "changed=0" in recap
    assert not [line for line in recap.splitlines() if "changed=" in line and "changed=0" not in line], recap


def test_all_members_go_back_to_a_backup(cluster: Cluster) -> None:
    cluster.kubectl("create", "configmap", "before-the-backup")
    cluster.playbook("playbooks/backup.yml")
    cluster.kubectl("create", "configmap", "after-the-backup")
    cluster.kubectl("delete", "configmap", "before-the-backup")
    began = time.monotonic()
    cluster.playbook("playbooks/restore.yml")
    print(f"restored in {time.monotonic() - began:.0f} s")
    names = cluster.kubectl("get", "configmaps", "--output=name").split()
    assert "configmap/before-the-backup" in names
    assert "configmap/after-the-backup" not in names
    for host in CONTROL_PLANES:  # all of them in one cluster, not each in its own
        assert set(etcd_members(cluster, host)) == set(CONTROL_PLANES)
    assert eventually(lambda: ready(cluster) >= set(CONTROL_PLANES), 120)
    assert eventually(application, 60)


def serials(cluster: Cluster, name: str) -> set[str]:
    """The serial numbers of a certificate that each control plane has of its own."""
    command = f"openssl x509 -noout -serial -in /etc/kubernetes/pki/{name}.crt"
    return {cluster.shell(host, command) for host in CONTROL_PLANES}


def test_certificates_are_renewed_while_the_api_answers(cluster: Cluster) -> None:
    before = serials(cluster, "apiserver") | serials(cluster, "etcd/peer")
    with asking(cluster.kubeconfig) as answers:
        cluster.playbook("playbooks/certificates-renew.yml", kubernetes_certificates_if_less_than_days=3650)
    print(f"certificates were renewed: {answers}")
    assert before.isdisjoint(serials(cluster, "apiserver") | serials(cluster, "etcd/peer"))
    assert answers.longest_gap <= LONGEST_GAP, answers


def test_authorities_are_rotated_while_the_api_answers(cluster: Cluster) -> None:
    [before] = serials(cluster, "ca")
    with asking(cluster.kubeconfig) as answers:
        cluster.playbook(
            "playbooks/certificates-rotate-ca.yml",
            kubernetes_certificates_if_older_than_days=0,  # a cluster of a few minutes would not be rotated
            kubernetes_certificates_workloads="restart",
        )
    print(f"authorities were rotated: {answers}")
    [after] = serials(cluster, "ca")
    assert after != before
    assert eventually(lambda: ready(cluster) >= set(CONTROL_PLANES), 120)
    assert set(etcd_members(cluster, CONTROL_PLANES[0])) == set(CONTROL_PLANES)
    assert answers.longest_gap <= LONGEST_GAP, answers


def test_an_upgrade_leaves_the_api_answering(cluster: Cluster) -> None:
    with asking(cluster.kubeconfig) as answers:
        cluster.playbook("playbooks/upgrade.yml", kubernetes_version=AFTER)
    print(f"{BEFORE} became {AFTER}: {answers}")
    nodes = cluster.kubernetes("get", "nodes")["items"]
    assert {node["status"]["nodeInfo"]["kubeletVersion"] for node in nodes} == {f"v{AFTER}"}
    assert set(etcd_members(cluster, CONTROL_PLANES[0])) == set(CONTROL_PLANES)
    assert answers.longest_gap <= LONGEST_GAP, answers
