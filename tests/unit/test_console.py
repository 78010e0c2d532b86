"""What a person sees: live in a terminal, line by line elsewhere."""

from __future__ import annotations

import io
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console

from dougong import console, runs
from dougong.console import LiveDisplay, PlainDisplay, duration
from dougong.errors import DougongError
from dougong.runs import Recorder, Run


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> io.StringIO:
    """A terminal of 80 columns."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    text = io.StringIO()
    terminal = Console(file=text, force_terminal=True, color_system=None, width=80, highlight=False)
    monkeypatch.setattr(console, "out", lambda: terminal)
    monkeypatch.setattr(console, "err", lambda: terminal)
    return text


def recorder(display: LiveDisplay | PlainDisplay) -> Recorder:
    run = Run(id="1", command="up", environment="lab", pid=1, process_started=1, started=datetime.now(UTC))
    return Recorder(run, display, keep=False)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.04, "0.0 s"),
        (12.34, "12.3 s"),
        (59.96, "1 min 00 s"),
        (125, "2 min 05 s"),
        (3600, "1 h 00 min"),
        (7500, "2 h 05 min"),
    ],
)
def test_durations_as_a_person_says_them(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_an_error_has_its_remedy_on_lines_of_their_own(screen: io.StringIO) -> None:
    console.error(DougongError("it broke\n  here", "mend it\nor leave it"))
    assert screen.getvalue() == "error: it broke\n  here\n  → mend it\n  → or leave it\n"


def test_findings_are_aligned(screen: io.StringIO) -> None:
    console.findings([("ok", "a", "fine", ""), ("failed", "longer", "broken [red]", "mend it")])
    assert screen.getvalue() == " ✓ a       fine\n ✗ longer  broken [red]\n           → mend it\n"


def test_the_live_display_shows_what_is_done_under_way_and_to_come(screen: io.StringIO) -> None:
    display = LiveDisplay()
    work = recorder(display)
    with display.showing(work, ("network", "cluster", "hosts")):
        with work.phase("network"):
            work.summary("12 created")
        with work.phase("cluster"):
            work.progress(3, 22)
            for name in ("Instance worker-0", "Instance worker-1"):
                work.step(name).begin()
            console.out().print(display)
            shown = screen.getvalue()[-1000:].splitlines()
            work.active.clear()
    lines = [line for line in shown if line.strip()]
    assert any(line.startswith("✓ network") and "12 created" in line for line in lines)
    assert any("cluster" in line and "3 of 22" in line for line in lines)
    assert any("Instance worker-1" in line for line in lines)
    assert lines[-1].strip() == "hosts"


def test_many_steps_do_not_make_the_display_jump(screen: io.StringIO) -> None:
    display = LiveDisplay()
    work = recorder(display)
    with display.showing(work, ()), work.phase("cluster"):
        for index in range(100):
            work.step(f"Instance {index}").begin()
        before = len(screen.getvalue().splitlines())
        console.out().print(display)
        assert len(screen.getvalue().splitlines()) - before < 4 * LiveDisplay.rows
        work.active.clear()


def test_the_plain_display_tells_changes_and_slow_steps_only(screen: io.StringIO) -> None:
    display = PlainDisplay()
    work = recorder(display)
    with work.phase("hosts"):
        for name, outcome in (("Quiet", "ok"), ("Loud", "changed")):
            step = work.step(name)
            step.begin("a")
            step.end(outcome, "a")  # type: ignore[arg-type]  # the tuple loses the literal type
            step.finish()
        step = work.step("Slow")
        step.begin("a")
        step.step.started, step._started = step.step.started, time.monotonic() - 10
        step.end("ok", "a")
        step.finish()
    said = screen.getvalue()
    assert "Loud: changed (a)" in said
    assert "Slow: ok in 10.0 s" in said
    assert "Quiet" not in said
    assert all(line[2] == ":" and line[10:15] == "hosts" for line in said.splitlines())


def test_silence_is_broken_by_a_sign_of_life(screen: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PlainDisplay, "heartbeat_seconds", 0.1)
    display = PlainDisplay()
    work = recorder(display)
    with display.showing(work, ()), work.phase("cluster"):
        step = work.step("Instance worker-0")
        step.begin()
        deadline = time.monotonic() + 10
        while "… Instance worker-0" not in screen.getvalue():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        step.end("changed", detail="create")


def test_raw_output_is_shown_only_when_asked_for(screen: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    with runs.start("up", "lab") as work, work.phase("hosts"):
        monkeypatch.setattr(console, "verbose", False)
        work.output("hidden")
        monkeypatch.setattr(console, "verbose", True)
        work.display = PlainDisplay()
        work.output("shown")
    assert "hidden" not in screen.getvalue()
    assert "shown" in screen.getvalue()
    assert work.log_path.read_text() == "hidden\nshown\n"
