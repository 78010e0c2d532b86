"""Turns what the parts report into steps of a run."""

from __future__ import annotations

from dougong.artifacts import Event, Listener
from dougong.runs import Recorder
from dougong.runs.recorder import StepRecorder

_MIB = 2**20


def of_artifacts(recorder: Recorder) -> Listener:
    """A listener for `artifacts.ensure`: one step per download, compiler run and artifact, one after another."""
    open_step: StepRecorder | None = None
    subject = ""

    def close(detail: str = "") -> None:
        nonlocal open_step
        if open_step:
            open_step.end("changed" if detail else "ok", detail=detail)
            open_step.finish()
            open_step = None

    def listen(event: Event) -> None:
        nonlocal open_step, subject
        if event.phase == "note":
            recorder.note(f"{event.subject}: {event.detail}")
            return
        if open_step is None or event.subject != subject:
            close()
            open_step, subject = recorder.step(event.subject), event.subject
            open_step.begin()
        if event.phase == "done":
            open_step.step.name = event.subject
            close(event.detail)
        else:
            size = f", {event.done // _MIB} of {event.total // _MIB} MiB" if event.total else ""
            open_step.step.name = f"{event.subject}: {event.detail or event.phase}{size}"

    return listen
