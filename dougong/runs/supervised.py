"""Work that Ctrl-C or SIGTERM may interrupt: it is told once, gets time to come to its end, and is ended by force only
then.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from typing import TypeVar

from dougong.runs import processes
from dougong.runs.recorder import Recorder
from dougong.runs.termination import Terminated

T = TypeVar("T")

# How often (seconds) the waiting thread looks up; a signal wakes it at once.
_POLL = 1.0


def supervised(work: Callable[[], T], recorder: Recorder, *, own_terminal: bool = False, patience: float = 60.0) -> T:
    """Do work in a thread, so that Ctrl-C reaches this one and never tears a library out of its work.

    Args:
        work: starts tools (pulumi, ansible-playbook) and waits for them.
        recorder: the run, by whose id the tools are known.
        own_terminal: whether the tools have a terminal of their own, where Ctrl-C does not reach them.
        patience: seconds that the tools get; a cloud takes that long to answer one call.

    Returns:
        What the work returns; its exceptions are passed on.

    Raises:
        KeyboardInterrupt: after the work has ended.
    """
    result: list[T] = []
    failure: list[BaseException] = []

    def body() -> None:
        try:
            result.append(work())
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=body, name="work", daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            thread.join(_POLL)
    except KeyboardInterrupt as interruption:
        recorder.note("interrupted: what is under way comes to its end (Ctrl-C again ends it at once)")
        # Pulumi takes a second interrupt for an order to drop everything, so it must not get two.
        if own_terminal or isinstance(interruption, Terminated) or not _terminal_tells():
            processes.interrupt(recorder.run.id)
        try:
            thread.join(patience)
        finally:
            if thread.is_alive():
                processes.stop(recorder.run.id)
                thread.join(patience)
        raise
    if failure:
        raise failure[0]
    return result[0]


def _terminal_tells() -> bool:
    """Whether the terminal sends Ctrl-C to our children, too: we are its foreground group, and they are in it."""
    return sys.stdin.isatty() and os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
