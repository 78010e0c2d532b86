"""The module service_files: what is written, what is validated before, which units are restarted or reloaded."""

from __future__ import annotations

import importlib.util
import os
import time
from pathlib import Path
from typing import Any, NoReturn

import pytest

from dougong import paths

SPEC = importlib.util.spec_from_file_location("service_files", paths.ROOT / "plugins/modules/service_files.py")
assert SPEC
assert SPEC.loader
service_files: Any = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(service_files)


class RefusedError(Exception):
    """What fail_json says."""


class Machine:
    """An Ansible module on a machine with one active unit; it remembers what was run."""

    check_mode = False

    def __init__(self, files: list[dict[str, Any]], units: tuple[str, ...] = ("proxy.service",)) -> None:
        owner = {"owner": "root", "group": "root", "mode": "0644"}
        defaults = {**owner, "ini": None, "content": None, "units": None, "validate": None, "reload": False}
        self.params = {"files": [{**defaults, **file} for file in files], "units": list(units)}
        self.commands: list[list[str]] = []
        self.active_since = self.changed_state = time.monotonic()

    def run_command(self, words: list[str]) -> tuple[int, str, str]:
        self.commands.append(words)
        if words[:2] == ["systemctl", "show"]:
            state = {
                "UnitFileState": "enabled",
                "ActiveState": "active",
                "NeedDaemonReload": "no",
                "ActiveEnterTimestampMonotonic": int(self.active_since * 1e6),
                "StateChangeTimestampMonotonic": int(self.changed_state * 1e6),
            }
            return 0, "\n".join(f"{key}={value}" for key, value in state.items()), ""
        return (
            (1, "", "line 1: nonsense")
            if words[0] == "proxy" and "nonsense" in Path(words[-1]).read_text()
            else (0, "", "")
        )

    def fail_json(self, **said: Any) -> NoReturn:
        raise RefusedError(said["msg"])


def proxy(path: Path, content: str) -> Machine:
    return Machine([{"path": str(path), "content": content, "validate": "proxy -c %s", "reload": True}])


def test_what_does_not_pass_is_not_written(tmp_path: Path) -> None:
    file = tmp_path / "proxy.cfg"
    file.write_text("good")
    with pytest.raises(RefusedError, match="line 1: nonsense"):
        service_files.converge(proxy(file, "nonsense"))
    assert file.read_text() == "good"
    assert list(tmp_path.iterdir()) == [file], "a temporary file was left"


def test_a_new_file_reloads_and_does_not_restart(tmp_path: Path) -> None:
    machine = proxy(tmp_path / "proxy.cfg", "good")
    result = service_files.converge(machine)
    assert (result["restarted"], result["reloaded"]) == ([], ["proxy.service"])
    assert ["systemctl", "reload", "proxy.service"] in machine.commands


def test_a_reload_that_an_interrupted_run_has_missed_is_done(tmp_path: Path) -> None:
    file = tmp_path / "proxy.cfg"
    service_files.converge(proxy(file, "good"))
    later = proxy(file, "good")
    # Written a minute after the service was started, and never reloaded.
    later.active_since = later.changed_state = time.monotonic() - 60
    assert service_files.converge(later)["reloaded"] == ["proxy.service"]
    # Reloaded since: nothing is left to do, although the service was started before the file was written.
    later.changed_state = time.monotonic() + 1
    assert service_files.converge(later)["reloaded"] == []


def test_without_reload_a_new_file_restarts(tmp_path: Path) -> None:
    file = tmp_path / "daemon.conf"
    file.write_text("same")
    file.chmod(0o644)
    os.utime(file, (time.time() + 5, time.time() + 5))
    assert service_files.converge(Machine([{"path": str(file), "content": "same"}]))["restarted"] == ["proxy.service"]


def test_a_program_that_another_task_has_brought_restarts_what_runs_the_older_one(tmp_path: Path) -> None:
    program = tmp_path / "proxy"
    program.write_text("new")
    machine = Machine([{"path": str(program)}])
    machine.active_since = time.monotonic() - 60
    assert service_files.converge(machine)["restarted"] == ["proxy.service"]
    machine.active_since = time.monotonic() + 60
    again = service_files.converge(machine)
    assert (again["files"], again["restarted"]) == ([], [])
    assert program.read_text() == "new"


def test_a_program_that_is_not_there_yet_is_no_error_in_a_check_run(tmp_path: Path) -> None:
    machine = Machine([{"path": str(tmp_path / "proxy")}])
    machine.check_mode = True
    assert service_files.converge(machine)["files"] == [str(tmp_path / "proxy")]


def test_a_file_alone_reloads_the_unit_of_another_task(tmp_path: Path) -> None:
    file = {"path": str(tmp_path / "tls.crt"), "content": "new", "units": ["proxy.service"], "reload": True}
    machine = Machine([file], units=())
    assert service_files.converge(machine)["reloaded"] == ["proxy.service"]
    assert not any(command[1] in ("enable", "start") for command in machine.commands)


def test_an_owner_who_is_not_there_yet_is_no_error_in_a_check_run(tmp_path: Path) -> None:
    machine = Machine([{"path": str(tmp_path / "tls.key"), "content": "new", "owner": "not-there"}], units=())
    with pytest.raises(RefusedError, match=r"tls.key: .*not-there"):
        service_files.converge(machine)
    machine.check_mode = True
    assert service_files.converge(machine)["files"] == [str(tmp_path / "tls.key")]
