#!/usr/bin/python
"""Ansible module: the certificates of a Kubernetes host, on its disk and in what its processes serve."""

from __future__ import annotations

import base64
import re
import socket
import ssl
from pathlib import Path
from typing import Any

from ansible.module_utils import kubernetes_components
from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: kubernetes_certificates_info
short_description: Certificates of a Kubernetes host
description:
  - Collects every certificate of kubeadm's and the kubelet's folders and of the kubeconfigs, without their keys, and
    asks the API server, etcd and the kubelet for the ones that they serve. One round trip, Python's own library only;
    the controller takes the certificates apart.
options: {}
"""
RETURN = """
certificates:
  description: >-
    Dictionaries with I(name), I(path), I(pem) (all certificates of the file, the host's own first), I(kind)
    (authority, kubeadm, kubelet-client, kubelet-server) and I(loaded): whether the process that uses it has loaded this
    version, null where no process is known to.
  type: list
trusted:
  description: Kubeconfigs' certificate authorities as PEM, by path.
  type: dict
rotates:
  description: Whether the kubelet renews its client certificate by itself.
  type: bool
"""

KUBERNETES = Path("/etc/kubernetes")
KUBELET = Path("/var/lib/kubelet")
PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n?", re.DOTALL)
PORTS = {"apiserver": 6443, "etcd/server": 2379, "etcd/peer": 2380, "kubelet-server": 10250}
TIMEOUT_SECONDS = 3


def certificates_in(text: str) -> str:
    """The certificates of a PEM file, without the keys that may stand beside them."""
    return "".join(match if match.endswith("\n") else f"{match}\n" for match in PEM.findall(text))


def embedded(kubeconfig: str, key: str) -> str:
    """The decoded value of a *-data key of a kubeconfig; empty when there is none."""
    found = re.search(rf"^[ -]*{key}: *(\S+)$", kubeconfig, re.MULTILINE)
    return base64.b64decode(found.group(1)).decode() if found else ""


def served(port: int) -> bytes | None:
    """The certificate that is served on a port of this host, as DER; None when nobody answers."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # It is looked at, not trusted. With TLS 1.3 it can be seen without a client certificate, etcd's too.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((address(), port), timeout=TIMEOUT_SECONDS) as plain,
            context.wrap_socket(plain) as secured,
        ):
            return secured.getpeercert(binary_form=True)
    except OSError:
        return None


def address() -> str:
    """An address of this host at which all of its components listen: the one that the kubelet was given."""
    flags = KUBELET / "kubeadm-flags.env"
    found = re.search(r"--node-ip=([^\s\"]+)", flags.read_text()) if flags.exists() else None
    return found.group(1) if found else "127.0.0.1"


def loaded(name: str, path: Path, pem: str) -> bool | None:
    """Whether the process that uses a certificate has this version of it."""
    if name in PORTS:
        answer = served(PORTS[name])
        return None if answer is None else answer == ssl.PEM_cert_to_DER_cert(PEM.findall(pem)[0].strip())
    users = [component for component in kubernetes_components.LOADS if path in kubernetes_components.files(component)]
    running = [component for component in users if kubernetes_components.started(component) is not None]
    return not any(map(kubernetes_components.outdated, running)) if running else None


def collect() -> dict[str, Any]:
    found: list[dict[str, Any]] = []

    def add(name: str, path: Path, kind: str, pem: str) -> None:
        if pem:
            state = None if kind == "kubelet-client" else loaded(name, path, pem)
            found.append({"name": name, "path": str(path), "kind": kind, "pem": pem, "loaded": state})

    for path in sorted(kubernetes_components.PKI.rglob("*.crt")):
        name = str(path.relative_to(kubernetes_components.PKI).with_suffix(""))
        add(name, path, "authority" if name.endswith("ca") else "kubeadm", certificates_in(path.read_text()))
    trusted = {}
    for path in sorted(KUBERNETES.glob("*.conf")):
        text = path.read_text()
        trusted[str(path)] = embedded(text, "certificate-authority-data")
        add(path.name, path, "kubeadm", embedded(text, "client-certificate-data"))
    for name, kind, file in (
        ("kubelet-client", "kubelet-client", "kubelet-client-current.pem"),
        ("kubelet-server", "kubelet-server", "kubelet-server-current.pem"),
        ("kubelet-server", "kubelet-server", "kubelet.crt"),
    ):
        path = KUBELET / "pki" / file
        # A certificate that the cluster signed takes the place of the one that the kubelet signed itself.
        if path.exists() and not any(certificate["name"] == name for certificate in found):
            add(name, path, kind, certificates_in(path.read_text()))
    configuration = KUBELET / "config.yaml"
    rotates = configuration.exists() and re.search(
        r"^rotateCertificates: true$", configuration.read_text(), re.MULTILINE
    )
    return {"certificates": found, "trusted": trusted, "rotates": bool(rotates)}


def main() -> None:
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    module.exit_json(changed=False, **collect())


if __name__ == "__main__":
    main()
