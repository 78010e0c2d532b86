#!/usr/bin/python
"""Ansible module: one service, its files and its units, converged in one round trip."""

from __future__ import annotations

import grp
import os
import pwd
import shlex
import tempfile
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: service_files
short_description: Files and systemd units of one service
description:
  - Writes the files, enables the units, starts those that do not run, and restarts those that were started before one
    of their files was written last. The last rule holds for an earlier, interrupted run, too, unlike a handler.
  - A task per file and unit would cost a round trip of half a second each; the lab alone has a hundred of them.
options:
  files:
    description: Files with I(path) and either I(content) or I(ini) (sections of options), and as needed I(owner),
      I(group), I(mode) and I(units), the units to restart when this file changes (all units of the task unless given).
      With neither, such as a program, another task has written the file, and only its age counts.
      A unit of another task is restarted if it runs. I(validate) is a command that must succeed before the file is
      replaced, with C(%s) for the new content's path. With I(reload) the units are reloaded instead of restarted.
    type: list
    elements: dict
    default: []
  units:
    description: Units that are enabled and running, in the order in which they are started.
    type: list
    elements: str
    default: []
"""
RETURN = """
files:
  description: Paths that changed.
  type: list
restarted:
  description: Units that were restarted.
  type: list
reloaded:
  description: Units that were reloaded.
  type: list
started:
  description: Units that were started or enabled.
  type: list
"""

FILE_OPTIONS = {
    "path": {"type": "path", "required": True},
    "content": {"type": "str"},
    "ini": {"type": "dict"},
    "owner": {"type": "str", "default": "root"},
    "group": {"type": "str", "default": "root"},
    "mode": {"type": "str", "default": "0644"},
    "units": {"type": "list", "elements": "str"},
    "validate": {"type": "str"},
    "reload": {"type": "bool", "default": False},
}
ONE_CONTENT = {"mutually_exclusive": [("content", "ini")]}
UNIT_FOLDER = Path("/etc/systemd/system")


def render(sections: dict[str, dict[str, Any]]) -> str:
    """The INI form that oslo.config reads: booleans in lower case, lists with commas."""

    def text(value: Any) -> str:
        if isinstance(value, bool):
            return str(value).lower()
        return ",".join(map(text, value)) if isinstance(value, list) else str(value)

    lines = ["# Managed by Ansible\n"]
    for section, options in sections.items():
        lines += [f"[{section}]\n", *(f"{option} = {text(value)}\n" for option, value in options.items()), "\n"]
    return "".join(lines)


def write(wanted: dict[str, Any], module: AnsibleModule) -> bool:
    """Make one file what is wanted, by a rename; True when that was or would be a change."""
    path = Path(wanted["path"])
    if wanted["content"] is None and wanted["ini"] is None:
        # A check run comes before the task that brings it.
        return not path.exists() and bool(module.check_mode)
    try:
        owner, group = pwd.getpwnam(wanted["owner"]).pw_uid, grp.getgrnam(wanted["group"]).gr_gid
    except KeyError as unknown:
        # A check run comes before the package that makes the user.
        if module.check_mode:
            return True
        module.fail_json(msg=f"{path}: {unknown.args[0]}")
    mode = int(wanted["mode"], 8)
    content = (wanted["content"] if wanted["ini"] is None else render(wanted["ini"])).encode()
    if path.is_file():
        status = path.stat()
        present = (status.st_uid, status.st_gid, status.st_mode & 0o7777, path.read_bytes())
        if present == (owner, group, mode, content):
            return False
    if module.check_mode:
        return True
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        os.fchown(file.fileno(), owner, group)
        os.fchmod(file.fileno(), mode)
    if wanted["validate"]:
        command = [word.replace("%s", temporary) for word in shlex.split(wanted["validate"])]
        code, out, error = module.run_command(command)
        if code:
            Path(temporary).unlink()
            module.fail_json(
                msg=f"{path} stays as it is: {' '.join(command)} refuses the new one: {out}{error}".strip()
            )
    Path(temporary).rename(path)
    return True


class Systemd:
    """What this module asks of systemd."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module

    def __call__(self, *arguments: str) -> None:
        """Run systemctl; a failure ends the module with what the units themselves say."""
        code, _, error = self.module.run_command(["systemctl", *arguments])
        if code:
            journal = ["journalctl", "--no-pager", "--lines=30", "--output=cat", "--since=-5min"]
            _, log, _ = self.module.run_command(journal)
            self.module.fail_json(msg=f"systemctl {' '.join(arguments)}: {error.strip()}", journal=log.splitlines())

    def properties(self, units: list[str]) -> dict[str, dict[str, str]]:
        """State of each unit. Ages are on the monotonic clock, in seconds."""
        names = "UnitFileState,ActiveState,ActiveEnterTimestampMonotonic,StateChangeTimestampMonotonic,NeedDaemonReload"
        code, out, error = self.module.run_command(["systemctl", "show", f"--property={names}", *units])
        if code:
            self.module.fail_json(msg=f"systemctl show: {error.strip()}")
        blocks = [dict(line.split("=", 1) for line in block.splitlines()) for block in out.strip().split("\n\n")]
        return dict(zip(units, blocks, strict=True))


def started_before(properties: dict[str, str], changed: float, *, reloaded: bool) -> bool:
    """Whether a unit became active, or was reloaded last, before a moment of the wall clock (seconds since the epoch).

    A reload is a change of state, too: active, reloading, active.
    """
    since = properties["StateChangeTimestampMonotonic" if reloaded else "ActiveEnterTimestampMonotonic"]
    active_for = time.monotonic() - int(since) / 1e6
    return time.time() - active_for < changed


def converge(module: AnsibleModule) -> dict[str, Any]:
    files, units = module.params["files"], module.params["units"]
    changed = [file["path"] for file in files if write(file, module)]
    result: dict[str, Any] = {"files": changed, "started": [], "restarted": [], "reloaded": []}
    result["diff"] = [{"after": f"{path}\n", "before": "", "after_header": path} for path in changed]
    concerned = [*units, *sorted({unit for file in files for unit in file["units"] or []} - set(units))]
    if not concerned:
        return result
    systemctl = Systemd(module)
    if not module.check_mode and any(UNIT_FOLDER in Path(path).parents for path in changed):
        systemctl("daemon-reload")
    properties = systemctl.properties(concerned)
    if any(state["NeedDaemonReload"] == "yes" for state in properties.values()) and not module.check_mode:
        systemctl("daemon-reload")
    disabled = [unit for unit in units if properties[unit]["UnitFileState"] == "disabled"]
    idle = [unit for unit in units if properties[unit]["ActiveState"] != "active"]
    outdated: set[str] = set()
    stale: set[str] = set()
    for file in files:
        newest = time.time() if file["path"] in changed else Path(file["path"]).stat().st_mtime
        for unit in file["units"] if file["units"] is not None else units:
            state = properties[unit]
            if state["ActiveState"] == "active" and started_before(state, newest, reloaded=file["reload"]):
                (stale if file["reload"] else outdated).add(unit)
    result["started"] = [unit for unit in units if unit in disabled or unit in idle]
    result["restarted"] = [unit for unit in concerned if unit in outdated]
    result["reloaded"] = [unit for unit in concerned if unit in stale - outdated]
    if not module.check_mode:
        if disabled:
            systemctl("enable", *disabled)
        if result["restarted"]:
            systemctl("restart", *result["restarted"])
        if result["reloaded"]:
            systemctl("reload", *result["reloaded"])
        if idle:
            systemctl("start", *idle)
    return result


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "files": {"type": "list", "elements": "dict", "default": [], "options": FILE_OPTIONS, **ONE_CONTENT},
            "units": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    result = converge(module)
    module.exit_json(changed=any(result[key] for key in ("files", "started", "restarted", "reloaded")), **result)


if __name__ == "__main__":
    main()
