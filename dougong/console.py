"""The one place for what a person sees: a live display in a terminal, plain lines in a pipe or in CI."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from dougong.errors import DougongError

if TYPE_CHECKING:
    from dougong.runs.record import Phase, Step
    from dougong.runs.recorder import Recorder, StepRecorder

# Told by the command line before anything is shown.
verbose = False

MARKS = {
    "ok": "[green]✓[/]",
    "failed": "[red]✗[/]",
    "interrupted": "[yellow]■[/]",
    "warning": "[yellow]![/]",
    "info": "[cyan]i[/]",
    "running": "[cyan]▸[/]",
    "skipped": "[dim]-[/]",
}


def interactive() -> bool:
    """Whether a person watches: a terminal, and not CI's imitation of one."""
    return sys.stdout.isatty() and not os.environ.get("CI") and os.environ.get("TERM") != "dumb"


@cache
def out() -> Console:
    """Standard output: no escape codes unless a person watches; NO_COLOR is honoured by rich."""
    if interactive():
        return Console(highlight=False)
    # A pipe has no width; lines must not be folded for grep.
    return Console(highlight=False, force_terminal=False, color_system=None, width=200, soft_wrap=True)


@cache
def err() -> Console:
    """Standard error: what went wrong."""
    if sys.stderr.isatty() and not os.environ.get("CI"):
        return Console(stderr=True, highlight=False, soft_wrap=True)
    return Console(stderr=True, highlight=False, soft_wrap=True, force_terminal=False, color_system=None, width=200)


def duration(seconds: float) -> str:
    """Seconds as a person says them: 0.4 s, 12.4 s, 3 min 05 s, 1 h 02 min."""
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def error(failure: DougongError) -> None:
    """What is wrong, and the remedy."""
    first, *rest = failure.message.splitlines() or [""]
    err().print(f"[bold red]error:[/] {escape(first)}")
    for line in rest:
        err().print(escape(line))
    for line in failure.remedy.splitlines():
        err().print(f"  [cyan]→[/] {escape(line)}")


def findings(rows: list[tuple[str, str, str, str]]) -> None:
    """Checks as an aligned table: (state, name, what was found, remedy); the remedy stands below its row."""
    width = max((len(name) for _, name, _, _ in rows), default=0)
    for state, name, detail, remedy in rows:
        out().print(f" {MARKS[state]} [bold]{escape(name):<{width}}[/]  {escape(detail)}".rstrip())
        for line in remedy.splitlines():
            out().print(f"   {'':<{width}}  [cyan]→[/] {escape(line)}")


class Display(Protocol):
    """What a run tells while it happens."""

    @contextmanager
    def showing(self, recorder: Recorder, phases: tuple[str, ...]) -> Iterator[None]:
        """Show a run from its begin to its end."""
        yield

    def phase_started(self, recorder: Recorder, phase: Phase) -> None: ...
    def phase_finished(self, recorder: Recorder, phase: Phase) -> None: ...
    def step_finished(self, recorder: Recorder, step: Step) -> None: ...
    def command(self, text: str) -> None: ...
    def note(self, recorder: Recorder | None, text: str) -> None: ...
    def output(self, text: str) -> None: ...


def _changes(phase: Phase) -> str:
    if phase.summary:
        return phase.summary
    return f"{phase.changes} changed" if phase.changes else "no change"


def _step_line(step: Step) -> str:
    what = ", ".join(step.failed or step.changed)
    if what and not step.on_hosts:
        return f"{step.name}: {what}"
    word = "failed" if step.failed else "changed" if step.changed else "ok"
    return f"{step.name}: {word}" + (f" ({what})" if what else "")


class PlainDisplay:
    """One line per event with its time of day: for pipes, logs and CI."""

    # Longer silence than this looks like a hang.
    heartbeat_seconds = 30.0
    # Shorter steps that change nothing are noise.
    slow_seconds = 2.0

    def __init__(self) -> None:
        self._phase = ""
        self._spoke = monotonic()

    @contextmanager
    def showing(self, recorder: Recorder, phases: tuple[str, ...]) -> Iterator[None]:
        ended = threading.Event()
        beat = threading.Thread(target=self._beat, args=(recorder, ended), daemon=True)
        beat.start()
        try:
            yield
        finally:
            ended.set()
            beat.join()

    def _beat(self, recorder: Recorder, ended: threading.Event) -> None:
        while not ended.wait(1.0):
            if monotonic() - self._spoke >= self.heartbeat_seconds:
                names = "; ".join(_running(step) for step in list(recorder.active)[:3]) or "at work"
                self._line(f"… {names} ({duration(recorder.elapsed)})")

    def _line(self, text: str) -> None:
        self._spoke = monotonic()
        out().print(f"{datetime.now():%H:%M:%S}  {self._phase:<11}  {text}", markup=False)

    def phase_started(self, recorder: Recorder, phase: Phase) -> None:
        self._phase = phase.name
        self._line("started")

    def phase_finished(self, recorder: Recorder, phase: Phase) -> None:
        self._line(f"{phase.state} in {duration(phase.seconds)}: {_changes(phase)}")
        self._phase = ""

    def step_finished(self, recorder: Recorder, step: Step) -> None:
        if recorder.tell_steps and (step.changed or step.failed or step.seconds >= self.slow_seconds):
            self._line(f"{_step_line(step)} in {duration(step.seconds)}")

    def command(self, text: str) -> None:
        self._line(f"$ {text}")

    def note(self, recorder: Recorder | None, text: str) -> None:
        self._line(text)

    def output(self, text: str) -> None:
        if verbose:
            out().print(text, markup=False)


class SilentDisplay:
    """Shows nothing."""

    @contextmanager
    def showing(self, recorder: Recorder, phases: tuple[str, ...]) -> Iterator[None]:
        yield

    def phase_started(self, recorder: Recorder, phase: Phase) -> None: ...
    def phase_finished(self, recorder: Recorder, phase: Phase) -> None: ...
    def step_finished(self, recorder: Recorder, step: Step) -> None: ...
    def command(self, text: str) -> None: ...
    def note(self, recorder: Recorder | None, text: str) -> None: ...
    def output(self, text: str) -> None: ...


def _running(step: StepRecorder) -> str:
    hosts = [host for host in list(step.running) if host]
    where = f" ({len(hosts)} hosts)" if len(hosts) > 1 else f" ({hosts[0]})" if hosts else ""
    return step.step.name + where


class LiveDisplay:
    """The phases with the present one open, at the bottom of the terminal; commands and notes scroll by above."""

    # How many steps at a time; more would make the display jump.
    rows = 5

    def __init__(self) -> None:
        self._recorder: Recorder | None = None
        self._expected: tuple[str, ...] = ()
        self._spinner = Spinner("dots", style="cyan")

    @contextmanager
    def showing(self, recorder: Recorder, phases: tuple[str, ...]) -> Iterator[None]:
        self._recorder, self._expected = recorder, phases
        with Live(self, console=out(), refresh_per_second=8, transient=False, vertical_overflow="crop"):
            yield

    def __rich__(self) -> RenderableType:
        recorder = self._recorder
        if recorder is None:
            return Text()
        table = Table.grid(padding=(0, 1))
        table.add_column(width=1)
        table.add_column(min_width=11)
        table.add_column(justify="right", min_width=12)
        table.add_column(ratio=1, overflow="ellipsis", no_wrap=True)
        parts: list[RenderableType] = [table]
        phases = list(recorder.run.phases)
        for phase in phases:
            if phase.state == "running":
                done = f"{recorder.done} of {recorder.total}" if recorder.total else f"{len(phase.steps)} steps"
                counts = [done] if recorder.total or phase.steps else []
                counts += [f"{phase.changes} changed"] if phase.changes else []
                table.add_row(
                    self._spinner,
                    Text(phase.name, style="bold"),
                    Text(duration(recorder.elapsed)),
                    Text(" · ".join(counts)),
                )
                for step in list(recorder.active)[: self.rows]:
                    since = min(list(step.running.values()), default=monotonic())
                    table.add_row(
                        "", "", Text(duration(monotonic() - since), style="dim"), Text(_running(step), style="dim")
                    )
            else:
                table.add_row(
                    Text.from_markup(MARKS[phase.state]),
                    phase.name,
                    Text(duration(phase.seconds)),
                    Text(_changes(phase), style="dim"),
                )
        begun = {phase.name for phase in phases}
        if recorder.run.state == "running":
            for name in self._expected:
                if name not in begun:
                    table.add_row("", Text(name, style="dim"), "", "")
        return Group(*parts)

    def phase_started(self, recorder: Recorder, phase: Phase) -> None: ...

    def phase_finished(self, recorder: Recorder, phase: Phase) -> None: ...

    def step_finished(self, recorder: Recorder, step: Step) -> None:
        if step.failed:
            out().print(f"[red]✗[/] {escape(_step_line(step))}")

    def command(self, text: str) -> None:
        out().print(f"[dim]$ {escape(text)}[/]", soft_wrap=True)

    def note(self, recorder: Recorder | None, text: str) -> None:
        out().print(escape(text), soft_wrap=True)

    def output(self, text: str) -> None:
        if verbose:
            out().print(Text.from_ansi(text), soft_wrap=True)


@cache
def display() -> Display:
    """The display for this process."""
    return LiveDisplay() if interactive() else PlainDisplay()
