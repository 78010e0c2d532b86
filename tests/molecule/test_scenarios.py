"""Every molecule scenario: create, converge, idempotence, check mode, testinfra, destroy."""

import os
import subprocess
import sys

import pytest

from dougong import paths

# Clusters that tests/drills breaks on purpose.
DRILLS = {"backup", "certificates", "high_availability", "inspection", "security", "upgrade"}
SCENARIOS = sorted({path.parent.name for path in (paths.ROOT / "molecule").glob("*/molecule.yml")} - DRILLS)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario(scenario: str) -> None:
    environment = {**os.environ, "PATH": f"{sys.prefix}/bin{os.pathsep}{os.environ['PATH']}", "NO_COLOR": "1"}
    # Its output goes to pytest's capture: shown when it fails, and as it comes with `pytest -s`.
    done = subprocess.run(
        ["molecule", "test", "-s", scenario], cwd=paths.ROOT, env=environment, check=False, timeout=1800
    )
    assert done.returncode == 0, f"molecule test -s {scenario} failed: see above"
