"""Audit, encryption at rest, who is let in, and the walls between tenants; tried on the running cluster."""

import base64
import json
import os
import ssl
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from testinfra.host import Host

from tests.cluster_probe import IMAGE, Cluster, eventually, restricted_pod

RED, BLUE = "red", "blue"
ETCDCTL = (
    "etcdctl --cacert=/etc/kubernetes/pki/etcd/ca.crt --cert=/etc/kubernetes/pki/etcd/server.crt "
    "--key=/etc/kubernetes/pki/etcd/server.key"
)


@pytest.fixture(scope="module")
def control_plane(host: Host) -> Host:
    if not host.file("/etc/kubernetes/admin.conf").exists:
        pytest.skip("asked of a control-plane node")
    return host


@pytest.fixture(scope="module")
def cluster(control_plane: Host) -> Cluster:
    return Cluster(Path(os.environ["KUBECONFIG"]))


@pytest.fixture
def name() -> str:
    """Of a resource that no other test has."""
    return f"security-{uuid.uuid4().hex[:8]}"


def as_tenant(tenant: str) -> list[str]:
    return [f"--as=somebody-of-{tenant}", f"--as-group=tenant:{tenant}", "--as-group=system:authenticated"]


def audited(control_plane: Host, name: str) -> list[dict[str, Any]]:
    lines = control_plane.run(f"grep --no-filename {name} /var/log/kubernetes/audit/audit.log").stdout
    return [json.loads(line) for line in lines.splitlines()]


def test_who_changed_a_secret_is_in_the_audit_log_and_the_secret_is_not(
    cluster: Cluster, control_plane: Host, name: str
) -> None:
    cluster.kubectl("create", "secret", "generic", name, "--from-literal=password=from-the-test")
    cluster.kubectl("delete", "secret", name)

    assert eventually(lambda: {"create", "delete"} <= {line["verb"] for line in audited(control_plane, name)})
    for line in audited(control_plane, name):
        assert line["user"]["username"] == "kubernetes-admin"
        assert not {"requestObject", "responseObject"} & line.keys()
    assert control_plane.file("/var/log/kubernetes/audit/audit.log").mode == 0o600


def test_what_a_right_was_given_for_is_in_the_audit_log(cluster: Cluster, control_plane: Host, name: str) -> None:
    cluster.kubectl("create", "clusterrole", name, "--verb=get", "--resource=pods")
    cluster.kubectl("delete", "clusterrole", name)

    created = [line for line in audited(control_plane, name) if line["verb"] == "create"]
    assert created[0]["requestObject"]["rules"] == [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]


def test_etcd_holds_no_secret_in_clear_text(cluster: Cluster, control_plane: Host, name: str) -> None:
    cluster.kubectl("create", "secret", "generic", name, "--from-literal=password=from-the-test")
    try:
        node = control_plane.check_output("hostname")
        read = f"{ETCDCTL} get /registry/secrets/default/{name} --write-out=json"
        pod = f"etcd-{node}"
        stored = json.loads(cluster.kubectl("exec", "--namespace=kube-system", pod, "--", *read.split()))
        value = base64.b64decode(stored["kvs"][0]["value"])
        assert value.startswith(b"k8s:enc:secretbox:v1:key-")
        assert b"from-the-test" not in value
    finally:
        cluster.kubectl("delete", "secret", name)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/readyz", 200),
        ("/api/v1/namespaces/kube-public/configmaps/cluster-info", 200),
        ("/api", 401),
        ("/version", 401),
        ("/api/v1/namespaces/default/secrets", 401),
    ],
)
def test_who_has_no_name_sees_what_joining_needs_and_nothing_else(cluster: Cluster, path: str, status: int) -> None:
    server = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text())["clusters"][0]["cluster"]
    trust = ssl.create_default_context(cadata=base64.b64decode(server["certificate-authority-data"]).decode())
    try:
        with urllib.request.urlopen(server["server"] + path, context=trust, timeout=10) as answer:  # noqa: S310 - https
            assert answer.status == status
    except urllib.error.HTTPError as refused:
        assert refused.code == status


def test_kubelet_lets_nobody_in_without_a_name(host: Host) -> None:
    ask = (
        "import ssl, urllib.request as r; "
        "r.urlopen('https://127.0.0.1:10250/pods', context=ssl._create_unverified_context())"
    )
    assert "HTTP Error 401" in host.run(f'python3 -c "{ask}"').stderr


def pod(name: str, tenant: str, command: str, **security: Any) -> dict[str, Any]:
    """A pod as the `restricted` standard wants it, unless told otherwise."""
    container = {"image": IMAGE, "imagePullPolicy": "Never", "command": ["busybox", "sh", "-c", command]}
    return restricted_pod(name, tenant, container, **security)


def refusal(cluster: Cluster, resource: dict[str, Any], *options: str) -> str:
    """What the API says to a resource that it does not take; empty when it would."""
    try:
        cluster.kubectl("create", "--dry-run=server", "--filename=-", *options, stdin=json.dumps(resource))
    except AssertionError as refused:
        return str(refused)
    return ""


def test_privileged_pods_are_refused(cluster: Cluster) -> None:
    privileged = pod("breakout", RED, "exit", privileged=True, allowPrivilegeEscalation=True)
    assert 'violates PodSecurity "restricted:latest"' in refusal(cluster, privileged)
    privileged["metadata"]["namespace"] = "default"
    assert 'violates PodSecurity "baseline:latest"' in refusal(cluster, privileged), "also where no label says so"


def test_a_tenant_works_in_its_own_namespace_only(cluster: Cluster, name: str) -> None:
    assert not refusal(cluster, pod(name, RED, "exit"), *as_tenant(RED))
    for question, answer in (
        (["get", "secrets", f"--namespace={RED}"], "yes"),
        (["get", "secrets", f"--namespace={BLUE}"], "no"),
        (["get", "secrets", "--namespace=kube-system"], "no"),
        (["list", "nodes"], "no"),
        (["update", "namespaces", f"--namespace={RED}"], "no"),
        (["delete", "networkpolicies", f"--namespace={RED}"], "no"),
        (["create", "endpointslices.discovery.k8s.io", f"--namespace={RED}"], "no"),
        (["update", "resourcequotas", f"--namespace={RED}"], "no"),
        (["impersonate", "serviceaccounts", f"--namespace={RED}"], "no"),
    ):
        assert cluster.kubectl("auth", "can-i", *question, *as_tenant(RED), check=False).strip() == answer, question


def test_a_tenant_gives_nobody_more_than_it_has(cluster: Cluster, name: str) -> None:
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": name, "namespace": RED},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "somebody-of-red"}],
    }
    assert "attempting to grant RBAC permissions not currently held" in refusal(cluster, binding, *as_tenant(RED))


def test_a_tenant_cannot_take_more_than_its_quota(cluster: Cluster, name: str) -> None:
    greedy = pod(name, RED, "exit")
    greedy["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "1000"}}
    assert "exceeded quota" in refusal(cluster, greedy, *as_tenant(RED))


def test_pods_of_a_tenant_pull_as_the_tenants_own_user(cluster: Cluster, name: str) -> None:
    dry = ("create", "--dry-run=server", "--output=json", "--filename=-")
    made = json.loads(cluster.kubectl(*dry, stdin=json.dumps(pod(name, RED, "exit"))))
    [reference] = made["spec"]["imagePullSecrets"]
    secret = cluster.get("secret", reference["name"], f"--namespace={RED}")
    known = json.loads(base64.b64decode(secret["data"][".dockerconfigjson"]))["auths"]
    assert known == {"registry.molecule.internal:5000": {"username": "red.pull", "password": "of-red"}}


@pytest.fixture(scope="module")
def servers(cluster: Cluster) -> Iterator[dict[str, dict[str, Any]]]:
    """Pods that serve their tenant's name: two of red, one of blue."""
    serve = "mkdir -p /tmp/www && echo {} >/tmp/www/index.html && exec busybox httpd -f -p 8080 -h /tmp/www"
    owners = {"asker": RED, "friend": RED, "stranger": BLUE}
    commands = {name: serve.format(tenant).replace("mkdir", "busybox mkdir") for name, tenant in owners.items()}
    pods = [pod(name, tenant, commands[name]) for name, tenant in owners.items()]
    cluster.apply(*pods)
    for name, tenant in owners.items():
        cluster.kubectl("wait", f"pod/{name}", f"--namespace={tenant}", "--for=condition=Ready", "--timeout=15s")
    yield {name: cluster.get("pod", name, f"--namespace={tenant}") for name, tenant in owners.items()}
    for name, tenant in owners.items():
        cluster.kubectl("delete", "pod", name, f"--namespace={tenant}")


def ask(cluster: Cluster, asker: dict[str, Any], url: str) -> str:
    where = (asker["metadata"]["name"], f"--namespace={asker['metadata']['namespace']}")
    fetch = ["busybox", "wget", "-T", "3", "-q", "-O", "-", url]
    return cluster.kubectl("exec", *where, "--", *fetch, check=False).strip()


def test_tenants_do_not_reach_each_other(cluster: Cluster, servers: dict[str, dict[str, Any]]) -> None:
    addresses = {name: f"http://{server['status']['podIP']}:8080/" for name, server in servers.items()}
    assert ask(cluster, servers["asker"], addresses["friend"]) == RED, "within a tenant they do"
    assert ask(cluster, servers["asker"], addresses["stranger"]) == ""
    assert ask(cluster, servers["stranger"], addresses["asker"]) == ""


def test_a_tenant_asks_the_clusters_dns(cluster: Cluster, servers: dict[str, dict[str, Any]]) -> None:
    asker = servers["asker"]["metadata"]["name"]
    lookup = ["busybox", "nslookup", "kubernetes.default.svc.cluster.local"]
    assert "Address" in cluster.kubectl("exec", asker, f"--namespace={RED}", "--", *lookup)
