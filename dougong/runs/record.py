"""The record of one run: a JSON file in the state folder of its environment."""

from __future__ import annotations

import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, ValidationError

from dougong import paths
from dougong.errors import DougongError
from dougong.runs.processes import alive

State = Literal["running", "ok", "failed", "interrupted"]


def now() -> datetime:
    """The present, in UTC: records of several machines are comparable."""
    return datetime.now(UTC)


class Step(BaseModel):
    """One Ansible task or one cloud resource, summed up over all hosts.

    Attributes:
        name: as a person knows it: "kubernetes : Join the cluster", "Instance lab-worker-0".
        seconds: from its first start to its last end.
        ok, skipped: number of hosts (1 for a resource).
        on_hosts: whether it is about hosts.
        changed, failed: which hosts; of a step that is about none, what was done ("created") or went wrong.
    """

    name: str
    started: datetime
    seconds: float = 0.0
    on_hosts: bool = False
    ok: int = 0
    skipped: int = 0
    changed: list[str] = Field(default_factory=list)
    failed: list[str] = Field(default_factory=list)


class Phase(BaseModel):
    """One stage of a run, and the plain commands it stands for."""

    name: str
    started: datetime
    seconds: float = 0.0
    state: State = "running"
    commands: list[str] = Field(default_factory=list)
    summary: str = ""
    steps: list[Step] = Field(default_factory=list)

    @property
    def changes(self) -> int:
        """How many things this phase changed, over all hosts and resources."""
        return sum(len(step.changed) for step in self.steps)


class Run(BaseModel):
    """One command at work on one environment."""

    id: str
    command: str
    environment: str
    revision: str = ""
    versions: dict[str, str] = Field(default_factory=dict)
    pid: int
    process_started: int
    started: datetime
    finished: datetime | None = None
    state: State = "running"
    error: str = ""
    phases: list[Phase] = Field(default_factory=list)

    @property
    def seconds(self) -> float:
        """Duration; of a run that was killed, until the last thing it recorded."""
        end = self.finished or max(
            [phase.started.timestamp() + phase.seconds for phase in self.phases], default=self.started.timestamp()
        )
        return (end.timestamp() if isinstance(end, datetime) else end) - self.started.timestamp()

    @property
    def changes(self) -> int:
        """How many things the run changed, in both halves."""
        return sum(phase.changes for phase in self.phases)

    def phase(self, name: str) -> Phase:
        """The phase of that name; KeyError if the run did not get to it."""
        for phase in self.phases:
            if phase.name == name:
                return phase
        raise KeyError(name)

    def save(self) -> None:
        """Write the record; a reader, and a kill at any moment, finds either the old or the new one, whole."""
        folder = paths.runs(self.environment)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor, temporary = tempfile.mkstemp(dir=folder, prefix=f".{self.id}-")
        with os.fdopen(descriptor, "w") as file:
            file.write(self.model_dump_json(indent=2))
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(folder / f"{self.id}.json")


def _read(path: Path) -> Run:
    try:
        run = Run.model_validate_json(path.read_text())
    except ValidationError as error:
        raise DougongError(
            f"{path} is no run record: {error.error_count()} errors, the first: {error.errors()[0]['msg']}",
            f"it is history only; remove it: rm {path}",
        ) from error
    if run.state == "running" and not alive(run.pid, run.process_started):
        run.state = "interrupted"
        for phase in run.phases:
            if phase.state == "running":
                phase.state = "interrupted"
    return run


def history(environment: str, limit: int | None = None) -> list[Run]:
    """The runs of an environment, the latest first; one that was killed is 'interrupted'."""
    files = sorted(paths.runs(environment).glob("[!.]*.json"), reverse=True)
    return [_read(path) for path in files[:limit]]


def find(environment: str, identifier: str) -> Run:
    """The run whose id begins with `identifier`; "last" is the latest one.

    Raises:
        DougongError: none or several match.
    """
    files = sorted(paths.runs(environment).glob("[!.]*.json"))
    matches = files[-1:] if identifier == "last" else [path for path in files if path.stem.startswith(identifier)]
    if len(matches) != 1:
        known = ", ".join(path.stem for path in files[-5:]) or "none yet"
        raise DougongError(
            f"{len(matches)} runs of environment {environment!r} match {identifier!r}", f"the latest ones: {known}"
        )
    return _read(matches[0])


def prune(environment: str, keep: int = 200) -> None:
    """Forget all but the latest `keep` runs, and what kills left half written."""
    folder = paths.runs(environment)
    for path in [*sorted(folder.glob("[!.]*.json"))[:-keep], *folder.glob(".*")]:
        path.with_suffix(".log").unlink(missing_ok=True)
        path.unlink(missing_ok=True)
