#!/usr/bin/python
"""Ansible module: a member of a kubeadm cluster brought to a changed configuration, and back when it does not work."""

from __future__ import annotations

import json
import os
import ssl
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: kubeadm_configuration
short_description: Bring a member of a kubeadm cluster to a changed configuration
description:
  - On a control plane kubeadm renders the manifests of the static pods. Those that differ from what is there are
    replaced one after another, etcd first; each has to become healthy before the next. One that does not gets its
    former manifest back, and the module fails with what the container said. Then the configuration is uploaded for
    those who join and upgrade later, and kube-proxy gets its part.
  - On every member the kubelet takes its configuration from the cluster and is restarted if that has changed; one that
    does not become healthy gets the former one back.
  - A record of the configuration is written at the end only, so whoever was interrupted begins again.
options:
  config:
    description: kubeadm's documents. On a host that is no control plane only the record is made of them.
    type: str
    required: true
  control_plane:
    description: Whether the host runs the control plane.
    type: bool
    required: true
  api_url:
    description: URL of this host's own API server, without a path.
    type: str
  record:
    description: File that holds what was rolled out last.
    type: path
    required: true
  seconds:
    description: How long each component may take to become healthy.
    type: int
    default: 180
"""
RETURN = """
replaced:
  description: Static pods whose manifest was (in check mode, would be) replaced.
  type: list
restarted:
  description: Other components that were restarted.
  type: list
"""

MANIFESTS = Path("/etc/kubernetes/manifests")
KUBELET_CONFIGURATION = Path("/var/lib/kubelet/config.yaml")
KUBELET_HEALTH = "http://127.0.0.1:10248/healthz"
POD_LOGS = Path("/var/log/pods")
KUBECTL = ["kubectl", "--kubeconfig=/etc/kubernetes/admin.conf"]
MEMBERSHIP = "    - --initial-cluster"


@dataclass(frozen=True)
class StaticPod:
    """A component of the control plane.

    Attributes:
        name: of its manifest and of its program.
        health: URL that answers 200 when it is well.
    """

    name: str
    health: str

    @property
    def manifest(self) -> Path:
        return MANIFESTS / f"{self.name}.yaml"


def static_pods(api_url: str) -> list[StaticPod]:
    """In the order in which they are replaced. The ports are kubeadm's."""
    return [
        StaticPod("etcd", "http://127.0.0.1:2381/readyz"),
        StaticPod("kube-apiserver", f"{api_url}/readyz"),
        StaticPod("kube-controller-manager", "https://127.0.0.1:10257/healthz"),
        StaticPod("kube-scheduler", "https://127.0.0.1:10259/healthz"),
    ]


def keep_membership(wanted: str, present: str) -> str:
    """A manifest of etcd with the founding members of the present one, where kubeadm renders those of a cluster of one.

    A member with data does not read them, but a difference would restart it for nothing.
    """
    kept = [line for line in present.splitlines(keepends=True) if line.startswith(MEMBERSHIP)]
    lines: list[str] = []
    for line in wanted.splitlines(keepends=True):
        if not line.startswith(MEMBERSHIP):
            lines.append(line)
        else:
            lines += kept
            kept = []
    return "".join(lines)


def replace(path: Path, content: str, mode: int = 0o600) -> None:
    """Write a file by a rename; whoever watches the folder (the kubelet) leaves names with a dot alone."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(descriptor, "w") as file:
        file.write(content)
        os.fchmod(file.fileno(), mode)
    Path(temporary).rename(path)


def processes(name: str) -> set[int]:
    """Ids of the processes whose program has this name."""
    found = set()
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            program = command.read_bytes().split(b"\0", 1)[0].decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended meanwhile
        if Path(program).name == name:
            found.add(int(command.parent.name))
    return found


def healthy(url: str) -> bool:
    """Whether a health check answers 200."""
    # Nothing is told and nothing believed here but `I am well`; the schedulers' certificates are their own.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with urllib.request.urlopen(url, timeout=3, context=context) as answer:  # noqa: S310 - URLs of this module
            return bool(answer.status == 200)
    except OSError:  # not there yet, or not well: URLError and HTTPError are kinds of it
        return False


def last_words(name: str) -> list[str]:
    """The end of a static pod's newest log."""
    logs = sorted(POD_LOGS.glob(f"kube-system_{name}-*/*/*.log"), key=lambda file: file.stat().st_mtime)
    return logs[-1].read_text(errors="replace").splitlines()[-15:] if logs else []


class Member:
    """This host as a member of its cluster."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.seconds: int = module.params["seconds"]

    def run(self, *command: str, **environment: str) -> str:
        """Run a command; a failure ends the module with what it said."""
        code, out, error = self.module.run_command([*command], environ_update=environment)
        if code:
            self.module.fail_json(msg=f"{' '.join(command)}: {error.strip() or out.strip()}")
        return str(out)

    def phases(self, config: Path, *phases: str, **environment: str) -> None:
        """Run phases of `kubeadm init`, each written as on the command line."""
        for phase in phases:
            self.run("kubeadm", "init", "phase", *phase.split(), f"--config={config}", **environment)

    def render(self, config: Path) -> dict[str, str]:
        """The manifests as kubeadm would write them."""
        with tempfile.TemporaryDirectory() as scratch:
            self.phases(config, "etcd local --dry-run", "control-plane all --dry-run", KUBEADM_INIT_DRYRUN_DIR=scratch)
            return {file.stem: file.read_text() for file in Path(scratch).glob("*.yaml")}

    def becomes_healthy(self, process: str, url: str, former: set[int]) -> bool:
        """Wait until a process that is none of the former ones says that it is well."""
        end = time.monotonic() + self.seconds
        while time.monotonic() < end:
            running = processes(process)
            if running and not running & former and healthy(url):
                return True
            time.sleep(1)
        return False

    def replace_pod(self, pod: StaticPod, wanted: str) -> None:
        present, former = pod.manifest.read_text(), processes(pod.name)
        replace(pod.manifest, wanted)
        if self.becomes_healthy(pod.name, pod.health, former):
            return
        said, failed = last_words(pod.name), processes(pod.name)
        replace(pod.manifest, present)
        back = self.becomes_healthy(pod.name, pod.health, failed - former)
        self.module.fail_json(
            msg=f"{pod.name} did not become healthy within {self.seconds} s with its new configuration; with its "
            f"former one it {'is well again' if back else 'is not either: look into ' + str(POD_LOGS)}. "
            "It said last:\n" + "\n".join(said)
        )

    def update_kube_proxy(self, config: Path) -> bool:
        """Give kube-proxy its configuration; its pods read it when they start."""
        read = [*KUBECTL, "--namespace=kube-system", "get", "configmap", "kube-proxy", "--output=jsonpath={.data}"]
        before = self.run(*read)
        self.phases(config, "addon kube-proxy")
        if json.loads(self.run(*read)) == json.loads(before):
            return False
        self.run(*KUBECTL, "--namespace=kube-system", "rollout", "restart", "daemonset/kube-proxy")
        return True

    def update_kubelet(self) -> bool:
        """Take the kubelet's configuration from the cluster."""
        before, mode = KUBELET_CONFIGURATION.read_text(), KUBELET_CONFIGURATION.stat().st_mode & 0o777
        self.run("kubeadm", "upgrade", "node", "phase", "kubelet-config")
        # kubeadm leaves it readable for everybody.
        KUBELET_CONFIGURATION.chmod(0o600)
        if KUBELET_CONFIGURATION.read_text() == before:
            return mode != 0o600
        former = processes("kubelet")
        self.run("systemctl", "restart", "kubelet.service")
        if self.becomes_healthy("kubelet", KUBELET_HEALTH, former):
            return True
        said = self.run("journalctl", "--unit=kubelet.service", "--no-pager", "--output=cat", "--lines=15")
        replace(KUBELET_CONFIGURATION, before)
        self.run("systemctl", "restart", "kubelet.service")
        return self.module.fail_json(  # type: ignore[no-any-return]  # it does not return
            msg=f"the kubelet did not become healthy within {self.seconds} s with its new configuration and has its "
            f"former one back. It said last:\n{said}"
        )


def converge(module: AnsibleModule) -> dict[str, Any]:
    member, record = Member(module), Path(module.params["record"])
    wanted, present = module.params["config"], record.read_text() if record.exists() else ""
    result: dict[str, Any] = {"replaced": [], "restarted": [], "diff": []}
    if wanted != present:
        result["diff"].append({"before": present, "after": wanted, "before_header": record.name})
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as config:
        config.write(wanted)
        config.flush()
        if module.params["control_plane"]:
            rendered = member.render(Path(config.name))
            for pod in static_pods(module.params["api_url"]):
                before = pod.manifest.read_text()
                after = keep_membership(rendered[pod.name], before)
                if after != before:
                    result["replaced"].append(pod.name)
                    result["diff"].append({"before": before, "after": after, "before_header": str(pod.manifest)})
                    if not module.check_mode:
                        member.replace_pod(pod, after)
        if not module.check_mode:
            if module.params["control_plane"]:
                member.phases(Path(config.name), "upload-config all")
                if member.update_kube_proxy(Path(config.name)):
                    result["restarted"].append("kube-proxy")
            if member.update_kubelet():
                result["restarted"].append("kubelet")
            replace(record, wanted)
    result["changed"] = bool(result["diff"] or result["restarted"])
    return result


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "config": {"type": "str", "required": True},
            "control_plane": {"type": "bool", "required": True},
            "api_url": {"type": "str"},
            "record": {"type": "path", "required": True},
            "seconds": {"type": "int", "default": 180},
        },
        required_if=[("control_plane", True, ["api_url"])],
        supports_check_mode=True,
    )
    module.exit_json(**converge(module))


if __name__ == "__main__":
    main()
