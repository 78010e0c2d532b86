"""Every molecule scenario: create, converge, idempotence, check mode, testinfra, destroy.

Three at once, since a scenario waits for its hosts for about half of its time.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from dougong import paths
from tests.molecule import sequence

# Clusters that tests/drills breaks on purpose, and what takes long to build.
DRILLS = {
    "backup",
    "certificates",
    "elasticsearch",
    "high_availability",
    "images",
    "inspection",
    "security",
    "upgrade",
}
# The longest first, so that none is left to run alone at the end.
LONG = ["monitoring", "logging", "kubernetes"]
SCENARIOS = LONG + sorted(
    {path.parent.name for path in (paths.ROOT / "molecule").glob("*/molecule.yml")} - DRILLS - set(LONG)
)


@pytest.fixture(scope="module")
def runs(request: pytest.FixtureRequest) -> Iterator[dict[str, Future[None]]]:
    """The runs of all scenarios that were asked for."""
    asked = {item.name for item in request.session.items}
    pool = ThreadPoolExecutor(max_workers=3)
    try:
        yield {name: pool.submit(sequence.run, name) for name in SCENARIOS if f"test_scenario[{name}]" in asked}
    finally:
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario(scenario: str, runs: dict[str, Future[None]]) -> None:
    runs[scenario].result()
