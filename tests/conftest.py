"""How `make test` divides tests among two processes: what makes hosts and clouds on this machine, and the rest.

And what it leaves to `make drill`: tests with the mark `drill`, which take long or break things on purpose.
"""

from __future__ import annotations

import os

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

# One after another in one process, the others beside them. They begin at once: xdist takes the largest group first.
_ON_THE_MACHINE = ("tests/molecule/", "tests/integration/")


class _OneForTheMachine(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types: its base is Any to mypy
    """Every test for itself, but those on the machine together."""

    def _split_scope(self, nodeid: str) -> str:
        return "machine" if nodeid.startswith(_ON_THE_MACHINE) else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """In place of what --dist names."""
    return _OneForTheMachine(config, log)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what is for `make drill`."""
    if item.get_closest_marker("drill") and not os.environ.get("DOUGONG_DRILL"):
        pytest.skip("takes long or breaks things on purpose: make drill")
