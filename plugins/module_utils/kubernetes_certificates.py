"""Certificates as they lie on a Kubernetes host. Keys are never read out."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from pathlib import Path

from ansible.module_utils import kubernetes_components

KUBERNETES = Path("/etc/kubernetes")
KUBELET = Path("/var/lib/kubelet")
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n?", re.DOTALL)
# A certificate that the cluster signed takes the place of the one that the kubelet signed itself.
_KUBELET_FILES = {
    "kubelet-client": ("kubelet-client-current.pem",),
    "kubelet-server": ("kubelet-server-current.pem", "kubelet.crt"),
}


@dataclass(frozen=True)
class Found:
    """The certificates of one file.

    Attributes:
        kind: authority, kubeadm, kubelet-client or kubelet-server.
        pem: the host's own first, behind it its issuers'.
    """

    name: str
    path: Path
    kind: str
    pem: str

    @property
    def own(self) -> str:
        """The first certificate, which is the file's own."""
        return split(self.pem)[0]


def split(text: str) -> list[str]:
    """The certificates of a PEM file, without the keys that may stand beside them."""
    return [match if match.endswith("\n") else f"{match}\n" for match in _PEM.findall(text)]


def embedded(kubeconfig: str, key: str) -> str:
    """The decoded value of a *-data key of a kubeconfig; empty when there is none."""
    found = re.search(rf"^[ -]*{key}: *(\S+)$", kubeconfig, re.MULTILINE)
    return base64.b64decode(found.group(1)).decode() if found else ""


def collect() -> list[Found]:
    """All of kubeadm's and the kubelet's folders and of the kubeconfigs."""
    found = []
    for path in sorted(kubernetes_components.PKI.rglob("*.crt")):
        name = str(path.relative_to(kubernetes_components.PKI).with_suffix(""))
        found.append(Found(name, path, "authority" if name.endswith("ca") else "kubeadm", path.read_text()))
    for path in sorted(KUBERNETES.glob("*.conf")):
        found.append(Found(path.name, path, "kubeadm", embedded(path.read_text(), "client-certificate-data")))
    for kind, names in _KUBELET_FILES.items():
        paths = [path for name in names if (path := KUBELET / "pki" / name).exists()]
        found += [Found(kind, path, kind, path.read_text()) for path in paths[:1]]
    return [Found(each.name, each.path, each.kind, pem) for each in found if (pem := "".join(split(each.pem)))]
