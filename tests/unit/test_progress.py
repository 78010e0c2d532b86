"""What a fetch reports becomes steps of the run."""

from __future__ import annotations

from pathlib import Path

import pytest

from dougong import progress, runs
from dougong.artifacts import Event
from dougong.runs import Phase


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Phase:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("CI", "true")
    with runs.start("up", "lab") as run, run.phase("artifacts"):
        listen = progress.of_artifacts(run)
        for event in (
            Event("note", "example.org", "unreachable, not tried again"),
            Event("download", "pulumi", "https://example.org/pulumi", 0, 100 * 2**20),
            Event("download", "pulumi", "https://example.org/pulumi", 50 * 2**20, 100 * 2**20),
            Event("done", "pulumi", "official"),
            Event("build", "kubernetes", "1.36.3 builds kubelet, kubeadm"),
            Event("build", "kubernetes", "k8s.io/api", done=7),
            Event("done", "kubelet", "build"),
            Event("done", "kubeadm", "build"),
        ):
            listen(event)
            if event.done == 50 * 2**20:
                shown = [step.step.name for step in run.active]
    assert shown == ["pulumi: https://example.org/pulumi, 50 of 100 MiB"]
    return runs.find("lab", "last").phase("artifacts")


def test_each_download_build_and_artifact_is_a_step(recorded: Phase) -> None:
    assert [(step.name.split(":")[0], step.changed) for step in recorded.steps] == [
        ("pulumi", ["official"]),
        ("kubernetes", []),
        ("kubelet", ["build"]),
        ("kubeadm", ["build"]),
    ]


def test_artifacts_count_as_changes_and_compiler_runs_do_not(recorded: Phase) -> None:
    assert recorded.changes == 3
