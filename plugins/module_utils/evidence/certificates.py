"""Certificates as they lie on a host. Keys are never read out."""

from __future__ import annotations

import base64
import re
from pathlib import Path

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_EMBEDDED = re.compile(r"client-certificate-data:\s*(\S+)")
_FOLDERS = ("/etc/kubernetes/pki", "/etc/kubernetes/pki/etcd")
_KUBELET = Path("/var/lib/kubelet/pki")


def certificates() -> list[dict[str, str]]:
    """The first certificate of each file, which is the file's own; those behind it are its issuers'."""
    files = [file for folder in _FOLDERS for file in sorted(Path(folder).glob("*.crt"))]
    # kubelet keeps its former ones; the link leads to the one in use.
    files += [file for file in (_KUBELET / "kubelet-client-current.pem", _KUBELET / "kubelet.crt") if file.exists()]
    files += [file for file in (_KUBELET / "kubelet-server-current.pem",) if file.exists()]
    found = []
    for file in files:
        if match := _PEM.search(file.read_text()):
            found.append({"path": str(file), "pem": match.group()})
    for file in sorted(Path("/etc/kubernetes").glob("*.conf")):
        for data in _EMBEDDED.findall(file.read_text()):
            if match := _PEM.search(base64.b64decode(data).decode()):
                found.append({"path": str(file), "pem": match.group()})
    return found
