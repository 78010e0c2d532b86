"""CIS 4.1: files of a node belong to root, and nobody else writes them."""

from functools import partial

import pytest
from testinfra.host import Host

from tests.testinfra.cis.benchmark import Check, Modes, each, modes, private, roots

FILES = {
    1: "/etc/systemd/system/kubelet.service",
    5: "/etc/kubernetes/kubelet.conf",
    9: "/var/lib/kubelet/config.yaml",
}
CA = "/etc/kubernetes/pki/ca.crt"
CHECKS = [
    *(
        Check(f"4.1.{number}", f"only root reads {path}", partial(private, place=path))
        for number, path in FILES.items()
    ),
    *(Check(f"4.1.{number + 1}", f"{path} is root's", partial(roots, place=path)) for number, path in FILES.items()),
    Check("4.1.7", "nobody else writes the CA", partial(private, place=CA, mode=0o644)),
    Check("4.1.8", "the CA is root's", partial(roots, place=CA)),
]


@pytest.fixture(scope="module")
def evidence(host: Host) -> Modes:
    return modes(host, *FILES.values(), CA)


@each(CHECKS)
def test_worker_files(evidence: Modes, check: Check) -> None:
    assert check.holds(evidence)
