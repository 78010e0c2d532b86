"""Which hosts an `up` has to work on: those to which something else was applied last time, or nothing yet.

What would be applied to a host is boiled down to a fingerprint, and after a successful run it is written on the Node
object of the host. There it is the same for everybody who works on the installation, it is read for all hosts by one
request, a host that is dead does not matter, and it goes with the node. What changes on a host afterwards is not seen
here; that is for `dougong check` to find and for `dougong up --all` to put right.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

from kubernetes.client import CoreV1Api

from dougong import cluster_api, inventory, paths
from dougong.errors import DougongError
from dougong.inventory import CLUSTER_GROUPS, Inventory
from dougong.platform import Platform

ANNOTATION = "dougong.local/applied"
# What a playbook run is made of beside the variables.
_SOURCES = ("roles", "playbooks", "plugins", "artifacts/catalogue.yml", "artifacts/catalogue.lock.yml", "ansible.cfg")
# Roles of the lab and of this machine say nothing about hosts.
_NOT_OF_HOSTS = ("roles/lab_", "playbooks/lab", "playbooks/vars/lab", "plugins/modules/lab_")
# Between what was applied and the server that it was applied to.
_SERVER = "@"
# To connect, and to answer: a control plane under load lists 300 nodes within a second.
_TIMEOUT_SECONDS = (3, 10)


@dataclass(frozen=True)
class Node:
    """A node as the cluster knows it.

    Attributes:
        ready: its kubelet reports, and says that it is well.
        applied: fingerprint of what was applied to its host last; empty if that was never finished.
    """

    ready: bool
    applied: str


def nodes(environment: str) -> dict[str, Node] | None:
    """The nodes by name; None when there is no cluster that could be asked.

    Args:
        environment: the folder name below inventories/.
    """
    api = _api(environment)
    if api is None:
        return None
    try:
        found: list[Any] = api.list_node(_request_timeout=_TIMEOUT_SECONDS).items
    except cluster_api.REFUSALS:
        return None
    return {
        node.metadata.name: Node(
            ready=any(each.type == "Ready" and each.status == "True" for each in node.status.conditions or []),
            applied=(node.metadata.annotations or {}).get(ANNOTATION, ""),
        )
        for node in found
    }


def record(environment: str, fingerprints: Mapping[str, str]) -> None:
    """Note on the nodes what was applied to their hosts.

    Args:
        environment: the folder name below inventories/.
        fingerprints: host → fingerprint.

    Raises:
        ApiException: the cluster refuses.
    """
    api = _api(environment)
    if api is None:
        return

    def patch(item: tuple[str, str]) -> None:
        name, fingerprint = item
        body = {"metadata": {"annotations": {ANNOTATION: fingerprint}}}
        api.patch_node(name, body, _request_timeout=_TIMEOUT_SECONDS)

    with ThreadPoolExecutor(max_workers=10) as pool:
        list(pool.map(patch, fingerprints.items()))


def fingerprints(environment: str, platform: Platform, known: Inventory, servers: Mapping[str, str]) -> dict[str, str]:
    """What would be applied to each host of the cluster.

    Args:
        environment: the folder name below inventories/.
        platform: what is wanted.
        known: the inventory.
        servers: host → identifier of its server; another server is another host, whatever its name.

    Returns:
        host → fingerprint.
    """
    # How many hosts a pool has changes nothing on any of them; what concerns a host is in its own variables.
    shared = platform.model_dump(mode="json", exclude={"pools"})
    members = {host: known.hosts[host]["node_address"] for group in CLUSTER_GROUPS for host in known.groups[group]}
    # All hosts send logs and measurements to the services' hosts, and pull images from them; a bastion is watched.
    # They have no Node to write on: what is new for one of them shows in every fingerprint.
    beside = {host: [_portable(known.hosts[host]), servers[host]] for host in known.hosts if host not in members}
    common = [sources(environment), shared, _portable(known.variables), beside]
    balancing = platform.load_balancers.provider == "keepalived"
    return {
        host: _digest(
            [
                *common,
                _portable(known.hosts[host]),
                # Such hosts carry the addresses of all others in HAProxy's configuration.
                members if balancing and host in known.groups["control_plane"] else None,
            ]
        )
        + _SERVER
        + servers[host]
        for host in members
    }


def _portable(variables: Mapping[str, Any]) -> dict[str, Any]:
    """Without what says how to get there from this machine, and what is looked at in parts."""
    return {
        key: value
        for key, value in variables.items()
        if not key.startswith("ansible_") and key not in ("platform", "state_dir")
    }


@cache
def sources(environment: str) -> str:
    """Digest of all files that a run on the hosts is made of.

    Args:
        environment: its group_vars and host_vars are among them.
    """
    folder = paths.inventory(environment)
    roots = [*(paths.ROOT / name for name in _SOURCES), folder / "group_vars", folder / "host_vars"]
    digest = hashlib.sha256()
    for root in roots:
        for file in [root] if root.is_file() else sorted(path for path in root.rglob("*") if path.is_file()):
            name = str(file.relative_to(paths.ROOT))
            if name.startswith(_NOT_OF_HOSTS) or "__pycache__" in name:
                continue
            digest.update(f"{name}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\0".encode())
    return digest.hexdigest()


@dataclass(frozen=True)
class Work:
    """What a run on the hosts has to do.

    Attributes:
        due: hosts to work on, in the order of the inventory.
        same: hosts to which nothing else would be applied.
        absent: members that are not Ready and are left alone: nothing could be done on them. A member whose server was
            made anew is not among them.
    """

    due: list[str]
    same: list[str]
    absent: list[str]


def work(
    known: Inventory, wanted: Mapping[str, str], present: Mapping[str, Node] | None, *, everything: bool = False
) -> Work:
    """Which hosts are due.

    Args:
        known: the inventory.
        wanted: see fingerprints.
        present: see nodes; without a cluster every host is due.
        everything: all that are not absent are due.
    """
    present = present or {}
    absent = [
        host
        for host in wanted
        if host in present and not present[host].ready and _server(present[host].applied) == _server(wanted[host])
    ]
    new = [
        host
        for host, fingerprint in wanted.items()
        if host not in absent and (everything or host not in present or present[host].applied != fingerprint)
    ]
    # Hosts beside the cluster have no fingerprint of their own; they alone are no reason for a run.
    beside = [host for host in known.hosts if host not in wanted] if new or everything or not present else []
    due = [host for host in known.hosts if host in {*new, *beside}]
    return Work(due, [host for host in known.hosts if host not in {*due, *absent}], absent)


def leaving(environment: str, platform: Platform) -> list[str]:
    """Nodes whose hosts platform.yml does not have any more.

    Args:
        environment: the folder name below inventories/.
        platform: what is wanted.

    Raises:
        DougongError: there are such hosts, and the cluster cannot be asked for what runs on them.
    """
    if not paths.kubeconfig(environment).exists():
        return []
    wanted = inventory.wanted(platform)
    present = nodes(environment)
    if present is not None and present.keys() <= wanted.keys():
        return []
    try:
        held = {
            host["name"]
            for host in inventory.read_outputs(environment, platform).get("hosts", [])
            if host["role"] in ("control-plane", "worker")
        }
    except inventory.NoStackError:
        return []
    if present is None:
        if gone := sorted(held - wanted.keys()):
            raise DougongError(
                f"platform.yml lacks {', '.join(gone)}, and the cluster does not answer, so nothing can be drained",
                "bring the API back (dougong status); a cluster that is lost for good: dougong down",
            )
        return []
    ours = held | {name for name, node in present.items() if node.applied}
    return sorted(name for name in present if name in ours and name not in wanted)


def _api(environment: str) -> CoreV1Api | None:
    kubeconfig = paths.kubeconfig(environment)
    return CoreV1Api(cluster_api.connect(kubeconfig)) if kubeconfig.exists() else None


def _server(fingerprint: str) -> str:
    return fingerprint.partition(_SERVER)[2]


def _digest(data: object) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True, default=str).encode()).hexdigest()[:32]
