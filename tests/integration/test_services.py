"""The lab's services: the nodes have their images from the registry, every host sends its records and is watched, and
one command shows it all.
"""

from __future__ import annotations

import json
import uuid
from functools import partial

import pytest

from dougong import credentials, paths
from tests.cluster_probe import Cluster, eventually
from tests.integration.harness import ENVIRONMENT, CommandLine, Installation
from tests.zabbix_client import Zabbix, until

# Written, read by Filebeat, sent, and searchable at the index's next refresh.
_SHIPPED_SECONDS = 60


def test_the_platforms_images_were_pulled_by_digest_and_not_sent(installation: Installation) -> None:
    """What is imported has no name with a digest."""
    for host in installation.inventory.groups["control_plane"] + installation.inventory.groups["workers"]:
        names = installation.ssh(host, "sudo ctr --namespace k8s.io images list --quiet").split()
        sent = {name for name in names if name.startswith(("docker.io/", "registry.k8s.io/")) and "@" not in name}
        pulled = {name.partition("@")[0] for name in names if "@sha256:" in name}
        assert {name.rpartition(":")[0] for name in sent} <= pulled, host


def test_the_registry_is_healthy_and_has_what_nodes_pull(dougong: CommandLine, installation: Installation) -> None:
    said = dougong.output("status")
    assert "images for the nodes" in said
    assert "could not pull" not in said


def logs(dougong: CommandLine, *question: str) -> list[dict[str, str]]:
    """What `dougong logs` finds of the last minutes."""
    return [json.loads(line) for line in dougong.output("logs", *question, "--since=10m", "--json").splitlines()]


def test_a_line_of_every_host_is_found(dougong: CommandLine, installation: Installation) -> None:
    word = uuid.uuid4().hex
    hosts = {host["name"] for host in installation.outputs["hosts"]}
    for host in hosts:
        installation.ssh(host, f"logger --tag probe {word}")

    def told() -> set[str]:
        return {record["instance"] for record in logs(dougong, "--app=probe", f"--grep={word}")}

    assert eventually(lambda: told() == hosts, _SHIPPED_SECONDS), f"only from {told()}"


def test_a_line_of_a_pod_is_found_by_its_application(dougong: CommandLine, api: Cluster) -> None:
    word = f"word{uuid.uuid4().hex}"
    api.start_probes()
    try:
        [pod, *_] = api.get("pods", "--namespace=probe")["items"]
        name = pod["metadata"]["name"]
        # What its first process writes is what the runtime keeps.
        say = ["busybox", "sh", "-c", f"echo {word} >/proc/1/fd/1"]
        api.kubectl("exec", name, "--namespace=probe", "--", *say)
        question = ("--app=probe", f"--instance={name}", f"--grep={word}")
        assert eventually(lambda: len(logs(dougong, *question)) == 1, _SHIPPED_SECONDS)
    finally:
        api.stop_probes()


@pytest.fixture(scope="module")
def zabbix(installation: Installation) -> Zabbix:
    [host] = installation.inventory.groups["zabbix"]
    password = credentials.get(paths.state(ENVIRONMENT), "zabbix/Admin")
    return Zabbix(lambda command: installation.ssh(host, command), password)


def test_every_host_is_watched(zabbix: Zabbix, installation: Installation) -> None:
    hosts = {host["name"] for host in installation.outputs["hosts"]}

    def available() -> set[str]:
        return {each["host"] for each in zabbix("host.get", output=["host"], filter={"active_available": 1})}

    assert eventually(lambda: available() >= hosts, 180), f"only {available()}"


def test_status_says_where_they_are(dougong: CommandLine) -> None:
    said = dougong.output("status")
    assert "Elasticsearch is" in said
    assert "user reader: dougong credentials" in said
    assert "Zabbix 7.0" in said


def test_what_is_to_be_measured_is(zabbix: Zabbix) -> None:
    """All that Dougong's own templates ask of hosts, cluster and services; rates need two values, a minute apart."""
    templates = zabbix("template.get", search={"host": "Dougong "}, startSearch=True, output=["templateid"])
    identifiers = [template["templateid"] for template in templates]
    names = {item["name"] for item in zabbix("item.get", templateids=identifiers, output=["name"])}
    assert len(names) > 100

    def without_value() -> list[str]:
        wanted = ["name", "state", "error", "lastclock", "delay", "history"]
        return [
            f"{item['hosts'][0]['host']}: {item['name']}: {item['error'] or 'no value yet'}"
            for item in zabbix("item.get", monitored=True, output=wanted, selectHosts=["host"])
            # What is asked for more seldom comes in its time. Without history it is what others are taken from.
            if item["name"] in names and item["delay"] in ("0", "30s", "1m") and item["history"] != "0"
            if item["state"] == "1" or item["lastclock"] == "0"
        ]

    assert eventually(lambda: not without_value(), 300), without_value()


def test_the_cloud_and_its_load_balancers_are_watched(zabbix: Zabbix, installation: Installation) -> None:
    for balancer in ("api", "apps"):
        item = f"Load balancer {installation.platform.name}-{balancer}: operating"
        assert until(partial(zabbix.values, item), 180, item) == ["ONLINE"]
    for service in ("keystone", "nova", "neutron", "cinderv3", "octavia", "glance"):
        assert zabbix.values(f"OpenStack {service} (RegionOne): answers") == ["1"], service


def test_people_are_not_told_while_somebody_works_on_a_host(zabbix: Zabbix, installation: Installation) -> None:
    """As the playbooks begin and end it that upgrade, restore and renew."""

    def told_nothing() -> list[str]:
        begun = zabbix("maintenance.get", output=["name"], selectHostGroups=["name"])
        return [group["name"] for maintenance in begun for group in maintenance["hostgroups"]]

    playbooks = ["ansible-playbook", "-i", str(paths.platform_file(ENVIRONMENT)), "-e", "maintenance=Test"]
    groups = ["-e", '{"maintenance_groups": ["workers"]}']
    installation.run(*playbooks, *groups, "playbooks/maintenance-begin.yml")
    assert told_nothing() == ["Dougong/workers"]
    installation.run(*playbooks, *groups, "playbooks/maintenance-end.yml")
    assert told_nothing() == []
