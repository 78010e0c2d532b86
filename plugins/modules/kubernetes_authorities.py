#!/usr/bin/python
"""Ansible module: the certificate authorities that a Kubernetes host trusts."""

from __future__ import annotations

import base64
import os
import re
import tempfile
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.kubernetes_components import PKI

DOCUMENTATION = """
module: kubernetes_authorities
short_description: Certificate authorities that a Kubernetes host trusts
description:
  - Writes the authorities' files that the host has, and C(ca) into its kubeconfigs. Nothing is restarted.
  - The files come after the kubeconfigs. The kubelet, which rewrites its kubeconfig by itself, is known to need a
    restart by its authority's file alone; a run that was broken off between the two writes the file in the next run.
options:
  bundles:
    description: PEM of all authorities to trust, the issuing one first, by name (C(ca), C(front-proxy-ca), C(etcd/ca)).
    type: dict
    required: true
"""
RETURN = """
files:
  description: Paths that changed.
  type: list
"""

DATA = re.compile(r"^([ -]*certificate-authority-data: *)(\S+)$", re.MULTILINE)


def write(path: Path, content: str, check_mode: bool) -> bool:
    """Replace a file that is there by a rename, with its owner and mode; True when that was or would be a change."""
    if path.read_text() == content:
        return False
    if check_mode:
        return True
    status = path.stat()
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(descriptor, "w") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
        os.fchown(file.fileno(), status.st_uid, status.st_gid)
        os.fchmod(file.fileno(), status.st_mode & 0o7777)
    Path(temporary).rename(path)
    return True


def converge(bundles: dict[str, str], check_mode: bool) -> list[str]:
    changed = []
    data = base64.b64encode(bundles["ca"].encode()).decode()
    for path in sorted(PKI.parent.glob("*.conf")):
        if write(path, DATA.sub(rf"\g<1>{data}", path.read_text()), check_mode):
            changed.append(str(path))
    for name, content in bundles.items():
        path = PKI / f"{name}.crt"
        if path.exists() and write(path, content, check_mode):
            changed.append(str(path))
    return changed


def main() -> None:
    specification: dict[str, Any] = {"bundles": {"type": "dict", "required": True}}
    module = AnsibleModule(argument_spec=specification, supports_check_mode=True)
    changed = converge(module.params["bundles"], module.check_mode)
    module.exit_json(changed=bool(changed), files=changed)


if __name__ == "__main__":
    main()
