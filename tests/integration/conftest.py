"""The lab's installation, brought up once by the command line as a person would; its removal is tested last.

A lab that is up already is taken down first: the tests want to see it come from nothing. DOUGONG_TEST_KEEP=1 works on
what is there and leaves it there, for whoever writes a test.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from tests.cluster_probe import Cluster
from tests.integration.harness import ENVIRONMENT, KEEP, CommandLine, Installation, Machine
from tests.integration.shop import Shop

# Building, a look at the healthy installation, its use while a run works on every host, what restarts hosts and cloud,
# what breaks things, removal.
ORDER = [
    "test_up.py",
    "test_check.py",
    "test_cloud_integration.py",
    "test_again.py",
    "test_cluster.py",
    "test_lab.py",
    "test_services.py",
    "test_deleted_port.py",
    "test_down.py",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the lab before the scenarios: linters and unit tests, beside them in `make test`, have use for its pauses."""
    folders = {"integration": 1, "molecule": 2}

    def order(item: pytest.Item) -> tuple[int, int]:
        folder = folders.get(item.path.parent.name, 0)
        return folder, ORDER.index(item.path.name) if folder == 1 else 0

    items.sort(key=order)


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
def again(dougong: CommandLine, installation: Installation) -> Iterator[subprocess.Popen[bytes]]:
    """A run on every host, begun. It goes on beside the tests until one waits for it."""
    process = dougong.start("up", "--all")
    yield process
    process.terminate()
    process.wait()


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
