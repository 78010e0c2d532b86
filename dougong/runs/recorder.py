"""Records a run while it happens and tells the display."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Literal, TextIO

from dougong import paths
from dougong.console import Display, PlainDisplay, SilentDisplay, display
from dougong.runs import lock, processes, termination
from dougong.runs.record import Phase, Run, State, Step, history, now, prune

Outcome = Literal["ok", "changed", "failed", "skipped"]
# A record is written through to the disk; more often than this costs more than a kill could lose.
_SAVE_EVERY_SECONDS = 2.0


@dataclass
class StepRecorder:
    """One step in progress; `begin` and `end` come once per host (once, without a host, for a resource)."""

    recorder: Recorder
    step: Step
    running: dict[str, float] = field(default_factory=dict)
    _started: float = field(default_factory=time.monotonic)

    def begin(self, host: str = "") -> None:
        """Work has begun on a host."""
        with self.recorder.mutex:
            self.running[host] = time.monotonic()

    def end(self, outcome: Outcome, host: str = "", detail: str = "") -> None:
        """Work has ended on a host.

        Args:
            outcome: what came of it.
            host: the host, if there is one.
            detail: what was done ("created") or what went wrong.
        """
        with self.recorder.mutex:
            self.running.pop(host, None)
            self.step.on_hosts = bool(host)
            self.step.seconds = round(time.monotonic() - self._started, 3)
            if outcome == "changed":
                self.step.changed.append(host or detail)
            elif outcome == "failed":
                self.step.failed.append(host or detail)
            elif outcome == "skipped":
                self.step.skipped += 1
            else:
                self.step.ok += 1

    def finish(self) -> None:
        """No host is to come: the step is complete."""
        self.recorder.finished(self)


class Recorder:
    """A run at work: the record on disk, the raw log beside it, the display in the terminal."""

    def __init__(self, run: Run, shown: Display, *, keep: bool = True) -> None:
        self.run = run
        self.display = shown
        self.mutex = threading.RLock()
        self.active: list[StepRecorder] = []
        self.done = self.total = 0
        # Whether the plain display has a line for each step.
        self.tell_steps = True
        self._keep = keep
        self._saved = 0.0
        self._phase: Phase | None = None
        self._phase_started = 0.0
        self._log: TextIO | None = None

    @property
    def log_path(self) -> Path:
        """The raw output of everything the run called."""
        return paths.runs(self.run.environment) / f"{self.run.id}.log"

    @contextmanager
    def phase(self, name: str) -> Iterator[Recorder]:
        """One stage of the run; inside another one it is a part of that."""
        if self._phase:
            yield self
            return
        self._phase = Phase(name=name, started=now())
        self._phase_started = time.monotonic()
        self.done = self.total = 0
        self.run.phases.append(self._phase)
        self.save()
        self.display.phase_started(self, self._phase)
        state: State = "failed"
        try:
            yield self
            state = "ok"
        except KeyboardInterrupt:
            state = "interrupted"
            raise
        finally:
            for step in list(self.active):
                step.finish()
            self._phase.state = state
            self._phase.seconds = self.elapsed
            self.display.phase_finished(self, self._phase)
            self._phase = None
            self.save()

    @property
    def elapsed(self) -> float:
        """Seconds since the current phase began."""
        return round(time.monotonic() - self._phase_started, 3)

    def command(self, text: str) -> None:
        """The plain command that does by hand what comes now."""
        if self._phase:
            self._phase.commands.append(text)
        self.display.command(text)

    def step(self, name: str) -> StepRecorder:
        """A step begins: an Ansible task, a resource, a file."""
        step = StepRecorder(self, Step(name=name, started=now()))
        with self.mutex:
            self.active.append(step)
        return step

    def finished(self, step: StepRecorder) -> None:
        """Take a complete step into the record."""
        with self.mutex:
            if step not in self.active:
                return
            self.active.remove(step)
            if self._phase:
                self._phase.steps.append(step.step)
                self._phase.seconds = self.elapsed
        self.display.step_finished(self, step.step)
        if time.monotonic() - self._saved > _SAVE_EVERY_SECONDS:
            self.save()

    def progress(self, done: int, total: int) -> None:
        """How far the phase is, in its own units (resources, files)."""
        self.done, self.total = done, total

    def summary(self, text: str) -> None:
        """What came of the phase, in a few words."""
        if self._phase:
            self._phase.summary = text

    def note(self, text: str) -> None:
        """Something worth a line of its own."""
        self.display.note(self, text)

    def output(self, text: str) -> None:
        """Raw output of a tool: always kept in the log, shown with --verbose."""
        if self._keep:
            if self._log is None:
                # Tools may say what only their owner should read.
                self._log = os.fdopen(os.open(self.log_path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600), "a")
            self._log.write(text + "\n")
            self._log.flush()
        self.display.output(text)

    def save(self) -> None:
        """Write the record now."""
        if self._keep:
            with self.mutex:
                self.run.save()
            self._saved = time.monotonic()

    def close(self, state: State, error: str = "") -> None:
        """The run is over."""
        self.run.state, self.run.error, self.run.finished = state, error, now()
        self.save()
        if self._log:
            self._log.close()


def _revision() -> str:
    try:
        return subprocess.run(
            ["git", "-C", paths.ROOT, "describe", "--always", "--dirty"], capture_output=True, text=True, check=True
        ).stdout.strip()
    except (FileNotFoundError, subprocess.CalledProcessError):
        return ""  # installed without git: the versions below must do


def _new_run(command: str, environment: str) -> Run:
    started = now()
    return Run(
        id=f"{started:%Y%m%d-%H%M%S}-{os.getpid()}",
        command=command,
        environment=environment,
        revision=_revision(),
        versions={
            "python": ".".join(map(str, sys.version_info[:3])),
            **{name: version(name) for name in ("dougong", "ansible-core", "pulumi", "pulumi-openstack")},
        },
        pid=os.getpid(),
        process_started=processes.start_time(os.getpid()),
        started=started,
    )


_current: Recorder | None = None
_silent = False


def current() -> Recorder:
    """The run at work; outside of one a recorder that only shows and keeps nothing."""
    if _current:
        return _current
    run = Run(id=f"none-{os.getpid()}", command="", environment="", pid=0, process_started=0, started=now())
    return Recorder(run, SilentDisplay() if _silent else PlainDisplay(), keep=False)


@contextmanager
def silent() -> Iterator[None]:
    """Let the parts work without telling: for a command that shows only its own findings."""
    global _silent  # noqa: PLW0603  as above
    _silent = True
    try:
        yield
    finally:
        _silent = False


@contextmanager
def start(command: str, environment: str, *, phases: tuple[str, ...] = ()) -> Iterator[Recorder]:
    """A run begins; inside another one it is a part of that.

    Args:
        command: what the person asked for: "up".
        environment: the installation.
        phases: the phases to expect, for the display.

    Raises:
        DougongError: another run has the environment.
    """
    global _current  # noqa: PLW0603  one run per process; the tools' callbacks have no way to be handed it
    if _current:
        yield _current
        return
    with lock.exclusive(environment, command):
        _end_orphans(environment)
        recorder = Recorder(_new_run(command, environment), SilentDisplay() if _silent else display())
        prune(environment)
        recorder.save()
        os.environ[processes.VARIABLE] = recorder.run.id
        _current = recorder
        state: State = "failed"
        error = ""
        try:
            with termination.heeded(), recorder.display.showing(recorder, phases):
                yield recorder
            state = "ok"
        except KeyboardInterrupt:
            state = "interrupted"
            raise
        except Exception as failure:
            error = str(failure) or type(failure).__name__
            raise
        finally:
            _current = None
            recorder.close(state, error)


def _end_orphans(environment: str) -> None:
    for run in history(environment, limit=5):
        if run.state == "interrupted" and (count := processes.stop(run.id)):
            display().note(None, f"the run {run.id} was killed; what it had left at work is ended ({count} processes)")
