"""Makes one host of an installation anew: out of the cluster, another server, into the cluster again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dougong import ansible, applied, contacts, environment, hands, inventory, paths, runs, stacks
from dougong.console import duration, out
from dougong.errors import DougongError


def replace(name: str, host: str) -> None:
    """Replace a host that is lost, or that one does not trust any more.

    Its address and its volumes stay. What etcd had written there does not: the new member gets everything from the
    others.

    Args:
        name: the environment.
        host: a host of the inventory, or an ending that only one of them has.

    Raises:
        DougongError: there is no such host, platform.yml asks for hosts that are not there yet, the cluster does not
            answer, or a step failed; the same command goes on.
    """
    platform = environment.platform(name)
    outputs = inventory.read_outputs(name, platform)
    known = inventory.build(platform, name, outputs)
    host = hands.match(known, host)
    if host not in {member for group in inventory.CLUSTER_GROUPS for member in known.groups[group]}:
        raise DougongError(f"{host} is no node of the cluster", f"dougong inventory -e {name} shows which hosts are")
    # Pulumi makes the one server and no other; its program cannot go on without those that are new.
    if missing := sorted(inventory.wanted(platform).keys() - known.hosts.keys()):
        raise DougongError(
            f"platform.yml asks for hosts that are not there yet: {', '.join(missing)}",
            f"put its numbers back to what is there, or dougong up -e {name}; then replace {host}",
        )
    with runs.start("replace", name, phases=("node", "server", "hosts")) as run:
        if applied.nodes(name) is None:
            raise DougongError(
                f"the API of {name!r} does not answer, so {host} cannot leave the cluster",
                f"dougong status -e {name}; a cluster that has lost its majority is restored from a backup",
            )
        before = _begun(name, host) or _servers(outputs)[host]
        _note(name, host, before)
        # An interrupted run may have come past this already.
        if _servers(outputs)[host] == before:
            with run.phase("node"):
                ansible.run(name, "playbooks/remove-node.yml", extra_vars={"remove_nodes": [host]})
                run.summary(f"{host} has left the cluster")
            with run.phase("server"):
                run.summary(stacks.summary(stacks.up(name, "cluster", stacks.reporter(run), replace=host)))
            outputs = inventory.read_outputs(name, platform)
        with run.phase("hosts"):
            contacts.forget_replaced(name, outputs["hosts"])
            result = ansible.run(name, "playbooks/site.yml", limit=host)
            known = inventory.build(platform, name, outputs)
            wanted = applied.fingerprints(name, platform, known, _servers(outputs))
            applied.record(name, {host: wanted[host]})
            run.summary(f"{result.tasks} tasks, {len(result.changed)} changed")
        _file(name, host).unlink()
    out().print(f"{host} is replaced after {duration(run.run.seconds)}")


def _servers(outputs: dict[str, Any]) -> dict[str, str]:
    return {host["name"]: host["server_id"] for host in outputs["hosts"]}


def _file(name: str, host: str) -> Path:
    """Holds the identifier of the server that is to go, as long as the replacement is at work."""
    return paths.state(name) / "replacing" / f"{host}.json"


def _begun(name: str, host: str) -> str:
    file = _file(name, host)
    return str(json.loads(file.read_text())["server_id"]) if file.exists() else ""


def _note(name: str, host: str, server: str) -> None:
    file = _file(name, host)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"server_id": server}))
