"""CIS 4.2 and 4.3: kubelet and kube-proxy."""

from typing import Any

import pytest
import yaml
from testinfra.host import Host

from tests.testinfra.cis.benchmark import Check, each
from tests.testinfra.cis.test_api_server import STRONG

CHECKS = [
    Check("4.2.1", "nobody asks without a name", lambda c: c["authentication"]["anonymous"]["enabled"] is False),
    Check("4.2.2", "the API decides who may ask", lambda c: c["authorization"]["mode"] == "Webhook"),
    Check("4.2.3", "clients have certificates", lambda c: c["authentication"]["x509"]["clientCAFile"]),
    Check("4.2.4", "no port for everybody", lambda c: c.get("readOnlyPort", 0) == 0),
    Check("4.2.5", "idle connections end", lambda c: c["streamingConnectionIdleTimeout"] not in ("0", "0s")),
    Check("4.2.6", "it keeps its packet filter", lambda c: c.get("makeIPTablesUtilChains", True)),
    Check("4.2.8", "events have a limit", lambda c: c.get("eventRecordQPS", 50) > 0),
    Check("4.2.9", "its certificate is the cluster's", lambda c: c.get("tlsCertFile") or c.get("serverTLSBootstrap")),
    Check("4.2.10", "its own certificate is renewed", lambda c: c["rotateCertificates"]),
    Check(
        "4.2.11",
        "serving certificates may be renewed",
        lambda c: c.get("featureGates", {}).get("RotateKubeletServerCertificate", True),
    ),
    Check(
        "4.2.12",
        "strong ciphers only",
        lambda c: set(c["tlsCipherSuites"]) <= STRONG and c["tlsMinVersion"] >= "VersionTLS12",
    ),
    Check("4.2.13", "pods have a limit of processes", lambda c: c["podPidsLimit"] > 0),
    Check("4.2.14", "system calls that no container needs are refused", lambda c: c["seccompDefault"]),
]
KUBE_PROXY = Check(
    "4.3.1", "kube-proxy's metrics stay on the host", lambda listening: not any(":10249" in line for line in listening)
)


@pytest.fixture(scope="module")
def evidence(host: Host) -> dict[str, Any]:
    configuration: dict[str, Any] = yaml.safe_load(host.file("/var/lib/kubelet/config.yaml").content_string)
    return configuration


@each(CHECKS)
def test_kubelet(evidence: dict[str, Any], check: Check) -> None:
    assert check.holds(evidence)


@each([KUBE_PROXY])
def test_kube_proxy(host: Host, check: Check) -> None:
    sockets = host.check_output("ss --no-header --listening --numeric --tcp")
    assert check.holds([line for line in sockets.splitlines() if "127.0.0.1:" not in line])
