"""SIGTERM (systemd, a cancelled CI job, `kill`) interrupts a run as Ctrl-C does, so that its tools end in order."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn


class Terminated(KeyboardInterrupt):
    """An interruption that only this process was told of, whatever terminal there is."""


@contextmanager
def heeded() -> Iterator[None]:
    """Raise Terminated here on SIGTERM, which else ends this process and leaves its tools at work."""
    before = signal.signal(signal.SIGTERM, _terminated)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminated(*_: Any) -> NoReturn:
    raise Terminated
