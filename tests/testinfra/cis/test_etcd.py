"""CIS 2: etcd speaks to the API server and to its peers only."""

import pytest
from testinfra.host import Host

from tests.testinfra.cis.benchmark import Check, each, flags

Flags = dict[str, str]
CHECKS = [
    Check("2.1", "requests are encrypted", lambda found: {"cert-file", "key-file"} <= found.keys()),
    Check("2.2", "clients have certificates", lambda found: found.get("client-cert-auth") == "true"),
    Check("2.3", "no certificates that nobody signed", lambda found: found.get("auto-tls", "false") == "false"),
    Check("2.4", "peers speak encrypted", lambda found: {"peer-cert-file", "peer-key-file"} <= found.keys()),
    Check("2.5", "peers have certificates", lambda found: found.get("peer-client-cert-auth") == "true"),
    Check("2.6", "no peers that nobody signed", lambda found: found.get("peer-auto-tls", "false") == "false"),
]
OWN_CA = Check("2.7", "etcd has a CA of its own", lambda files: files[0] != files[1])


@pytest.fixture(scope="module")
def evidence(host: Host) -> Flags:
    return flags(host, "etcd")


@each(CHECKS)
def test_etcd(evidence: Flags, check: Check) -> None:
    assert check.holds(evidence)


@each([OWN_CA])
def test_ca(host: Host, evidence: Flags, check: Check) -> None:
    files = (evidence["trusted-ca-file"], flags(host, "kube-apiserver")["client-ca-file"])
    assert check.holds([host.file(file).content_string for file in files])
