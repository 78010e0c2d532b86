"""What takes minutes: what nobody takes up is escalated, of planned work nobody is told, and the upgrade."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

import pytest
import testinfra
from testinfra.host import Host

from dougong import credentials
from tests.drills.conftest import Scenario
from tests.drills.harness import Cluster
from tests.entry_point import play
from tests.zabbix_client import HOST, PROBLEM_SECONDS, Zabbix, mail, until, webhook

PROBLEM = "haproxy does not run"


@pytest.fixture(scope="module")
def cluster(scenario: Scenario) -> Cluster:
    return scenario("monitoring")


@pytest.fixture(scope="module")
def host(cluster: Cluster) -> Host:
    return testinfra.get_host(f"podman://{HOST}")


@pytest.fixture(scope="module")
def zabbix(cluster: Cluster, host: Host) -> Zabbix:
    zabbix = Zabbix(
        host.check_output, credentials.get(Path(cluster.variables["MOLECULE_EPHEMERAL_DIRECTORY"]), "zabbix/Admin")
    )
    until(lambda: zabbix.values("haproxy: runs") == ["1"], PROBLEM_SECONDS, "the agent has come")
    return zabbix


def test_what_nobody_takes_up_goes_to_the_next(host: Host, zabbix: Zabbix) -> None:
    with mail(host) as got:

        def written(recipient: str) -> bool:
            return any(PROBLEM in text for text in got(recipient))

        host.check_output("systemctl stop haproxy")
        try:
            until(lambda: written("operators@example.com"), PROBLEM_SECONDS, "they get an e-mail")
            assert not written("lead@example.com"), "that is for later"
            until(lambda: written("lead@example.com"), 180, "nobody has taken it up: it is escalated")
        finally:
            host.check_output("systemctl start haproxy")
        until(lambda: not zabbix.problems(PROBLEM), PROBLEM_SECONDS, "it is over")


def test_nobody_is_told_during_a_maintenance(cluster: Cluster, host: Host, zabbix: Zabbix) -> None:
    work = {"zabbix_configuration_maintenance": "test", "zabbix_configuration_maintenance_minutes": 30}
    # From a controller whose clock shows another hour than the server's.
    elsewhere = {**cluster.variables, "TZ": "America/New_York"}
    play(elsewhere, "zabbix_configuration", "maintenance_begin", **work)
    # The server looks at maintenances once a minute.
    quiet = {"filter": {"host": [HOST], "maintenance_status": 1}}
    until(lambda: zabbix("host.get", **quiet), 120, "the maintenance is in force")
    with webhook(host) as heard:
        host.check_output("systemctl stop haproxy")
        try:
            suppressed = partial(zabbix.problems, PROBLEM, suppressed=True)
            [problem] = until(suppressed, PROBLEM_SECONDS, "the problem is seen")
            time.sleep(10)  # an alert takes three
            # What could not be delivered before may come now.
            assert problem["eventid"] not in {message["event"] for message in heard()}
        finally:
            host.check_output("systemctl start haproxy")
            until(lambda: not zabbix.problems(PROBLEM), PROBLEM_SECONDS, "the problem is over")
            play(cluster.variables, "zabbix_configuration", "maintenance_end", **work)
    assert zabbix("maintenance.get", filter={"name": "test"}) == []


def test_an_upgrade_begins_with_a_backup_and_everything_goes_on(cluster: Cluster, host: Host, zabbix: Zabbix) -> None:
    # Written by a backup alone.
    host.check_output("rm --force /var/lib/dougong/backup/zabbix.json")
    play(cluster.variables, "zabbix_server", "upgrade")
    assert host.file("/var/lib/dougong/backup/zabbix.json").exists
    ended = time.time()
    until(lambda: zabbix.measured("haproxy: runs", ended), PROBLEM_SECONDS, "the agents go on")
