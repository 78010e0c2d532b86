"""CIS 5: who may do what in the cluster."""

from typing import Any

import yaml
from testinfra.host import Host

from tests.testinfra.cis.benchmark import Check, each, flags, resources

Items = list[dict[str, Any]]
# kubeadm's group of administrators, and the one that no role can be taken from.
ADMINISTRATORS = {"kubeadm:cluster-admins", "system:masters"}


def _subjects(bindings: Items, role: str) -> set[str]:
    return {
        subject["name"]
        for binding in bindings
        if binding["roleRef"]["name"] == role
        for subject in binding.get("subjects", [])
    }


def _own(items: Items) -> Items:
    """Without what comes with Kubernetes."""
    return [item for item in items if "kubernetes.io/bootstrapping" not in item["metadata"].get("labels", {})]


ROLES = [
    Check(
        "5.1.3",
        "no roles of ours that allow everything",
        lambda roles: (
            not [
                role["metadata"]["name"]
                for role in _own(roles)
                for rule in role.get("rules") or []
                if "*" in rule.get("resources", []) and "*" in rule["verbs"] and "*" in rule.get("apiGroups", [])
            ]
        ),
    ),
    Check(
        "5.1.8",
        "no roles of ours that become others",
        lambda roles: (
            not [
                role["metadata"]["name"]
                for role in _own(roles)
                for rule in role.get("rules") or []
                if {"bind", "escalate", "impersonate"} & set(rule["verbs"])
            ]
        ),
    ),
]
BINDINGS = [
    Check(
        "5.1.1",
        "nobody but the administrators is cluster-admin",
        lambda bindings: _subjects(bindings, "cluster-admin") <= ADMINISTRATORS,
    ),
    Check(
        "5.1.5",
        "nothing is given to default service accounts",
        lambda bindings: (
            not [
                binding["metadata"]["name"]
                for binding in bindings
                for subject in binding.get("subjects", [])
                if subject["kind"] == "ServiceAccount" and subject["name"] == "default"
            ]
        ),
    ),
]
TOKENS = Check(
    "5.1.6",
    "pods of the system have no tokens",
    lambda pods: all(pod["spec"].get("automountServiceAccountToken") is False for pod in pods),
)
POLICIES = Check(
    "5.3.2",
    "every namespace has its network policies",
    lambda namespaces: all(policies for policies in namespaces.values()),
)
POD_SECURITY = Check(
    "5.2.1", "what pods may ask for is limited everywhere", lambda defaults: defaults["enforce"] != "privileged"
)
DEFAULT = Check("5.7.4", "nobody works in the default namespace", lambda pods: not pods)


@each(ROLES)
def test_roles(host: Host, check: Check) -> None:
    assert check.holds(resources(host, "clusterroles"))


@each(BINDINGS)
def test_bindings(host: Host, check: Check) -> None:
    assert check.holds(resources(host, "clusterrolebindings,rolebindings --all-namespaces"))


@each([TOKENS])
def test_tokens(host: Host, check: Check) -> None:
    assert check.holds(resources(host, "pods --namespace=kube-system"))


@each([POD_SECURITY])
def test_pod_security(host: Host, check: Check) -> None:
    folder = flags(host, "kube-apiserver")["admission-control-config-file"].rpartition("/")[0]
    content = host.file(f"{folder}/pod-security.yaml").content_string
    assert check.holds(yaml.safe_load(content)["defaults"])


@each([POLICIES])
def test_network_policies(host: Host, check: Check) -> None:
    policies = resources(host, "networkpolicies --all-namespaces")
    used = {pod["metadata"]["namespace"] for pod in resources(host, "pods --all-namespaces")}
    assert check.holds({name: [item for item in policies if item["metadata"]["namespace"] == name] for name in used})


@each([DEFAULT])
def test_default_namespace(host: Host, check: Check) -> None:
    assert check.holds(resources(host, "pods --namespace=default"))
