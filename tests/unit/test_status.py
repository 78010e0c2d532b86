"""What is not healthy is named, with what to do."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest
from kubernetes import client

from dougong import environment, inventory, lab, stacks, status
from dougong.check import Check
from dougong.errors import DougongError


def node(name: str, ready: str, message: str = "") -> Any:
    condition = client.V1NodeCondition(type="Ready", status=ready, message=message)
    return client.V1Node(
        metadata=client.V1ObjectMeta(name=name), status=client.V1NodeStatus(conditions=[condition] if ready else [])
    )


def pod(phase: str, ready: bool = True, waiting: str = "") -> Any:
    state = client.V1ContainerState(waiting=client.V1ContainerStateWaiting(reason=waiting) if waiting else None)
    container = client.V1ContainerStatus(
        name="main", ready=ready, state=state, image="", image_id="", restart_count=0, started=ready
    )
    return client.V1Pod(
        metadata=client.V1ObjectMeta(name="web", namespace="demo"),
        status=client.V1PodStatus(phase=phase, container_statuses=[container]),
    )


@pytest.mark.parametrize(
    ("item", "trouble"),
    [
        (node("a", "True"), ""),
        (node("a", "False", "runtime is down"), "runtime is down"),
        (node("a", "Unknown", "kubelet stopped posting"), "kubelet stopped posting"),
        (node("a", ""), "its kubelet has never reported"),
    ],
)
def test_nodes(item: Any, trouble: str) -> None:
    assert status._node_trouble(item) == trouble


@pytest.mark.parametrize(
    ("item", "trouble"),
    [
        (pod("Running"), ""),
        (pod("Succeeded", ready=False), ""),
        (pod("Running", ready=False, waiting="CrashLoopBackOff"), "container main: CrashLoopBackOff"),
        (pod("Running", ready=False), "container main: not ready"),
        (pod("Pending"), "Pending"),
    ],
)
def test_pods(item: Any, trouble: str) -> None:
    assert status._pod_trouble(item) == trouble


@pytest.mark.parametrize(
    ("code", "out", "err", "ok", "said"),
    [
        (0, "running\n", "", True, "running"),
        (1, "starting\n", "", True, "starting"),
        (1, "degraded\n", "", False, "systemd says: degraded"),
        (255, "", "debug\nNo route to host\n", False, "cannot be reached: No route to host"),
        (255, "", "", False, "no reason given"),
    ],
)
def test_hosts(code: int, out: str, err: str, ok: bool, said: str) -> None:
    answer = subprocess.CompletedProcess[str]([], code, out, err)
    finding = status._host("lab", "lab-worker-0", answer)
    assert finding.ok is ok
    assert said in finding.detail
    assert bool(finding.remedy) is not ok


def test_a_lab_that_is_down_hides_what_is_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab, "status", lambda: [Check("container", False, "does not run", "dougong lab up")])
    findings = list(status.look("lab"))
    assert [(finding.name, finding.ok) for finding in findings] == [("platform.yml", True), ("lab", False)]
    assert findings[-1].remedy == "dougong lab up"


def test_before_the_first_up_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def nothing(name: str, platform: object) -> dict[str, Any]:
        raise inventory.NoStackError("nothing is there", "dougong up")

    monkeypatch.setattr(lab, "status", lambda: [Check("container", True, "runs")])
    monkeypatch.setattr(inventory, "read_outputs", nothing)
    assert status.status("lab") is False
    assert "nothing is there" in capsys.readouterr().out


def test_a_stack_that_differs_is_told_with_the_command_that_shows_how(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stacks, "preview", lambda name, stack: {"same": 3, "update": 1})
    finding = status._stack("lab", "network")
    assert not finding.ok
    assert "differs from platform.yml" in finding.detail
    assert "pulumi -C stacks/network preview --diff" in finding.remedy


def test_a_preview_that_fails_is_a_finding_and_not_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str, stack: str) -> dict[str, int]:
        raise DougongError("no quota", "ask for more")

    monkeypatch.setattr(stacks, "preview", fail)
    assert status._stack("lab", "network") == Check("stack network", False, "no quota", "ask for more")


def test_the_environment_has_to_exist() -> None:
    with pytest.raises(DougongError, match="nowhere"):
        list(status.look("nowhere"))
    assert "lab" in environment.names()
