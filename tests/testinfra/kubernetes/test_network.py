"""Pod network, DNS and NetworkPolicy, tried with real pods on every node, from the controller."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster_network import PodNetwork
from tests.cluster_probe import Cluster


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    cluster = Cluster(Path(os.environ["KUBECONFIG"]))
    cluster.start_probes()
    yield cluster
    cluster.stop_probes()


class TestPodNetwork(PodNetwork):
    """Of the scenario's cluster."""
