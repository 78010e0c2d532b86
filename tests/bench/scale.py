"""How long one more node takes, by the number of hosts that are there already.

The node is a real one: a worker of the lab leaves its cluster and joins it again. The hosts around it are entries of
the inventory with addresses that nobody has (RFC 5737): who asked one of them for anything would wait in vain.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from dougong import applied, environment, inventory, paths

ENVIRONMENT = "lab"
SIZES = (4, 30, 300)
NODE = "lab-worker-1"
_NOBODY = [IPv4Network(cidr) for cidr in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")]


@dataclass(frozen=True)
class Addition:
    """One node more.

    Attributes:
        hosts: in the inventory, with it.
        deciding: seconds until `up` knows that this host is due and no other.
        adding: seconds of playbooks/site.yml on it.
    """

    hosts: int
    deciding: float
    adding: float


def measure() -> list[Addition]:
    """Measure on the lab's installation, which must be up and is afterwards as before."""
    platform = environment.platform(ENVIRONMENT)
    outputs = inventory.read_outputs(ENVIRONMENT, platform)
    results = []
    for size in SIZES:
        template = next(host for host in outputs["hosts"] if host["role"] == "worker")
        others = [
            {**template, "name": f"simulated-{index}", "server_id": f"simulated-{index}", "address": address}
            for index, address in zip(range(size - len(outputs["hosts"])), _nobodies(), strict=False)
        ]
        deciding = _decide({**outputs, "hosts": [*outputs["hosts"], *others]})
        results.append(Addition(size, deciding, _add({host["name"]: host["address"] for host in others})))
    return results


def _nobodies() -> Iterator[str]:
    for network in _NOBODY:
        yield from map(str, network.hosts())


def _decide(outputs: dict[str, Any]) -> float:
    platform = environment.platform(ENVIRONMENT)
    servers = {host["name"]: host["server_id"] for host in outputs["hosts"]}
    applied.sources.cache_clear()
    started = time.perf_counter()
    known = inventory.build(platform, ENVIRONMENT, outputs)
    wanted = applied.fingerprints(ENVIRONMENT, platform, known, servers)
    present = {name: applied.Node(ready=True, applied=text) for name, text in wanted.items() if name != NODE}
    work = applied.work(known, wanted, present)
    seconds = time.perf_counter() - started
    # Hosts beside the cluster have no place to note what was applied to them: they come along.
    if (due := [host for host in work.due if host in wanted]) != [NODE]:
        raise RuntimeError(f"{due} are due, and not {NODE} alone")
    return seconds


def _add(others: Mapping[str, str]) -> float:
    _playbook("playbooks/remove-node.yml", {}, "--extra-vars", json.dumps({"remove_nodes": [NODE]}))
    started = time.perf_counter()
    _playbook("playbooks/site.yml", others, "--limit", NODE)
    return time.perf_counter() - started


def _playbook(playbook: str, others: Mapping[str, str], *options: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        simulated = Path(folder) / "simulated.yml"
        hosts = {name: {"ansible_host": address, "node_address": address} for name, address in others.items()}
        simulated.write_text(json.dumps({"workers": {"hosts": hosts}}))
        source = str(paths.platform_file(ENVIRONMENT))
        subprocess.run(
            ["ansible-playbook", "-i", source, "-i", str(simulated), *options, playbook],
            cwd=paths.ROOT,
            env=environment.overlay(environment.variables(ENVIRONMENT)),
            check=True,
            stdout=subprocess.DEVNULL,
        )
