"""Run records, locks and the processes of killed runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from dougong import paths, runs
from dougong.errors import DougongError
from dougong.runs import lock, processes
from dougong.runs.record import Run, prune


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("CI", "true")
    yield tmp_path
    os.environ.pop(processes.VARIABLE, None)


def test_a_run_is_recorded_with_phases_steps_and_changes() -> None:
    with runs.start("up", "lab") as recorder:
        with recorder.phase("cluster"):
            recorder.command("pulumi up")
            step = recorder.step("Instance lab-worker-0")
            step.begin()
            step.end("changed", detail="created")
            step.finish()
        with recorder.phase("hosts"):
            step = recorder.step("host : Load modules")
            for host, outcome in (("a", "ok"), ("b", "changed"), ("c", "skipped")):
                step.begin(host)
                step.end(outcome, host)  # type: ignore[arg-type]  # the tuple loses the literal type
            step.finish()
    run = runs.find("lab", "last")
    assert run.state == "ok"
    assert run.changes == 2
    assert run.phase("cluster").commands == ["pulumi up"]
    assert run.phase("cluster").steps[0].changed == ["created"]
    assert (run.phase("hosts").steps[0].ok, run.phase("hosts").steps[0].skipped) == (1, 1)
    assert run.phase("hosts").steps[0].changed == ["b"]
    assert run.versions["ansible-core"].startswith("2.19")


def test_the_record_says_where_it_failed() -> None:
    with pytest.raises(DougongError), runs.start("up", "lab") as recorder, recorder.phase("network"):
        step = recorder.step("Router lab")
        step.begin()
        raise DougongError("no quota")
    run = runs.find("lab", "last")
    assert (run.state, run.error, run.phase("network").state) == ("failed", "no quota", "failed")
    assert [step.name for step in run.phase("network").steps] == ["Router lab"]


def test_ctrl_c_is_recorded_as_such() -> None:
    with pytest.raises(KeyboardInterrupt), runs.start("up", "lab") as recorder, recorder.phase("network"):
        raise KeyboardInterrupt
    assert runs.find("lab", "last").state == "interrupted"


def test_a_run_inside_a_run_is_a_part_of_it() -> None:
    with (
        runs.start("up", "lab") as outer,
        outer.phase("lab"),
        runs.start("lab up", "lab") as inner,
        inner.phase("container"),
    ):
        inner.command("podman run")
    assert [run.command for run in runs.history("lab")] == ["up"]
    assert runs.find("lab", "last").phase("lab").commands == ["podman run"]


KILLED = """
    import os, signal, subprocess, sys
    from dougong import runs
    with runs.start("up", "lab") as recorder, recorder.phase("cluster"):
        # Stands for the pulumi that outlives a killed run: same name, same environment.
        os.symlink("/bin/sleep", sys.argv[1] + "/pulumi")
        child = subprocess.Popen([sys.argv[1] + "/pulumi", "300"], stdout=subprocess.DEVNULL)
        while "pulumi" not in open(f"/proc/{child.pid}/cmdline").read():
            pass
        print(recorder.run.id, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_run_is_interrupted_and_its_successor_ends_what_it_left(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(paths.ROOT)}
    killed = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILLED), str(tmp_path)],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    identifier = killed.stdout.splitlines()[-1]
    run = runs.find("lab", identifier)
    assert (run.state, run.phase("cluster").state) == ("interrupted", "interrupted")
    assert list(processes.workers(identifier)), "the child was to outlive its parent"
    with runs.start("up", "lab"):
        assert not list(processes.workers(identifier))


def test_two_runs_at_a_time_are_refused_and_the_holder_is_named() -> None:
    with lock.exclusive("lab", "up"), pytest.raises(DougongError) as caught, lock.exclusive("lab", "down"):
        pass
    assert f"process {os.getpid()} (dougong up)" in caught.value.message
    with lock.exclusive("lab", "down"), lock.exclusive("production", "up"):
        pass


def test_a_reader_never_sees_half_a_record(state: Path) -> None:
    with runs.start("up", "lab") as recorder:
        path = paths.runs("lab") / f"{recorder.run.id}.json"
        for index in range(50):
            recorder.run.versions[f"part-{index}"] = "1"
            recorder.save()
            assert f"part-{index}" in json.loads(path.read_text())["versions"]
    assert [entry.name for entry in paths.runs("lab").iterdir()] == [path.name]


def test_old_records_are_forgotten_and_leftovers_removed() -> None:
    with runs.start("up", "lab") as recorder:
        template = recorder.run
    for index in range(5):
        template.model_copy(update={"id": f"2020010{index}-000000-1"}).save()
        (paths.runs("lab") / f"2020010{index}-000000-1.log").touch()
    (paths.runs("lab") / ".half-written").write_text("{")
    prune("lab", keep=2)
    left = [path.name for path in paths.runs("lab").iterdir()]
    assert sorted(left) == ["20200104-000000-1.json", "20200104-000000-1.log", f"{template.id}.json"]


def test_an_unreadable_record_is_named() -> None:
    paths.runs("lab").mkdir(parents=True)
    (paths.runs("lab") / "20200101-000000-1.json").write_text('{"id": 3}')
    with pytest.raises(DougongError, match=r"20200101-000000-1\.json is no run record"):
        runs.history("lab")


def test_find_wants_one_match() -> None:
    with pytest.raises(DougongError, match="0 runs"):
        runs.find("lab", "last")
    with runs.start("up", "lab") as recorder:
        first = recorder.run
    first.model_copy(update={"id": first.id + "9"}).save()
    with pytest.raises(DougongError, match="2 runs"):
        runs.find("lab", first.id[:8])


def test_the_duration_of_a_killed_run_is_what_it_recorded() -> None:
    with runs.start("up", "lab") as recorder, recorder.phase("cluster"):
        pass
    run = Run.model_validate(recorder.run.model_dump() | {"finished": None})
    run.phases[0].seconds = 7.5
    assert 7.5 <= run.seconds < 8
