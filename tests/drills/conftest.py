"""Drills: what takes long and breaks things on purpose. `make drill` runs them; `make test` does not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Protocol

import pytest

from tests.drills import harness


class Scenario(Protocol):
    """Gives a scenario's cluster, from nothing."""

    def __call__(self, name: str) -> harness.Cluster: ...


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenario]:
    """Clusters by the name of their scenario; gone when the module's drills are through."""
    with ExitStack() as clusters:
        yield lambda name: clusters.enter_context(harness.scenario(name, tmp_path_factory.mktemp(name)))
