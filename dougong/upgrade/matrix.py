"""Which versions go together, as data with its source."""

from __future__ import annotations

from dataclasses import dataclass

from packaging.version import Version


def minor(version: str) -> str:
    """Major and minor: 1.36.3 → 1.36."""
    return ".".join(version.split(".")[:2])


KUBELET_SKEW = 3
"""How many minor versions a kubelet may be older than the API server (kubernetes.io/releases/version-skew-policy)."""

ETCD_BEFORE_36 = Version("3.5.26")
"""The first etcd whose members may become 3.6 safely: older ones can bring back removed members
(etcd.io/blog/2025/zombie_members_upgrade)."""

CONTAINERD = {"1.35": Version("1.7"), "1.36": Version("2.0"), "1.37": Version("2.0")}
"""The oldest containerd for a Kubernetes. From 2.0 on it tells the kubelet its cgroup driver (CRI RuntimeConfig);
kubeadm 1.36 warns without that and announces 1.37 to refuse it (cmd/kubeadm/app/preflight/checks.go,
ContainerRuntimeVersionCheck)."""


@dataclass(frozen=True)
class Tested:
    """First and last minor version of Kubernetes that something is tested with."""

    first: str
    last: str
    source: str

    def covers(self, version: str) -> bool:
        """Whether a Kubernetes version is among them."""
        return Version(self.first) <= Version(minor(version)) <= Version(self.last)


_TIGERA = "docs.tigera.io, System requirements"
CALICO = {
    "3.28": Tested("1.27", "1.30", _TIGERA),
    "3.29": Tested("1.29", "1.32", _TIGERA),
}
"""What Tigera tests each Calico with."""

CALICO_HERE = {"3.28": Tested("1.35", "1.36", "this project's own tests")}
"""Pairs that Tigera does not test. This project founds clusters of 1.36 with it on each change; it did so with 1.35."""
