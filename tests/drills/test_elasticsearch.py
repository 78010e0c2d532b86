"""Three hosts of Elasticsearch: founded once, changed one after another, one lost and made anew; records meanwhile."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from dougong import paths
from tests.cluster_probe import eventually
from tests.drills.conftest import Scenario
from tests.drills.harness import Cluster

HOSTS = [f"molecule-elasticsearch-{number}" for number in range(3)]
INDEX = f"dougong-journal-{datetime.now(UTC):%Y.%m.%d}"
CONVERGE = "molecule/elasticsearch/converge.yml"


@pytest.fixture(scope="module")
def cluster(scenario: Scenario) -> Cluster:
    return scenario("elasticsearch")


def ask(cluster: Cluster, host: str, method: str, path: str, body: Any = None) -> Any:
    question = json.dumps([method, path, body])
    return json.loads(cluster.shell(host, f"echo '{question}' | dougong-elasticsearch query"))


def identity(cluster: Cluster, host: str) -> str:
    """Of the cluster that a host belongs to."""
    return str(ask(cluster, host, "GET", "_cluster/state/master_node")["cluster_uuid"])


def count(cluster: Cluster, host: str) -> int:
    ask(cluster, host, "POST", f"{INDEX}/_refresh")
    return int(ask(cluster, host, "GET", f"{INDEX}/_count")["count"])


def green(cluster: Cluster, host: str, seconds: int = 180) -> dict[str, Any]:
    state: dict[str, Any] = json.loads(cluster.shell(host, f"dougong-elasticsearch health --green --wait {seconds}"))
    return state


class Writer(threading.Thread):
    """Somebody who adds a record twice a second, by whichever host answers; as a shipper does, he tries again."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(daemon=True)
        self.cluster, self.written, self.refused, self.longest = cluster, 0, 0, 0.0
        self.over = threading.Event()

    def run(self) -> None:
        last = time.monotonic()
        while not self.over.wait(0.5):
            record = {"@timestamp": "2026-01-01T00:00:00Z", "message": f"record {self.written}"}
            for host in HOSTS:
                try:
                    ask(self.cluster, host, "PUT", f"{INDEX}/_create/{self.written}", record)
                except (AssertionError, subprocess.TimeoutExpired) as error:
                    self.refused += 1
                    # It was added, and the answer was lost.
                    if "version_conflict" not in str(error):
                        continue
                self.written += 1
                now = time.monotonic()
                self.longest, last = max(self.longest, now - last), now
                break


@contextmanager
def writing(cluster: Cluster) -> Iterator[Writer]:
    writer = Writer(cluster)
    writer.start()
    try:
        yield writer
    finally:
        writer.over.set()
        writer.join(120)


def test_three_hosts_are_one_cluster(cluster: Cluster) -> None:
    assert len({identity(cluster, host) for host in HOSTS}) == 1
    assert green(cluster, HOSTS[0])["nodes"] == 3
    for host in HOSTS:
        assert "founding" not in cluster.shell(host, "ls /etc/elasticsearch").split(), "nobody founds another one"


def test_a_changed_configuration_reaches_one_after_another_and_no_record_is_lost(cluster: Cluster) -> None:
    with writing(cluster) as writer:
        assert eventually(lambda: writer.written > 5, 60)
        cluster.playbook(CONVERGE, elasticsearch_heap=300)
    print(
        f"changed: {writer.written} records, {writer.refused} attempts refused, {writer.longest:.1f} s at most without"
    )
    assert green(cluster, HOSTS[0])["nodes"] == 3
    for host in HOSTS:
        assert "-Xmx300m" in cluster.shell(host, "cat /etc/elasticsearch/jvm.options")
    assert count(cluster, HOSTS[0]) == writer.written
    cluster.shell(HOSTS[0], "dougong-elasticsearch snapshot")


def test_a_setting_that_elasticsearch_refuses_takes_one_host_away_and_no_more(cluster: Cluster) -> None:
    usual = yaml.safe_load((paths.ROOT / "molecule/elasticsearch/inventory.yml").read_text())
    configuration = usual["all"]["vars"]["elasticsearch_configuration"]
    wrong = {**configuration, "no.such.setting": 1}
    printed = cluster.playbook(CONVERGE, expect=2, elasticsearch_heap=300, elasticsearch_configuration=wrong)
    assert "has not come back from its own turn in this run" in printed
    answering = [host for host in HOSTS if "nodes" in cluster.shell(host, "dougong-elasticsearch health || true")]
    assert len(answering) == 2
    cluster.playbook(CONVERGE, elasticsearch_heap=300)
    assert green(cluster, HOSTS[0])["nodes"] == 3


def test_an_upgrade_holds_copies_back_and_lets_them_go(cluster: Cluster) -> None:
    # As one leaves it that was killed.
    cluster.shell(HOSTS[0], "dougong-elasticsearch pause")
    cluster.playbook("playbooks/upgrade-logging.yml", elasticsearch_heap=256, services_here={"filebeat": False})
    settings = ask(cluster, HOSTS[0], "GET", "_cluster/settings?flat_settings=true")["persistent"]
    assert "cluster.routing.allocation.enable" not in settings
    assert green(cluster, HOSTS[0])["nodes"] == 3


def test_all_of_it_comes_back_from_a_snapshot_and_every_host_lets_everybody_in_again(cluster: Cluster) -> None:
    records = count(cluster, HOSTS[0])
    cluster.shell(HOSTS[1], "dougong-elasticsearch snapshot")
    ask(cluster, HOSTS[0], "PUT", f"{INDEX}/_create/late", {"@timestamp": "2026-01-01T00:00:00Z", "message": "late"})
    users = {cluster.shell(host, "cat /etc/elasticsearch/users") for host in HOSTS}
    cluster.playbook("playbooks/restore-logs.yml", elasticsearch_restore_replace=True)
    assert green(cluster, HOSTS[0])["nodes"] == 3
    assert count(cluster, HOSTS[0]) == records
    assert {cluster.shell(host, "cat /etc/elasticsearch/users") for host in HOSTS} == users
    assert len(users) == 1


def test_a_host_is_lost_with_its_volume_and_comes_anew(cluster: Cluster) -> None:
    before, records = identity(cluster, HOSTS[0]), count(cluster, HOSTS[0])
    # One that has a copy of the records; nobody would miss another one.
    copies = ask(cluster, HOSTS[0], "GET", f"_cat/shards/{INDEX}?format=json")
    lost = next(copy["node"] for copy in copies if copy["node"] != HOSTS[0])
    others = ",".join(host for host in HOSTS if host != lost)
    subprocess.run(["podman", "rm", "--force", "--time", "0", lost], check=True, capture_output=True)
    with writing(cluster) as writer:
        writer.written = records
        assert eventually(lambda: writer.written > records + 5, 90), "two of three go on"
        # What would restart one of the two is refused.
        printed = cluster.playbook(CONVERGE, "--limit", others, expect=2, elasticsearch_heap=320)
        assert "has a new configuration and would restart, but" in printed
        cluster.playbook("molecule/shared/create.yml", "--limit", f"localhost,{lost}")
        cluster.playbook(CONVERGE)
    print(f"made anew: {writer.written - records} records, {writer.longest:.1f} s at most without")
    assert {identity(cluster, host) for host in HOSTS} == {before}
    assert green(cluster, lost, 400)["nodes"] == 3
    assert count(cluster, lost) == writer.written
