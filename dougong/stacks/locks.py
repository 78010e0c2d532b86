"""Locks of Pulumi's file backend that a killed process has left behind."""

import json
import socket
from pathlib import Path

from dougong import paths
from dougong.errors import DougongError


def remove_stale(environment: str, project: str) -> list[int]:
    """Remove the locks of a stack whose processes are dead; the file backend never does.

    Args:
        environment: the stack.
        project: its Pulumi project.

    Returns:
        The dead processes.

    Raises:
        DougongError: a process that is alive, or on another machine, holds the stack.
    """
    dead = []
    folder = paths.pulumi_backend(environment) / ".pulumi" / "locks" / "organization" / project / environment
    for file in sorted(folder.glob("*.json")):
        try:
            owner = json.loads(file.read_text())
        except FileNotFoundError:
            continue  # given back meanwhile
        pid, host = int(owner["pid"]), owner["hostname"]
        held = f"the stack {environment!r} of {project} is locked by process {pid}"
        if host != socket.gethostname():
            raise DougongError(
                f"{held} on {host} since {owner['timestamp']}",
                f"wait for it; if it is gone: pulumi cancel --stack {environment}, in the stack's folder",
            )
        if _is_pulumi(pid):
            raise DougongError(
                f"{held} since {owner['timestamp']}", "wait for it to end, or end it with Ctrl-C in its terminal"
            )
        file.unlink(missing_ok=True)
        dead.append(pid)
    return dead


def _is_pulumi(pid: int) -> bool:
    """Whether the process is there and is what took the lock: numbers are used again."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip().startswith("pulumi")
    except (FileNotFoundError, ProcessLookupError):
        return False
