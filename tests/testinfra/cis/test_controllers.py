"""CIS 1.3 and 1.4: controller manager and scheduler."""

import pytest
from testinfra.host import Host

from tests.testinfra.cis.benchmark import Check, each, flags

Flags = dict[str, str]
CONTROLLER_MANAGER = [
    Check("1.3.1", "ended pods are removed by a number of our own", lambda f: "terminated-pod-gc-threshold" in f),
    Check("1.3.2", "no profiling", lambda found: found.get("profiling") == "false"),
    Check(
        "1.3.3", "each controller has rights of its own", lambda f: f.get("use-service-account-credentials") == "true"
    ),
    Check("1.3.4", "service accounts' tokens have a key", lambda found: "service-account-private-key-file" in found),
    Check("1.3.5", "pods know the API server", lambda found: "root-ca-file" in found),
    Check(
        "1.3.6",
        "kubelets may renew their serving certificates",
        lambda found: "RotateKubeletServerCertificate=false" not in found.get("feature-gates", ""),
    ),
    Check("1.3.7", "it is spoken to from its host only", lambda found: found.get("bind-address") == "127.0.0.1"),
]
SCHEDULER = [
    Check("1.4.1", "no profiling", lambda found: found.get("profiling") == "false"),
    Check("1.4.2", "it is spoken to from its host only", lambda found: found.get("bind-address") == "127.0.0.1"),
]


@pytest.fixture(scope="module")
def controller_manager(host: Host) -> Flags:
    return flags(host, "kube-controller-manager")


@pytest.fixture(scope="module")
def scheduler(host: Host) -> Flags:
    return flags(host, "kube-scheduler")


@each(CONTROLLER_MANAGER)
def test_controller_manager(controller_manager: Flags, check: Check) -> None:
    assert check.holds(controller_manager)


@each(SCHEDULER)
def test_scheduler(scheduler: Flags, check: Check) -> None:
    assert check.holds(scheduler)
