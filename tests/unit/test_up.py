"""The order of things in up, plan and down, with parts that only say that they were called."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dougong import (
    ansible,
    application,
    artifacts,
    cloud,
    cluster_made,
    contacts,
    down,
    environment,
    ghost_balancers,
    inventory,
    lab,
    monitor_ports,
    plan,
    preflight,
    runs,
    up,
)
from dougong import stacks as pulumi
from dougong.artifacts import tools
from dougong.errors import DougongError

OUTPUTS = {
    "hosts": [
        {
            "name": "lab-worker-0",
            "pool": "worker",
            "role": "worker",
            "index": 0,
            "address": "10.1.0.5",
            "public_address": None,
            "zone": "nova",
            "volumes": [],
            "server_id": "1",
        }
    ],
    "apps": {"address": "10.1.0.9", "public_address": None, "listeners": [{"name": "http", "port": 80}]},
}

NOTHING_MADE = cluster_made.Made([], [], [], [], [])


class World:
    """What the parts say, and what was asked of them."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.changes: dict[str, int] = {"same": 3}
        self.tasks: list[ansible.Change] = []
        self.left: list[tuple[str, str, str]] = []
        self.lab_runs = True
        self.outputs: dict[str, Any] = OUTPUTS

    def call(self, name: str, result: Any = None) -> Callable[..., Any]:
        """A part that notes its call, with its plain arguments."""

        def body(*arguments: Any, **options: Any) -> Any:
            words = [name, *(word for word in arguments[1:] if isinstance(word, str))]
            words += [key for key, value in options.items() if value is True]
            self.calls.append(" ".join(words))
            return result() if callable(result) else result

        return body


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("CI", "true")
    world = World()
    for module, name, result in (
        (artifacts, "ensure", list),
        (tools, "link", list),
        (lab, "up", None),
        (lab, "down", None),
        (lab, "settled", list),
        (preflight, "preflight", list),
        (cloud, "connect", None),
        (cloud, "remaining", lambda: world.left),
        (cluster_made, "find", NOTHING_MADE),
        (cluster_made, "remove", NOTHING_MADE),
        (monitor_ports, "remove_orphans", 0),
        (ghost_balancers, "remove", list),
        (pulumi, "preview", lambda: world.changes),
        (pulumi, "up", lambda: world.changes),
        (pulumi, "destroy", lambda: {"delete": 3}),
        (pulumi, "forget", None),
        (application, "wait", "answers"),
        (contacts, "forget_replaced", list),
        (contacts, "forget_all", None),
    ):
        title = f"{module.__name__.removeprefix('dougong.')}.{name}"
        monkeypatch.setattr(module, name, world.call(title, result))
    monkeypatch.setattr(lab, "running", lambda: world.lab_runs)
    monkeypatch.setattr(inventory, "read_outputs", lambda name, platform: world.outputs)
    played = ansible.PlaybookResult(changed=world.tasks, stats={"lab-worker-0": {"ok": 1}}, tasks=1)
    monkeypatch.setattr(ansible, "run", world.call("ansible.run", played))
    return world


def test_up_goes_from_the_artifacts_to_the_answer(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert up.up("lab") is True
    run = runs.find("lab", "last")
    assert world.calls == [
        "artifacts.ensure",
        "artifacts.ensure",
        "artifacts.tools.link",
        "lab.up",
        "cloud.connect",
        "preflight.preflight",
        "stacks.up network",
        "stacks.up cluster",
        "contacts.forget_replaced",
        "ansible.run playbooks/site.yml",
        "application.wait",
    ]
    assert [phase.name for phase in run.phases] == list(up.PHASES)
    said = capsys.readouterr().out
    for word in ("lab is up", "http://10.1.0.9/", "kubeconfig", "dougong status", run.id):
        assert word in said


def test_a_real_cloud_needs_no_lab(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    described = environment.platform("lab")
    real = described.model_copy(update={"cloud": described.cloud.model_copy(update={"embedded": False})})
    monkeypatch.setattr(environment, "platform", lambda name: real)
    up.up("lab")
    assert "lab.up" not in world.calls
    world.calls.clear()
    down.down("lab")
    assert "lab.down" not in world.calls


def test_a_failed_phase_ends_the_run_and_is_recorded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any, **options: Any) -> None:
        raise DougongError("no quota")

    monkeypatch.setattr(pulumi, "up", refuse)
    with pytest.raises(DougongError):
        up.up("lab")
    assert not any(call.startswith("ansible.run") for call in world.calls)
    run = runs.find("lab", "last")
    assert (run.state, run.error, run.phases[-1].name, run.phases[-1].state) == (
        "failed",
        "no quota",
        "network",
        "failed",
    )


def test_an_empty_plan_says_so(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert plan.plan("lab") is False
    assert world.calls == [
        "stacks.preview network",
        "stacks.preview cluster",
        "ansible.run playbooks/site.yml check diff",
    ]
    assert "No change" in capsys.readouterr().out


def test_a_plan_before_the_first_up_asks_no_host(world: World) -> None:
    world.outputs = {}
    plan.plan("lab")
    assert not any(call.startswith("ansible.run") for call in world.calls)
    assert "skipped" in runs.find("lab", "last").phase("hosts").summary


def test_a_plan_without_the_lab_asks_nothing(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.lab_runs = False
    assert plan.plan("lab") is True
    assert world.calls == []
    assert "would start it" in capsys.readouterr().out


def test_a_change_on_a_host_alone_is_a_change(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.tasks.append(ansible.Change("lab-worker-0", "host : Settings", "-old\n+new"))
    assert plan.plan("lab") is True
    said = capsys.readouterr().out
    assert "lab-worker-0: host : Settings" in said
    assert "    +new" in said


def test_a_change_in_the_cloud_alone_is_a_change(world: World) -> None:
    world.changes = {"same": 3, "update": 1}
    assert plan.plan("lab") is True


def test_down_removes_in_the_opposite_order_and_looks_what_is_left(world: World) -> None:
    assert down.down("lab") is True
    assert world.calls == [
        "cloud.connect",
        "lab.settled",
        "stacks.destroy cluster",
        "cloud.connect",
        "cluster_made.remove lab",
        "monitor_ports.remove_orphans lab",
        "stacks.destroy network",
        "ghost_balancers.remove lab",
        "cloud.remaining",
        "contacts.forget_all",
        "lab.down",
        "stacks.forget",
    ]


def test_down_keeps_the_lab_when_asked(world: World) -> None:
    down.down("lab", keep_lab=True)
    assert "lab.down" not in world.calls
    assert "stacks.forget" not in world.calls


def test_down_tells_what_is_left(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.left = [("volume", "forgotten", "1234")]
    assert down.down("lab", keep_lab=True) is False
    assert "left in the project: volume forgotten (1234)" in capsys.readouterr().out


def test_down_removes_a_lab_that_is_half_built(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(platform: object) -> None:
        raise DougongError("no such entry in clouds.yaml")

    monkeypatch.setattr(cloud, "connect", refuse)
    assert down.down("lab") is True
    assert world.calls == ["contacts.forget_all", "lab.down", "stacks.forget"]


def test_what_was_left_goes_with_the_lab(world: World) -> None:
    world.left = [("volume", "forgotten", "1234")]
    assert down.down("lab") is True


def test_down_without_a_running_lab_removes_what_is_left_of_it(world: World) -> None:
    world.lab_runs = False
    assert down.down("lab") is True
    assert world.calls == ["contacts.forget_all", "lab.down", "stacks.forget"]
