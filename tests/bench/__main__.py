"""`make bench`: measures on this machine and writes docs/benchmarks.md.

The lab is taken down, built with a warm cache, run a second time, looked at, and taken down again.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from dougong import paths, runs
from dougong.runs import Run
from tests.bench import inventory, report, scale

ENVIRONMENT = "lab"


def main() -> None:
    """Measure everything, then write the report."""
    # What takes no lab comes first: its failure would cost all that was measured before.
    known, program = inventory.measure(), preview()
    dougong("down", "--yes")
    built = recorded("up")
    again = recorded("up")
    planned = recorded("plan")
    additions = scale.measure()
    removed = recorded("down", "--yes")
    text = report.render(
        installation={"up, from nothing": built, "up, again": again, "plan": planned, "down": removed},
        inventory=known,
        preview=program,
        additions=additions,
    )
    (paths.ROOT / "docs" / "benchmarks.md").write_text(text)


def dougong(*arguments: str) -> None:
    """Run the command line; a failure ends the measuring."""
    environment = {**os.environ, "DOUGONG_ENVIRONMENT": ENVIRONMENT}
    subprocess.run([Path(sys.prefix) / "bin" / "dougong", *arguments], env=environment, check=True)


def recorded(*arguments: str) -> Run:
    """Run the command line and read the record that it leaves."""
    dougong(*arguments)
    return runs.find(ENVIRONMENT, "last")


def preview() -> float:
    """Seconds that the program of a cluster of 1,000 servers takes, against Pulumi's mocks."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.preview"], cwd=paths.ROOT, capture_output=True, text=True, check=True
    )
    return float(done.stdout.split()[-1])


main()
