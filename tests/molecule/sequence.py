"""A scenario from nothing to its end, beside others."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

from dougong import paths

# What `molecule test` does between the making of the hosts and their removal.
_STEPS = ("prepare", "converge", "idempotence", "side-effect", "verify")
# The longest, a cluster's converge, took 6 min on two busy cores.
_STEP_SECONDS = 20 * 60
_LINES = 150

# Scenarios stand on one network. Who removes the last host removes it, also from under a scenario that has seen it but
# has no host yet. So only one at a time makes or removes hosts.
_making_hosts = threading.Lock()


def run(scenario: str) -> None:
    """Run a scenario to its end. Its hosts are gone then, whatever comes of it.

    Args:
        scenario: a folder of molecule/.

    Raises:
        AssertionError: a step failed; with the end of what it printed, where the reason is.
    """
    try:
        with _making_hosts:
            for step in ("destroy", "create"):
                _molecule(step, scenario)
        for step in _STEPS:
            _molecule(step, scenario)
    finally:
        with _making_hosts:
            _molecule("destroy", scenario)


def _molecule(step: str, scenario: str) -> None:
    done = subprocess.run(
        ["molecule", step, "-s", scenario],
        cwd=paths.ROOT,
        env={**os.environ, "PATH": f"{sys.prefix}/bin{os.pathsep}{os.environ['PATH']}", "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_STEP_SECONDS,
        check=False,
    )
    end = "\n".join(done.stdout.splitlines()[-_LINES:])
    assert done.returncode == 0, f"molecule {step} -s {scenario}: exit code {done.returncode}\n{end}"
