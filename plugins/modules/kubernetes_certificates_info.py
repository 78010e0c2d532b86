#!/usr/bin/python
"""Ansible module: the certificates of a Kubernetes host, on its disk and in what its processes serve."""

from __future__ import annotations

import re
import socket
import ssl
from dataclasses import asdict
from typing import Any

from ansible.module_utils import kubernetes_certificates, kubernetes_components
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.kubernetes_certificates import KUBELET, Found

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

PORTS = {"apiserver": 6443, "etcd/server": 2379, "etcd/peer": 2380, "kubelet-server": 10250}
TIMEOUT_SECONDS = 3


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


def loaded(certificate: Found) -> bool | None:
    """Whether the process that uses a certificate has this version of it."""
    if certificate.kind == "kubelet-client":
        return None
    if certificate.name in PORTS:
        answer = served(PORTS[certificate.name])
        return None if answer is None else answer == ssl.PEM_cert_to_DER_cert(certificate.own.strip())
    users = [
        component
        for component in kubernetes_components.LOADS
        if certificate.path in kubernetes_components.files(component)
    ]
    running = [component for component in users if kubernetes_components.started(component) is not None]
    return not any(map(kubernetes_components.outdated, running)) if running else None


def collect() -> dict[str, Any]:
    kubeconfigs = sorted(kubernetes_certificates.KUBERNETES.glob("*.conf"))
    configuration = KUBELET / "config.yaml"
    rotates = configuration.exists() and re.search(
        r"^rotateCertificates: true$", configuration.read_text(), re.MULTILINE
    )
    return {
        "certificates": [
            {**asdict(found), "path": str(found.path), "loaded": loaded(found)}
            for found in kubernetes_certificates.collect()
        ],
        "trusted": {
            str(path): kubernetes_certificates.embedded(path.read_text(), "certificate-authority-data")
            for path in kubeconfigs
        },
        "rotates": bool(rotates),
    }


def main() -> None:
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    module.exit_json(changed=False, **collect())


if __name__ == "__main__":
    main()
