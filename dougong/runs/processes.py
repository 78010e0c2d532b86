"""The processes of a run, found by the run's id in their environment.

A run that is killed with SIGKILL cannot end its children: an orphaned `pulumi` would write the same state as its
successor. Every child inherits DOUGONG_RUN, so the successor finds and ends what is left.
"""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

VARIABLE = "DOUGONG_RUN"
# Only these work on the installation's state. Others may outlive their run by right: podman's monitor of the lab.
_WORKERS = ("pulumi", "ansible")


def start_time(pid: int) -> int:
    """When a process started (clock ticks since boot): with the pid it names a process uniquely; 0 if there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    # proc(5): field 22; the name in field 2 may hold blanks and parentheses.
    return int(stat.rpartition(")")[2].split()[19])


def alive(pid: int, started: int) -> bool:
    """Whether that very process is still there."""
    return started != 0 and start_time(pid) == started


def workers(run_id: str) -> Iterator[int]:
    """The pulumi and ansible processes that a run started, directly or not."""
    marker = f"{VARIABLE}={run_id}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            # `python -m pulumi.policy` is one of them: the program's name alone does not tell.
            words = (folder / "cmdline").read_text().split("\0")[:4]
            if not any(Path(word).name.startswith(_WORKERS) for word in words):
                continue
            if marker in (folder / "environ").read_bytes().split(b"\0"):
                yield int(folder.name)
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # ended meanwhile, or somebody else's


def _signal(pid: int, number: signal.Signals) -> None:
    # One that has ended meanwhile has done what was wanted.
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def interrupt(run_id: str) -> int:
    """Tell a run's workers to come to an end, as Ctrl-C does; returns how many there are."""
    left = list(workers(run_id))
    for pid in left:
        _signal(pid, signal.SIGINT)
    return len(left)


def stop(run_id: str, grace: float = 15.0) -> int:
    """End what a run left at work; pulumi saves its state on SIGINT, so that comes first.

    Args:
        run_id: the run.
        grace: seconds until SIGKILL; pulumi waits for the provider's call in flight.

    Returns:
        How many processes there were.
    """
    count = interrupt(run_id)
    deadline = time.monotonic() + grace
    while any(workers(run_id)) and time.monotonic() < deadline:
        time.sleep(0.1)
    for pid in workers(run_id):
        _signal(pid, signal.SIGKILL)
    return count
