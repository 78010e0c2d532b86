"""The lab's installation, brought up once by the command line as a person would; its removal is tested last.

A lab that is up already is taken down first: the tests want to see it come from nothing. DOUGONG_TEST_KEEP=1 works on
what is there and leaves it there, for whoever writes a test.
"""

from __future__ import annotations

import pytest

from tests.cluster_probe import Cluster
from tests.integration.harness import ENVIRONMENT, KEEP, CommandLine, Installation, Machine
from tests.integration.shop import Shop

ORDER = {"test_up.py": -2, "test_check.py": -1, "test_deleted_port.py": 1, "test_down.py": 2}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Building comes first, a look at the healthy installation next, removal last, before it what breaks things."""
    items.sort(key=lambda item: ORDER.get(item.path.name, 0) if item.path.parent.name == "integration" else -3)


@pytest.fixture(scope="session")
def dougong() -> CommandLine:
    """The command line, working on the lab."""
    return CommandLine.of(ENVIRONMENT)


@pytest.fixture(scope="session")
def machine(dougong: CommandLine) -> Machine:
    """The machine before anything was made on it."""
    if not KEEP:
        dougong("down", "--yes")
    return Machine.now()


@pytest.fixture(scope="session")
def installation(dougong: CommandLine, machine: Machine) -> Installation:
    """The lab, up."""
    dougong("up")
    return Installation.of(ENVIRONMENT)


@pytest.fixture(scope="session")
def api(installation: Installation) -> Cluster:
    """The cluster, with the image of the tests' own pods on every node."""
    return installation.with_probe()


@pytest.fixture(scope="session")
def workers(installation: Installation) -> list[str]:
    """Names of the workers."""
    return [host["name"] for host in installation.outputs["hosts"] if host["role"] == "worker"]


@pytest.fixture(scope="session")
def shop(api: Cluster, workers: list[str]) -> Shop:
    """An application with a load balancer and a volume. It stays: `down` has to remove what it has in the cloud."""
    shop = Shop(api)
    shop.run_on(workers[0])
    return shop
