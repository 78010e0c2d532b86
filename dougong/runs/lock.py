"""One run at a time per environment."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from dougong import paths
from dougong.errors import DougongError


@contextmanager
def exclusive(environment: str, command: str) -> Iterator[None]:
    """Hold the environment; the kernel lets go when the process ends, however it ends.

    Raises:
        DougongError: another run holds it; its process id and command are named.
    """
    path = paths.state(environment) / "lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 200, 0).decode() or "a process that is just starting"
            raise DougongError(
                f"environment {environment!r} is in use by {holder}",
                "wait until it is done, or end that process with Ctrl-C (kill -INT): it can be started again",
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()} (dougong {command})".encode(), 0)
        yield
    finally:
        os.close(descriptor)
