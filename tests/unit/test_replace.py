"""`dougong replace`: out of the cluster, another server, in again; and how it goes on after a kill."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from installation import outputs

from dougong import ansible, applied, contacts, environment, inventory, replace, stacks
from dougong.errors import DougongError

LEAVES = ("playbooks/remove-node.yml", None, {"remove_nodes": ["lab-worker-1"]})
JOINS = ("playbooks/site.yml", "lab-worker-1", None)


class World:
    """What was asked of the parts; a step that is told to fails."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.broken = ""
        self.outputs = outputs(environment.platform("lab"))

    def ansible(self, name: str, playbook: str, **options: Any) -> ansible.PlaybookResult:
        self.calls.append((playbook, options.get("limit"), options.get("extra_vars")))
        if playbook == self.broken:
            raise DougongError("killed")
        return ansible.PlaybookResult()

    def stack(self, name: str, stack: str, on_event: Any, *, replace: str) -> dict[str, int]:
        self.calls.append((stack, replace))
        host = next(host for host in self.outputs["hosts"] if host["name"] == replace)
        host["server_id"] = f"successor of {host['server_id']}"
        return {"replace": 1}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("CI", "true")
    world = World()
    monkeypatch.setattr(inventory, "read_outputs", lambda name, platform: world.outputs)
    monkeypatch.setattr(applied, "nodes", lambda name: {})
    monkeypatch.setattr(applied, "record", lambda name, prints: world.calls.append(sorted(prints)))
    monkeypatch.setattr(ansible, "run", world.ansible)
    monkeypatch.setattr(stacks, "up", world.stack)
    monkeypatch.setattr(contacts, "forget_replaced", lambda name, hosts: [])
    return world


def test_it_leaves_gets_another_server_and_joins(world: World) -> None:
    replace.replace("lab", "worker-1")
    assert world.calls == [LEAVES, ("cluster", "lab-worker-1"), JOINS, ["lab-worker-1"]]


def test_a_killed_run_goes_on_and_does_not_replace_the_new_server(world: World) -> None:
    world.broken = "playbooks/site.yml"
    with pytest.raises(DougongError):
        replace.replace("lab", "worker-1")
    world.calls.clear()
    world.broken = ""
    replace.replace("lab", "worker-1")
    assert world.calls == [JOINS, ["lab-worker-1"]]


def test_the_next_time_it_is_replaced_again(world: World) -> None:
    replace.replace("lab", "worker-1")
    world.calls.clear()
    replace.replace("lab", "worker-1")
    assert ("cluster", "lab-worker-1") in world.calls


def test_without_an_api_nothing_is_touched(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(applied, "nodes", lambda name: None)
    with pytest.raises(DougongError, match="cannot leave the cluster"):
        replace.replace("lab", "worker-1")
    assert world.calls == []


def test_who_is_unknown_is_not_replaced(world: World) -> None:
    with pytest.raises(DougongError, match="worker-7"):
        replace.replace("lab", "worker-7")


def test_hosts_that_are_not_there_yet_come_first(world: World) -> None:
    world.outputs["hosts"] = [host for host in world.outputs["hosts"] if host["name"] != "lab-worker-0"]
    with pytest.raises(DougongError, match="not there yet: lab-worker-0"):
        replace.replace("lab", "worker-1")
    assert world.calls == []
