"""Certificates: found when they are about to end, renewed, and their authorities rotated under load."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.drills.conftest import Scenario
from tests.drills.harness import Cluster

CONTROL_PLANE = "molecule-certificates-control-plane-0"
WORKER = "molecule-certificates-worker-0"
API = "10.78.0.51"
NODE_PORT = "http://10.78.0.54:30080/healthz"
PKI = "/etc/kubernetes/pki"
# Of the drill's own client.
NAMESPACE = "drill"
STATUS = "playbooks/certificates.yml"
RENEW = "playbooks/certificates-renew.yml"
ROTATE = "playbooks/certificates-rotate-ca.yml"
# A cluster of a few minutes would not be rotated; and the drill's own pods are restarted as a user's would be.
NOW: dict[str, Any] = {"kubernetes_certificates_if_older_than_days": 0, "kubernetes_certificates_workloads": "restart"}

# With a single control plane the API is away while its server and etcd start anew, three times. Traffic of
# applications does not pass there and may lose nothing.
LONGEST_API_GAP_SECONDS = 90


@pytest.fixture(scope="module")
def cluster(scenario: Scenario) -> Cluster:
    return scenario("certificates")


@dataclass
class Probe:
    """A request that is made again and again; each is tried once."""

    request: Callable[[], None]
    every_seconds: float
    answers: list[tuple[float, str]] = field(default_factory=list)

    def run(self, over: threading.Event) -> None:
        while not over.wait(self.every_seconds):
            try:
                self.request()
                self.answers.append((time.monotonic(), ""))
            except OSError as error:
                self.answers.append((time.monotonic(), str(error) or type(error).__name__))

    @property
    def failures(self) -> list[str]:
        return [failure for _, failure in self.answers if failure]

    def longest_gap(self) -> float:
        """Seconds between two answers, at most."""
        good = [moment for moment, failure in self.answers if not failure]
        return max((after - before for before, after in pairwise(good)), default=float("inf"))


def page(address: str) -> None:
    with urllib.request.urlopen(address, timeout=3) as answer:  # noqa: S310  # an address of the drill's own
        answer.read()


def api(kubeconfig: Path) -> None:
    """Ask the API as kubectl would: everything is read from the kubeconfig, which may have been written anew."""
    config = yaml.safe_load(kubeconfig.read_text())
    described, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    context = ssl.create_default_context(
        cadata=base64.b64decode(described["certificate-authority-data"]).decode(),
    )
    pair = kubeconfig.with_name(f"probe-{threading.get_ident()}.pem")
    pair.write_bytes(base64.b64decode(user["client-certificate-data"]) + base64.b64decode(user["client-key-data"]))
    context.load_cert_chain(pair)
    with urllib.request.urlopen(f"{described['server']}/api/v1/nodes", timeout=3, context=context) as answer:  # noqa: S310
        answer.read()


@contextmanager
def load(cluster: Cluster) -> Iterator[dict[str, Probe]]:
    """Requests to the API and to an application, from before to after what is done meanwhile."""
    probes = {
        "api": Probe(lambda: api(cluster.kubeconfig), 0.2),
        "node port": Probe(lambda: page(NODE_PORT), 0.05),
    }
    over = threading.Event()
    threads = [threading.Thread(target=probe.run, args=(over,)) for probe in probes.values()]
    for thread in threads:
        thread.start()
    try:
        yield probes
    finally:
        over.set()
        for thread in threads:
            thread.join()
        for name, probe in probes.items():
            print(
                f"{name}: {len(probe.answers)} requests, {len(probe.failures)} failed, "
                f"longest gap {probe.longest_gap():.1f} s {sorted(set(probe.failures))}"
            )


def changed(printed: str) -> int:
    return sum(map(int, re.findall(r"changed=(\d+)", printed)))


def found(cluster: Cluster) -> list[dict[str, Any]]:
    """What the status playbook finds, as data."""
    environment = {**cluster.variables, "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json"}
    printed = Cluster(cluster.name, environment).playbook(STATUS)
    tasks = [task for play in json.loads(printed)["plays"] for task in play["tasks"]]
    known = next(task for task in tasks if task["task"]["name"].endswith("Certificates are known"))
    return [
        certificate
        for result in known["hosts"].values()
        for certificate in result["ansible_facts"]["kubernetes_certificates_found"]
    ]


def one(certificates: list[dict[str, Any]], host: str, name: str) -> dict[str, Any]:
    return next(item for item in certificates if (item["host"], item["name"]) == (host, name))


def sign(cluster: Cluster, name: str, days: int, *, authority: str = "ca") -> None:
    """Replace a leaf by one of the same subject and names that ends in so many days."""
    cluster.shell(
        CONTROL_PLANE,
        f"cd {PKI} && "
        f"openssl x509 -x509toreq -in {name}.crt -signkey {name}.key -copy_extensions copy -out /tmp/r.csr && "
        f"openssl x509 -req -in /tmp/r.csr -CA {authority}.crt -CAkey {authority}.key -days {days} "
        f"-copy_extensions copy -out {name}.crt",
    )


def test_status_finds_what_ends_soon_and_what_is_not_loaded(cluster: Cluster) -> None:
    certificates = found(cluster)
    assert all(certificate["days_left"] >= 360 for certificate in certificates)
    assert {certificate["loaded"] for certificate in certificates} == {True, None}
    names = {certificate["name"] for certificate in certificates if certificate["host"] == CONTROL_PLANE}
    assert names >= {
        *("ca", "front-proxy-ca", "etcd/ca"),
        *("apiserver", "apiserver-kubelet-client", "apiserver-etcd-client", "front-proxy-client"),
        *("etcd/server", "etcd/peer", "etcd/healthcheck-client"),
        *("admin.conf", "super-admin.conf", "scheduler.conf", "controller-manager.conf"),
        *("kubelet-client", "kubelet-server"),
    }
    sign(cluster, "apiserver-kubelet-client", 5)
    ending = one(found(cluster), CONTROL_PLANE, "apiserver-kubelet-client")
    assert ending["days_left"] == 4
    assert ending["loaded"] is False


def test_renewal_replaces_it_and_loses_no_request_of_an_application(cluster: Cluster) -> None:
    before = found(cluster)
    with load(cluster) as probes:
        cluster.playbook(RENEW)
    after = found(cluster)
    for name in ("apiserver", "apiserver-kubelet-client", "etcd/peer", "scheduler.conf", "admin.conf"):
        renewed = one(after, CONTROL_PLANE, name)
        assert renewed["serial"] != one(before, CONTROL_PLANE, name)["serial"]
        assert renewed["days_left"] == 364
    assert all(certificate["loaded"] is not False for certificate in after)
    assert one(after, "controller", "kubeconfig")["serial"] == one(after, CONTROL_PLANE, "admin.conf")["serial"]
    assert probes["node port"].failures == []
    assert probes["api"].longest_gap() < LONGEST_API_GAP_SECONDS


def test_a_second_renewal_changes_nothing(cluster: Cluster) -> None:
    assert changed(cluster.playbook(RENEW)) == 0


def test_a_young_authority_stays(cluster: Cluster) -> None:
    printed = cluster.playbook(ROTATE)
    assert "they stay" in printed
    assert changed(printed) == 0


def start_client(cluster: Cluster) -> None:
    """A pod on the worker that asks the API each second, with what every pod is given to check it."""
    subprocess.run(["podman", "cp", f"{CONTROL_PLANE}:/usr/local/bin/kubectl", "/tmp/drill-kubectl"], check=True)
    subprocess.run(["podman", "cp", "/tmp/drill-kubectl", f"{WORKER}:/usr/local/bin/kubectl"], check=True)
    Path("/tmp/drill-kubectl").unlink()
    # Said in full: kubectl takes none of it by itself when it is told a timeout.
    given = "/var/run/secrets/kubernetes.io/serviceaccount"
    ask = (
        f"/host/kubectl --server=https://$KUBERNETES_SERVICE_HOST --certificate-authority={given}/ca.crt "
        f'--token="$(busybox cat {given}/token)" get --raw=/api/v1/namespaces/default --request-timeout=3s'
    )
    container = {
        "name": "client",
        "image": "dougong.local/test-tools:1.0.0",
        "imagePullPolicy": "Never",
        "command": [
            "sh",
            "-c",
            f"while :; do if {ask} >/tmp/answer 2>&1; then echo ok; else cat /tmp/answer; fi; busybox sleep 1; done",
        ],
        "volumeMounts": [{"name": "bin", "mountPath": "/host", "readOnly": True}],
    }
    manifest = [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            # For the folder of the host, which is where kubectl comes from.
            "metadata": {"name": NAMESPACE, "labels": {"pod-security.kubernetes.io/enforce": "privileged"}},
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "drill-client"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
            "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": NAMESPACE}],
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "client", "namespace": NAMESPACE},
            "spec": {
                "selector": {"matchLabels": {"app": "client"}},
                "template": {
                    "metadata": {"labels": {"app": "client"}},
                    "spec": {
                        "containers": [container],
                        "terminationGracePeriodSeconds": 1,
                        "volumes": [{"name": "bin", "hostPath": {"path": "/usr/local/bin"}}],
                    },
                },
            },
        },
    ]
    subprocess.run(
        ["kubectl", "apply", "-f", "-"],
        input=json.dumps({"apiVersion": "v1", "kind": "List", "items": manifest}),
        env=cluster.variables,
        text=True,
        check=True,
    )
    cluster.kubectl("rollout", "status", "deployment/client", f"--namespace={NAMESPACE}", "--timeout=120s")


@pytest.fixture(scope="module")
def old(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What somebody may have kept from before the rotation: the administrator's kubeconfig, and etcd's files."""
    folder = tmp_path_factory.mktemp("old")
    (folder / "kubeconfig").write_bytes(cluster.kubeconfig.read_bytes())
    for host in (CONTROL_PLANE, WORKER):
        cluster.shell(host, "rm -rf /root/old && cp -r /etc/kubernetes/pki /root/old")
    return folder


def killed_at(cluster: Cluster, text: str) -> None:
    """Start the rotation and kill it, workers and all, when it has printed something."""
    process = cluster.start_playbook(ROTATE, **NOW)
    assert process.stdout
    printed = []
    for line in process.stdout:
        printed.append(line)
        if text in line:
            os.killpg(process.pid, signal.SIGKILL)
            break
    process.wait()
    assert process.returncode == -signal.SIGKILL, "".join(printed)


def test_rotation_under_load_killed_on_the_way(cluster: Cluster, old: Path) -> None:
    start_client(cluster)
    with load(cluster) as probes:
        # The new authorities are in the files of the control plane, and nothing has loaded them;
        killed_at(cluster, "TASK [kubernetes_certificates : Components run with the files")
        # the control plane has new certificates, no kubelet has.
        killed_at(cluster, "kubelet.yml for")
        printed = cluster.playbook(ROTATE, **NOW)
    assert "goes on at: issue" in printed
    answers = cluster.kubectl("logs", "deployment/client", f"--namespace={NAMESPACE}").splitlines()
    print(f"pod: {len(answers)} requests, {len(answers) - answers.count('ok')} failed")
    assert answers[-3:] == ["ok"] * 3
    assert not [answer for answer in answers if "x509" in answer], "it never met a certificate that it does not know"
    assert probes["node port"].failures == []
    assert not [failure for failure in probes["api"].failures if "CERTIFICATE" in failure]
    assert probes["api"].longest_gap() < LONGEST_API_GAP_SECONDS


def test_afterwards_every_certificate_is_of_a_new_authority(cluster: Cluster, old: Path) -> None:
    certificates = found(cluster)
    assert not [certificate for certificate in certificates if certificate["loaded"] is False]
    for name in ("ca", "front-proxy-ca", "etcd/ca"):
        assert len([c for c in certificates if (c["host"], c["name"]) == (CONTROL_PLANE, name)]) == 1
        before, after = (cluster.shell(CONTROL_PLANE, f"cat {folder}/{name}.crt") for folder in ("/root/old", PKI))
        assert before != after
    published = cluster.kubernetes("get", "configmap", "kube-root-ca.crt", "--namespace=kube-system")
    assert published["data"]["ca.crt"] == cluster.shell(CONTROL_PLANE, f"cat {PKI}/ca.crt")
    assert cluster.shell(CONTROL_PLANE, f"ls {PKI}").split().count("rotation") == 0


def test_what_the_old_authority_issued_is_refused(cluster: Cluster, old: Path) -> None:
    config = yaml.safe_load((old / "kubeconfig").read_text())
    config["clusters"][0]["cluster"] = {"server": f"https://{API}:6443", "insecure-skip-tls-verify": True}
    (old / "blind").write_text(yaml.safe_dump(config))
    # The API: the server's new certificate is no longer looked at here, the client's old one is.
    refused = subprocess.run(
        ["kubectl", f"--kubeconfig={old / 'blind'}", "get", "nodes"], capture_output=True, text=True, check=False
    )
    assert "Unauthorized" in refused.stderr or "must be logged in" in refused.stderr
    for name, url in (
        ("apiserver-kubelet-client", f"https://{API}:10250/pods"),
        ("apiserver-etcd-client", f"https://{API}:2379/health"),
    ):
        assert answer(cluster, url, f"{PKI}/{name}", old) == "200"
        assert answer(cluster, url, f"/root/old/{name}", old) in ("401", "refused")


def answer(cluster: Cluster, url: str, pair: str, folder: Path) -> str:
    """The HTTP status that a client with a certificate of the control plane gets; "refused" when it gets none."""
    file = folder / "pair.pem"
    file.write_text(cluster.shell(CONTROL_PLANE, f"cat {pair}.crt {pair}.key"))
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(file)
    try:
        with urllib.request.urlopen(url, timeout=5, context=context) as reply:  # noqa: S310  # a host of the drill
            return str(reply.status)
    except urllib.error.HTTPError as error:
        return str(error.code)
    except (ssl.SSLError, urllib.error.URLError, ConnectionResetError):
        return "refused"


def test_controllers_that_live_on_still_see_changes(cluster: Cluster) -> None:
    """CoreDNS, kube-proxy and Calico hold connections and authorities from before."""
    cluster.kubectl("create", "namespace", "after")
    cluster.kubectl(
        "create",
        "deployment",
        "web",
        "--namespace=after",
        "--image=dougong.local/test-tools:1.0.0",
        "--",
        "busybox",
        "httpd",
        "-f",
        "-p",
        "8080",
        "-h",
        "/etc",
    )
    cluster.kubectl("expose", "deployment", "web", "--namespace=after", "--port=80", "--target-port=8080")
    cluster.kubectl("rollout", "status", "deployment/web", "--namespace=after", "--timeout=120s")
    name = "web.after.svc.cluster.local"
    once = f"busybox nslookup {name} && busybox wget -q -T 2 -O /dev/null http://{name}/passwd"
    # A watch that was broken is tried again after 30 to 60 s at most (client-go's back-off), and perhaps once more.
    ask = f"for i in $(busybox seq 90); do {once} && exit 0; busybox sleep 2; done; exit 1"
    cluster.kubectl("exec", f"--namespace={NAMESPACE}", "deployment/client", "--", "sh", "-c", ask)


def test_a_new_worker_joins(cluster: Cluster) -> None:
    cluster.kubectl("delete", "node", WORKER)
    cluster.shell(WORKER, "kubeadm reset --force && rm -rf /etc/kubernetes")
    cluster.converge()
    cluster.kubectl("wait", "--for=condition=Ready", f"node/{WORKER}", "--timeout=180s")
