"""100,000 lines across an outage of Elasticsearch: the scenario's own test, with ten times as many lines."""

from __future__ import annotations

import subprocess
import sys

from dougong import paths
from tests.drills.conftest import Scenario

LINES = 100_000


def test_nothing_is_lost_or_doubled(scenario: Scenario) -> None:
    cluster = scenario("logging")
    subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-v", "-s", "tests/testinfra/logging"),
            *("-k", "test_nothing_is_lost_or_doubled", "--hosts=podman://molecule-logging"),
        ],
        cwd=paths.ROOT,
        env={**cluster.variables, "DOUGONG_OUTAGE_LINES": str(LINES)},
        check=True,
    )
