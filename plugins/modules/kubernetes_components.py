#!/usr/bin/python
"""Ansible module: restarts the components of a Kubernetes host that run with outdated certificates."""

from __future__ import annotations

import os
import re
import socket
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from ansible.module_utils import kubernetes_components
from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: kubernetes_components
short_description: Components of a Kubernetes host run with the files that lie on it
description:
  - Restarts, one after another, those components that were started before a file that they load was written last, and
    waits for each until it runs and listens again. The rule holds for an earlier, interrupted run, too.
  - A static pod is restarted by an annotation in its manifest, as C(kubectl rollout restart) does it with others. The
    kubelet then ends it as any pod, with its time to finish requests, and starts it anew without a back-off.
options:
  arguments:
    description: Flags that a component shall have, by component and flag. Only flags that it has already.
    type: dict
    default: {}
  timeout:
    description: Seconds to wait for one component.
    type: int
    default: 180
"""
RETURN = """
restarted:
  description: Components that were restarted.
  type: list
"""

ANNOTATION = "dougong.local/restarted-at"
PORTS = {
    "etcd": 2381,
    "kube-apiserver": 6443,
    "kube-controller-manager": 10257,
    "kube-scheduler": 10259,
    "kubelet": 10248,
}


def annotated(manifest: str, value: str) -> str:
    """A static pod's manifest with the annotation set anew."""
    line = f'    {ANNOTATION}: "{value}"'
    if ANNOTATION in manifest:
        return re.sub(rf"^ *{re.escape(ANNOTATION)}: .*$", line, manifest, count=1, flags=re.MULTILINE)
    if re.search(r"^  annotations:$", manifest, re.MULTILINE):
        return re.sub(r"^  annotations:$", f"  annotations:\n{line}", manifest, count=1, flags=re.MULTILINE)
    return re.sub(r"^metadata:$", f"metadata:\n  annotations:\n{line}", manifest, count=1, flags=re.MULTILINE)


def with_arguments(manifest: str, arguments: dict[str, str]) -> str:
    """A static pod's manifest with other values of its flags."""
    for flag, value in arguments.items():
        manifest = re.sub(rf"^( *- --{re.escape(flag)}=).*$", rf"\g<1>{value}", manifest, flags=re.MULTILINE)
    return manifest


def replace(path: Path, content: str) -> None:
    """Write a manifest. The kubelet must not see it half written, nor a second file beside it."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent.parent, prefix=f".{path.name}.")
    with os.fdopen(descriptor, "w") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
        os.fchmod(file.fileno(), 0o600)
    Path(temporary).rename(path)


def listens(component: str) -> bool:
    try:
        socket.create_connection(("127.0.0.1", PORTS[component]), timeout=1).close()
    except OSError:
        return False
    return True


class Components:
    """The components of this host, and what is done to them."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module

    def converge(self) -> list[str]:
        restarted = []
        for component in kubernetes_components.LOADS:
            manifest = kubernetes_components.MANIFESTS / f"{component}.yaml"
            if component == "kubelet":
                if kubernetes_components.outdated(component):
                    restarted.append(component)
                    self.restart_kubelet()
            elif manifest.exists() and self.restart_pod(component, manifest):
                restarted.append(component)
        return restarted

    def restart_pod(self, component: str, path: Path) -> bool:
        """Restart a static pod if it has to be; True when that was or would be done."""
        present = path.read_text()
        wanted = with_arguments(present, self.module.params["arguments"].get(component, {}))
        # One that does not run at this moment loads what is there when it starts.
        if wanted == present and not kubernetes_components.outdated(component):
            return False
        if self.module.check_mode:
            return True
        replace(path, annotated(wanted, datetime.now(UTC).isoformat()))
        self.wait(component, path.stat().st_mtime)
        return True

    def restart_kubelet(self) -> None:
        if self.module.check_mode:
            return
        now = time.time()
        code, _, error = self.module.run_command(["systemctl", "restart", "kubelet"])
        if code:
            self.module.fail_json(msg=f"systemctl restart kubelet: {error.strip()}")
        self.wait("kubelet", now)

    def older(self, component: str, moment: float) -> bool:
        started = kubernetes_components.started(component)
        return started is None or started < moment

    def wait(self, component: str, moment: float) -> None:
        """Until the component runs since after a moment, and listens."""
        end = time.monotonic() + self.module.params["timeout"]
        while self.older(component, moment) or not listens(component):
            if time.monotonic() > end:
                self.module.fail_json(
                    msg=f"{component} did not start anew within {self.module.params['timeout']} s. What it says: tail "
                    f"/var/log/pods/kube-system_{component}-*/*/*.log; what the kubelet says: journalctl -u kubelet"
                )
            time.sleep(0.3)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "arguments": {"type": "dict", "default": {}},
            "timeout": {"type": "int", "default": 180},
        },
        supports_check_mode=True,
    )
    restarted = Components(module).converge()
    module.exit_json(changed=bool(restarted), restarted=restarted)


if __name__ == "__main__":
    main()
