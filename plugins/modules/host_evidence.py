#!/usr/bin/python
"""Ansible module: everything an inspection wants to know of one host, in one round trip; it changes nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ansible.module_utils import kubernetes_certificates
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.evidence import backups, control_plane, dns, icmp, machine, web

DOCUMENTATION = """
module: host_evidence
short_description: What an inspection wants to know of a host
description:
  - Reads file systems, memory, kernel settings, units, container runtime, certificates; on control-plane hosts etcd and
    the components, too. Tries the paths to other hosts and pods, and the cluster's DNS.
  - It judges nothing and fails only if it cannot look. C(dougong.inspection) judges.
options:
  address:
    description: The host's own address in the cluster.
    type: str
    required: true
  paths:
    description: Where packets are to be tried, each with I(node), I(address) and I(kind), C(host) or C(pod).
    type: list
    elements: dict
    default: []
  api_servers:
    description: API servers that this host must reach, each with I(node) and I(address).
    type: list
    elements: dict
    default: []
  name_servers:
    description: Name servers that are to be asked, each with I(name) and I(address).
    type: list
    elements: dict
    default: []
  question:
    description: The name they are asked for.
    type: str
    default: kubernetes.default.svc.cluster.local
  mounts:
    description: Where volumes of the host have to be mounted.
    type: list
    elements: str
    default: []
"""
RETURN = """
evidence:
  description: What was seen; its fields are those of C(dougong.inspection.evidence.Host).
  type: dict
"""

_INTERFACES = Path("/sys/class/net")
# On the host's side of a pod's link, and of the overlay where there is one.
_POD_INTERFACES, _OVERLAY = "cali*", "vxlan.calico"
_CA = "/etc/kubernetes/pki/ca.crt"


def runtime() -> dict[str, Any]:
    """Whether containerd answers, and in which versions client and daemon are."""
    if not Path("/usr/local/bin/ctr").exists():
        return {"versions": [], "error": "it is not installed"}
    answer = machine.run("/usr/local/bin/ctr", "--timeout", "5s", "version")
    found = [line.split()[-1] for line in answer.stdout.splitlines() if line.strip().startswith("Version:")]
    return {"versions": found, "error": answer.stderr.strip()[-400:] if answer.returncode else ""}


def api_server(server: dict[str, str]) -> dict[str, Any]:
    """Whether an API server can be reached from here. Its answer needs no permission to tell version or time."""
    if not web.exists(_CA):
        return {**server, "status": 0, "text": f"there is no {_CA}", "seconds": 0.0, "offset": None}
    answer = web.ask(f"https://{server['address']}:6443/version", web.trusting(_CA))
    return {**server, **answer, "text": "" if answer["status"] else answer["text"]}


def pod_mtu() -> int | None:
    """The largest packet that a pod on this host may send; the overlay's if there is no pod yet."""
    links = [*_INTERFACES.glob(_POD_INTERFACES)] or [*_INTERFACES.glob(_OVERLAY)]
    return max((int((link / "mtu").read_text()) for link in links), default=None)


def evidence(wanted: dict[str, Any]) -> dict[str, Any]:
    mtu, pods = machine.mtu_of(wanted["address"]), pod_mtu()
    sizes = {"host": mtu or 1280, "pod": pods or 1280}  # 1280: no path of today carries less
    paths = [{**path, "bytes": sizes[path["kind"]]} for path in wanted["paths"]]
    name = wanted["question"]
    with ThreadPoolExecutor(max_workers=16) as at_once:
        probed = at_once.submit(icmp.probe, paths)
        asked = [(server, at_once.submit(dns.ask, server["address"], name)) for server in wanted["name_servers"]]
        apis = at_once.map(api_server, wanted["api_servers"])
        daemon = at_once.submit(runtime)
        here = control_plane.is_here()
        parts = at_once.submit(control_plane.components, wanted["address"]) if here else None
        store = at_once.submit(control_plane.etcd) if here else None
        return {
            "container": machine.is_container(),
            "clock_synchronized": machine.synchronized(),
            "disks": machine.disks(),
            "memory": machine.memory(),
            "sysctls": machine.sysctls(),
            "failed_units": machine.failed_units(),
            "services": {unit: machine.service(unit) for unit in ("containerd.service", "kubelet.service")},
            "mounts": {mount: Path(mount).is_mount() for mount in wanted["mounts"]},
            "certificates": [{"path": str(each.path), "pem": each.own} for each in kubernetes_certificates.collect()],
            "mtu": mtu,
            "pod_mtu": pods,
            "runtime": daemon.result(),
            "components": parts.result() if parts else None,
            "etcd": store.result() if store else None,
            "backup": backups.backups() if here else None,
            "api_servers": list(apis),
            "name_servers": [{**server, **answer.result()} for server, answer in asked],
            "paths": probed.result(),
        }


def main() -> None:
    rows = {"type": "list", "elements": "dict", "default": []}
    module = AnsibleModule(
        argument_spec={
            "address": {"type": "str", "required": True},
            "paths": rows,
            "api_servers": rows,
            "name_servers": rows,
            "question": {"type": "str", "default": "kubernetes.default.svc.cluster.local"},
            "mounts": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    module.exit_json(changed=False, evidence=evidence(module.params))


if __name__ == "__main__":
    main()
