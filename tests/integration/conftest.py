"""The lab's installation, brought up once by the command line as a person would; the tests of its removal come last."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dougong import environment, inventory, paths, runs
from dougong.errors import DougongError
from dougong.runs import Run

ENVIRONMENT = "lab"
FIRST, LAST = "test_up.py", "test_down.py"

# Longer than the slowest seen on two shared cores; a hang must not eat the whole hour of CI.
_UP_SECONDS = 45 * 60


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Building comes first, removal last; what is between may come in any order."""
    rank = {FIRST: -1, LAST: 1}
    items.sort(key=lambda item: rank.get(item.path.name, 0) if item.path.parent.name == "integration" else 0)


@dataclass(frozen=True)
class CommandLine:
    """Calls `dougong` on the lab; its output is pytest's captured output."""

    environment: dict[str, str]

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Begin a command."""
        return subprocess.Popen([f"{sys.prefix}/bin/dougong", *arguments], env=self.environment, text=True)

    def __call__(self, *arguments: str, expect: int = 0, timeout: float = _UP_SECONDS) -> None:
        """Run a command to its end and look at its exit code."""
        process = self.start(*arguments)
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            process.wait(60)
            raise
        assert code == expect, f"dougong {' '.join(arguments)}: exit code {code}, not {expect}"

    def output(self, *arguments: str, expect: int = 0) -> str:
        """What a command prints."""
        words = [f"{sys.prefix}/bin/dougong", *arguments]
        done = subprocess.run(words, env=self.environment, capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == expect, done.stdout + done.stderr
        return done.stdout

    def kill_in(self, phase: str, *arguments: str, steps: int = 1, busy: bool = False) -> Run:
        """Start a command and end it with SIGKILL in the middle of a phase.

        Args:
            phase: the phase of the run.
            arguments: the command.
            steps: how many steps of the phase are to be recorded first.
            busy: whether to wait until a pulumi or ansible is at work.
        """
        before = {run.id for run in runs.history(ENVIRONMENT)}
        process = self.start(*arguments)
        deadline = time.monotonic() + _UP_SECONDS
        while time.monotonic() < deadline:
            assert process.poll() is None, f"it ended (exit code {process.returncode}) before it came to {phase}"
            new = [run for run in runs.history(ENVIRONMENT, limit=1) if run.id not in before]
            if new and any(p.name == phase and len(p.steps) >= steps for p in new[0].phases):
                process.kill()
                process.wait()
                return runs.find(ENVIRONMENT, new[0].id)
            time.sleep(0.2)
        process.kill()
        raise TimeoutError(f"the run did not come to {phase} in {_UP_SECONDS} s")


@pytest.fixture(scope="session")
def dougong() -> CommandLine:
    """The command line, as in CI: no terminal, no escape codes."""
    path = f"{sys.prefix}/bin{os.pathsep}{os.environ['PATH']}"
    return CommandLine({**os.environ, "PATH": path, "CI": "true", "DOUGONG_ENVIRONMENT": ENVIRONMENT})
