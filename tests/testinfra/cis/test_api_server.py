"""CIS 1.2 and 3.2: the API server."""

import json

import pytest
import yaml
from testinfra.host import Host

from tests.testinfra.cis.benchmark import Check, each, flags

Flags = dict[str, str]
# Of the benchmark's list, those that a TLS 1.2 client of today still needs.
STRONG = {
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
}


def _plugins(found: Flags, name: str = "enable-admission-plugins") -> list[str]:
    return found.get(name, "").split(",")


CHECKS = [
    Check("1.2.1", "nobody asks without a name", lambda found: found.get("anonymous-auth") == "false"),
    Check("1.2.2", "no tokens that stand in a file", lambda found: "token-auth-file" not in found),
    Check(
        "1.2.3", "services cannot claim foreign addresses", lambda found: "DenyServiceExternalIPs" in _plugins(found)
    ),
    Check(
        "1.2.4",
        "kubelets know the API server by its certificate",
        lambda found: {"kubelet-client-certificate", "kubelet-client-key"} <= found.keys(),
    ),
    Check(
        "1.2.5", "the API server knows kubelets by their certificates", lambda f: "kubelet-certificate-authority" in f
    ),
    Check("1.2.6", "not everything is allowed", lambda found: "AlwaysAllow" not in found["authorization-mode"]),
    Check("1.2.7", "kubelets read only what is theirs", lambda found: "Node" in found["authorization-mode"].split(",")),
    Check("1.2.8", "rights are given by roles", lambda found: "RBAC" in found["authorization-mode"].split(",")),
    Check("1.2.9", "events have a limit", lambda found: "EventRateLimit" in _plugins(found)),
    Check("1.2.10", "not everything is admitted", lambda found: "AlwaysAdmit" not in _plugins(found)),
    Check("1.2.11", "images are pulled each time", lambda found: "AlwaysPullImages" in _plugins(found)),
    *(
        Check(
            number,
            f"{plugin} is not switched off",
            lambda found, plugin=plugin: plugin not in _plugins(found, "disable-admission-plugins"),  # type: ignore[misc]
        )
        for number, plugin in (("1.2.12", "ServiceAccount"), ("1.2.13", "NamespaceLifecycle"))
    ),
    Check("1.2.14", "kubelets change only what is theirs", lambda found: "NodeRestriction" in _plugins(found)),
    Check("1.2.15", "no profiling", lambda found: found.get("profiling") == "false"),
    Check("1.2.16", "there is an audit log", lambda found: "audit-log-path" in found),
    Check("1.2.17", "the audit log goes back 30 days", lambda found: int(found["audit-log-maxage"]) >= 30),
    Check("1.2.18", "ten files of the audit log are kept", lambda found: int(found["audit-log-maxbackup"]) >= 10),
    Check("1.2.19", "a file of the audit log takes 100 MB", lambda found: int(found["audit-log-maxsize"]) >= 100),
    Check("1.2.20", "requests do not wait for ever", lambda found: found.get("request-timeout", "60s") != "0s"),
    Check(
        "1.2.21",
        "tokens of deleted service accounts are worth nothing",
        lambda found: found.get("service-account-lookup", "true") == "true",
    ),
    Check("1.2.22", "service accounts have a key of their own", lambda found: "service-account-key-file" in found),
    Check("1.2.23", "etcd knows the API server", lambda found: {"etcd-certfile", "etcd-keyfile"} <= found.keys()),
    Check("1.2.24", "requests are encrypted", lambda f: {"tls-cert-file", "tls-private-key-file"} <= f.keys()),
    Check("1.2.25", "clients have certificates of the cluster's CA", lambda found: "client-ca-file" in found),
    Check("1.2.26", "the API server knows etcd", lambda found: "etcd-cafile" in found),
    Check("1.2.27", "secrets are encrypted in etcd", lambda found: "encryption-provider-config" in found),
    Check(
        "1.2.29",
        "strong ciphers only",
        lambda found: (
            set(found["tls-cipher-suites"].split(",")) <= STRONG and found["tls-min-version"] >= "VersionTLS12"
        ),
    ),
    Check(
        "1.2.30",
        "tokens of service accounts end when they say so",
        lambda found: found.get("service-account-extend-token-expiration") == "false",
    ),
    Check("3.2.1", "there is an audit policy", lambda found: "audit-policy-file" in found),
]


@pytest.fixture(scope="module")
def evidence(host: Host) -> Flags:
    return flags(host, "kube-apiserver")


@each(CHECKS)
def test_api_server(evidence: Flags, check: Check) -> None:
    assert check.holds(evidence)


@each([Check("1.2.28", "the first key writes, and it is no `identity`", lambda providers: "secretbox" in providers[0])])
def test_encryption(host: Host, evidence: Flags, check: Check) -> None:
    content = host.file(evidence["encryption-provider-config"]).content_string
    assert check.holds(yaml.safe_load(content)["resources"][0]["providers"])


@each(
    [
        Check(
            "3.2.2",
            "the audit policy covers secrets, rights, and commands in pods",
            lambda lines: {"secrets", "roles", "pods/exec"} <= lines,
        )
    ]
)
def test_audit_policy(host: Host, evidence: Flags, check: Check) -> None:
    rules = yaml.safe_load(host.file(evidence["audit-policy-file"]).content_string)["rules"]
    groups = {("secrets", ""), ("roles", "rbac.authorization.k8s.io"), ("pods/exec", "")}
    covered = set()
    for name, group in groups:
        first = next(
            rule
            for rule in rules
            if "create" in rule.get("verbs", ["create"])
            and not {"users", "userGroups", "nonResourceURLs"} & rule.keys()
            and ("resources" not in rule or _covers(rule["resources"], group, name))
        )
        if first["level"] != "None":
            covered.add(name)
    assert check.holds(covered), json.dumps(rules)


def _covers(resources: list[dict[str, list[str]]], group: str, name: str) -> bool:
    return any(item.get("group", "") == group and name in item.get("resources", [name]) for item in resources)
