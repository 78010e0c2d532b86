"""Which host tries the network to which others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

# All pairs of 30 nodes are 870 paths, ten packets each: a second's work. More nodes are tried in a ring.
ALL_PAIRS_UP_TO = 30
# Each node of a ring tries this many. With 8 neighbours a node that is cut off is seen by 8 others, and a switch that
# separates two halves of a rack-ordered list is seen at both borders.
NEIGHBOURS = 8


def peers(names: Sequence[str], own: str) -> list[str]:
    """The nodes that one node tries.

    All others up to ALL_PAIRS_UP_TO nodes. Beyond, the ring of sorted names: half of the neighbours are the next ones,
    half lie 1/2, 1/4, 1/8, 1/16 of the ring away, so that far ends are tried, too. Each node is tried by as many others
    as it tries itself.

    Args:
        names: all nodes.
        own: the one that tries.
    """
    ring = sorted(names)
    if own not in ring:
        return []
    if len(ring) <= ALL_PAIRS_UP_TO:
        return [name for name in ring if name != own]
    near = range(1, NEIGHBOURS // 2 + 1)
    far = (len(ring) >> power for power in range(1, NEIGHBOURS // 2 + 1))
    here = ring.index(own)
    steps = dict.fromkeys(step for step in (*near, *far) if step)
    return [ring[(here + step) % len(ring)] for step in steps]


def targets(
    own: str, hosts: Sequence[Mapping[str, Any]], cluster: Mapping[str, Any]
) -> dict[str, list[dict[str, str]]]:
    """The arguments of host_evidence that say what a host is to try.

    Args:
        own: its name.
        hosts: see evidence.Declared.hosts.
        cluster: see evidence.Cluster.

    Returns:
        paths, api_servers and name_servers; nothing for a host outside the cluster, which nobody lets in.
    """
    nodes = {host["name"]: host for host in hosts if host["role"]}
    if own not in nodes:
        return {"paths": [], "api_servers": [], "name_servers": []}
    tried = peers(list(nodes), own)
    tunnels = {node["name"]: node["tunnel"] for node in cluster.get("nodes", []) if node["tunnel"]}
    return {
        "paths": [
            *({"node": name, "address": nodes[name]["address"], "kind": "host"} for name in tried),
            *({"node": name, "address": tunnels[name], "kind": "pod"} for name in tried if name in tunnels),
        ],
        "api_servers": [
            {"node": name, "address": node["address"]}
            for name, node in nodes.items()
            if node["role"] == "control-plane"
        ],
        "name_servers": list(cluster.get("name_servers", [])),
    }
