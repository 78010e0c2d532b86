"""Runs playbooks through ansible-runner, with live progress and a result that a program can read."""

from __future__ import annotations

import json
import shlex
import tempfile
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ansible_runner

from dougong import environment, paths, runs
from dougong.errors import DougongError
from dougong.runs import processes
from dougong.runs.recorder import Outcome, Recorder, StepRecorder
from dougong.runs.supervised import supervised

# ansible-runner notices this often (seconds) that Ansible has ended.
_POLL = 1


@dataclass(frozen=True)
class Change:
    """A task that changed a host (or would, in check mode), with the diff if the task gave one."""

    host: str
    task: str
    diff: str = ""


@dataclass(frozen=True)
class Failure:
    """A task that failed on a host; `unreachable` when the host could not be talked to at all."""

    host: str
    task: str
    message: str
    unreachable: bool = False


@dataclass
class PlaybookResult:
    """What came of a playbook.

    Attributes:
        stats: per host the numbers of Ansible's recap: ok, changed, failures, dark, skipped, rescued, ignored.
        changed: every change, in order.
        failed: failures that were neither rescued nor ignored.
        duration: seconds.
        tasks: how many tasks were run.
    """

    stats: dict[str, dict[str, int]] = field(default_factory=dict)
    changed: list[Change] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)
    duration: float = 0.0
    tasks: int = 0


def run(
    env: str,
    playbook: str,
    *,
    inventory: str | Path | None = None,
    check: bool = False,
    diff: bool = False,
    limit: str | None = None,
    extra_vars: Mapping[str, Any] | None = None,
    on_event: Callable[[dict[str, Any]], None] | None = None,
) -> PlaybookResult:
    """Run a playbook of the repository against an environment.

    Args:
        env: the environment; its platform.yml is the inventory.
        playbook: path below the repository: "playbooks/site.yml".
        inventory: another inventory, in Ansible's own notation ("localhost,").
        check: change nothing, say what would change.
        diff: collect what changes inside files.
        limit: Ansible's host pattern.
        extra_vars: variables that win over all others.
        on_event: gets each event of ansible-runner, after the live progress.

    Raises:
        DougongError: a host failed or could not be reached, or Ansible itself could not start.
    """
    options = _options(str(inventory or paths.platform_file(env)), check, diff, limit, extra_vars)
    recorder = runs.current()
    recorder.command(shlex.join(["ansible-playbook", *options, playbook]))
    progress = _Progress(recorder, on_event)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="dougong-ansible-") as scratch:
        runner = ansible_runner.interface.init_runner(
            private_data_dir=scratch,
            project_dir=str(paths.ROOT),
            playbook=playbook,
            cmdline=shlex.join(options),
            envvars={**_variables(env), processes.VARIABLE: recorder.run.id},
            settings={"pexpect_timeout": _POLL},
            fact_cache_type="",  # ansible.cfg decides, as it does by hand
            quiet=True,
            event_handler=progress.event,
            # Without one ansible-runner takes SIGINT for itself and kills Ansible with its tasks unfinished.
            cancel_callback=lambda: False,
        )
        # ansible-runner gives Ansible a terminal of its own.
        supervised(runner.run, recorder, own_terminal=True)
        code = runner.rc
    result = progress.result
    result.duration = round(time.monotonic() - started, 3)
    progress.finish()
    if code != 0:
        raise _error(playbook, result, progress.last_lines, recorder)
    result.failed.clear()  # rescued or ignored: the playbook says they do not matter
    return result


def facts(env: str, playbook: str, fact: str) -> list[Any]:
    """Run a playbook that only looks, without a record, and take what it sets as a fact.

    Args:
        env: the environment; its platform.yml is the inventory.
        playbook: path below the repository.
        fact: name of the fact.

    Returns:
        Its value each time that it was set, in order.

    Raises:
        DougongError: as `run` does.
    """
    found: list[Any] = []

    def take(event: dict[str, Any]) -> None:
        if event["event"] == "runner_on_ok":
            known = event["event_data"].get("res", {}).get("ansible_facts", {})
            found.extend([known[fact]] if fact in known else [])

    with runs.silent():
        run(env, playbook, on_event=take)
    return found


def _options(
    inventory: str, check: bool, diff: bool, limit: str | None, extra_vars: Mapping[str, Any] | None
) -> list[str]:
    """Options of ansible-playbook, as one would type them in the repository's folder."""
    source = str(Path(inventory).relative_to(paths.ROOT)) if inventory.startswith(str(paths.ROOT)) else inventory
    return [
        *("-i", source),
        *(["--check"] if check else []),
        *(["--diff"] if diff else []),
        *(["--limit", limit] if limit else []),
        *(["-e", json.dumps(extra_vars)] if extra_vars else []),
    ]


def _variables(env: str) -> dict[str, str]:
    return {
        **environment.variables(env),
        # The display is ours; escape codes would only have to be taken out again.
        "ANSIBLE_NOCOLOR": "1",
        # ansible-runner would switch host-key checking off if this were not set.
        "ANSIBLE_HOST_KEY_CHECKING": "True",
    }


class _Progress:
    """Turns ansible-runner's events into steps of the run and into the result."""

    def __init__(self, recorder: Recorder, on_event: Callable[[dict[str, Any]], None] | None) -> None:
        self.result = PlaybookResult()
        # What Ansible said last outside of any task: why it could not start.
        self.last_lines: deque[str] = deque(maxlen=20)
        self._recorder = recorder
        self._on_event = on_event
        self._steps: dict[str, StepRecorder] = {}
        self._diffs: dict[tuple[str, str], list[str]] = {}

    def event(self, event: dict[str, Any]) -> bool:
        """Take one event; False tells ansible-runner not to keep it on disk."""
        kind, data = event["event"], event.get("event_data", {})
        if text := event.get("stdout", "").strip("\r\n"):
            self._recorder.output(text)
            if kind in ("verbose", "error", "warning"):
                self.last_lines.extend(text.splitlines())
        if kind == "playbook_on_task_start":
            self._task_started(data)
        elif kind == "runner_on_start":
            self._step(data).begin(data["host"])
        elif kind == "runner_on_file_diff":
            self._diffs.setdefault((data["host"], data["task_uuid"]), []).append(event.get("stdout", ""))
        elif kind in ("runner_on_ok", "runner_on_skipped", "runner_on_failed", "runner_on_unreachable"):
            self._host_done(kind, data)
        elif kind == "playbook_on_stats":
            self._stats(data)
        if self._on_event:
            self._on_event(event)
        return False

    def finish(self) -> None:
        """No event is to come."""
        for step in self._steps.values():
            step.finish()
        self._steps.clear()

    def _task_started(self, data: dict[str, Any]) -> None:
        self.result.tasks += 1
        # With the linear strategy a task starts when all hosts are through the one before.
        for uuid, step in list(self._steps.items()):
            if not step.running:
                step.finish()
                del self._steps[uuid]
        self._steps[data["task_uuid"]] = self._recorder.step(_task_name(data))

    def _step(self, data: dict[str, Any]) -> StepRecorder:
        uuid = data["task_uuid"]
        if uuid not in self._steps:
            self._steps[uuid] = self._recorder.step(_task_name(data))
        return self._steps[uuid]

    def _host_done(self, kind: str, data: dict[str, Any]) -> None:
        host, task, result = data["host"], _task_name(data), data.get("res") or {}
        outcome: Outcome = "ok"
        detail = ""
        # Modules of ours that have found something worth a line of its own.
        if note := result.get("note"):
            self._recorder.note(f"{host}: {note}")
        if kind == "runner_on_skipped":
            outcome = "skipped"
        elif kind in ("runner_on_failed", "runner_on_unreachable"):
            if not data.get("ignore_errors"):
                outcome, detail = "failed", _message(result)
                self.result.failed.append(Failure(host, task, detail, kind == "runner_on_unreachable"))
        elif result.get("changed"):
            outcome = "changed"
            diff = "\n".join(self._diffs.pop((host, data["task_uuid"]), []))
            self.result.changed.append(Change(host, task, diff.replace("\r\n", "\n").strip("\n")))
        self._step(data).end(outcome, host, detail)

    def _stats(self, data: dict[str, Any]) -> None:
        keys = ("ok", "changed", "failures", "dark", "skipped", "rescued", "ignored")
        hosts = {host for key in keys for host in data.get(key, {})}
        self.result.stats = {host: {key: data.get(key, {}).get(host, 0) for key in keys} for host in sorted(hosts)}
        gone = {host for host, numbers in self.result.stats.items() if numbers["failures"] or numbers["dark"]}
        self.result.failed = [failure for failure in self.result.failed if failure.host in gone]


def _task_name(data: dict[str, Any]) -> str:
    task, role = str(data.get("task") or data.get("name") or "task"), data.get("role")
    return f"{role} : {task}" if role and not task.startswith(f"{role} : ") else task


def _message(result: dict[str, Any]) -> str:
    """The reason in a module's result: of a loop, the reasons of the items that failed."""
    items = [item for item in result.get("results", []) if isinstance(item, dict) and item.get("failed")]
    if items:
        return "\n".join(dict.fromkeys(f"{_item(item)}{_message(item)}" for item in items))
    # A task with no_log.
    nothing = "it works with secrets, so Ansible keeps the reason back" if "censored" in result else "no message"
    said = str(result.get("msg") or result.get("reason") or nothing).strip()
    for key in ("stderr", "module_stderr", "stdout", "module_stdout"):
        if text := str(result.get(key) or "").strip():
            tail = "\n".join(text.splitlines()[-10:])
            return said if tail in said else f"{said}\n{tail}"
    return said


def _item(result: dict[str, Any]) -> str:
    label = result.get("_ansible_item_label", result.get("item"))
    return f"{label}: " if isinstance(label, str) else ""


def _error(playbook: str, result: PlaybookResult, last_lines: deque[str], recorder: Recorder) -> DougongError:
    log = ""
    with suppress(OSError):
        log = f"\nthe whole output: {recorder.log_path}" if recorder.log_path.exists() else ""
    if not result.failed:
        said = "\n".join(line for line in last_lines if line.strip()) or "Ansible gave no reason"
        return DougongError(f"{playbook} could not be run\n{said}", f"mend what Ansible names, then run it again{log}")
    # A host's last failure is the one that ended it.
    last = {failure.host: failure for failure in result.failed}
    # One cause often fails many hosts: it is said once.
    causes: dict[tuple[str, str, bool], list[str]] = {}
    for failure in last.values():
        causes.setdefault((failure.task, failure.message, failure.unreachable), []).append(failure.host)
    lines = []
    for (task, message, gone), names in causes.items():
        lines.append(f"{', '.join(sorted(names))} {'cannot be reached' if gone else 'failed'} at: {task}")
        lines += [f"    {line}" for line in message.splitlines()]
    unreachable = [failure.host for failure in last.values() if failure.unreachable]
    if unreachable:
        remedy = f"look at the host: dougong ssh {unreachable[0]}; its state in the cloud: openstack server list"
    else:
        remedy = "mend what is said above, then run the same command again: it goes on where it stopped"
    hosts = len(last)
    return DougongError(f"{playbook} failed on {hosts} host{'s' * (hosts > 1)}\n" + "\n".join(lines), remedy + log)
