"""CIS 1.1: files of the control plane belong to root, and nobody else reads what is in them."""

from functools import partial

import pytest
from testinfra.host import Host

from tests.testinfra.cis.benchmark import MANIFESTS, Check, Modes, each, flags, modes, private, roots

ETCD_DATA = "etcd's data"
FILES = {
    1: f"{MANIFESTS}/kube-apiserver.yaml",
    3: f"{MANIFESTS}/kube-controller-manager.yaml",
    5: f"{MANIFESTS}/kube-scheduler.yaml",
    7: f"{MANIFESTS}/etcd.yaml",
    13: "/etc/kubernetes/admin.conf",
    15: "/etc/kubernetes/scheduler.conf",
    17: "/etc/kubernetes/controller-manager.conf",
}
CHECKS = [
    *(
        Check(f"1.1.{number}", f"only root reads {path}", partial(private, place=path))
        for number, path in FILES.items()
    ),
    *(Check(f"1.1.{number + 1}", f"{path} is root's", partial(roots, place=path)) for number, path in FILES.items()),
    # Calico writes a file of mode 0644 into it; the folder keeps others out.
    Check("1.1.9", "only root reads how pods are connected", partial(private, place="/etc/cni/net.d", mode=0o700)),
    Check("1.1.10", "how pods are connected is root's to say", partial(roots, place="/etc/cni/net.d/")),
    Check("1.1.11", "nobody else enters etcd's data", partial(private, place=ETCD_DATA, mode=0o700)),
    Check("1.1.12", "etcd's data belongs to a user of its own", lambda found: found[ETCD_DATA][1] == "etcd:etcd"),
    Check("1.1.19", "keys and certificates are root's", partial(roots, place="/etc/kubernetes/pki/")),
    Check(
        "1.1.20",
        "nobody else writes certificates",
        partial(private, place="/etc/kubernetes/pki/", suffix=".crt", mode=0o644),
    ),
    Check("1.1.21", "only root reads keys", partial(private, place="/etc/kubernetes/pki/", suffix=".key")),
]


@pytest.fixture(scope="module")
def evidence(host: Host) -> Modes:
    data = flags(host, "etcd")["data-dir"]
    found = modes(host, "/etc/kubernetes", "/etc/cni/net.d", data)
    return {path: value for path, value in found.items() if not path.startswith(data)} | {ETCD_DATA: found[data]}


@each(CHECKS)
def test_control_plane_files(evidence: Modes, check: Check) -> None:
    assert check.holds(evidence)


def test_keys_of_the_encryption_at_rest_are_roots_alone(evidence: Modes) -> None:
    assert evidence["/etc/kubernetes/encryption/config.yaml"] == (0o600, "root:root")
