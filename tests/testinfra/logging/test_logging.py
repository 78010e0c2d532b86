"""What roles elasticsearch and filebeat leave on a host, tried by writing lines and asking for them."""

from __future__ import annotations

import json
import os
import time
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests
import yaml
from testinfra.host import Host
from urllib3.exceptions import InsecureRequestWarning

from dougong import logs
from dougong.logs import Question
from tests.entry_point import play

HOST = "molecule-logging"
ADDRESS = "https://10.78.0.91:9200"
CREDENTIALS = "/etc/dougong/elasticsearch.json"
# Reading, sending and refreshing take about 4 s; the rest is for a busy machine.
SECONDS = 60
CONTAINER = "web-7d4b9c5f6d-x2x4z_shop_nginx-main-" + "c" * 64
# The drill (tests/drills/test_logging.py) wants a hundred thousand.
OUTAGE_LINES = int(os.environ.get("DOUGONG_OUTAGE_LINES", "10000"))
# In the spool; one with its names and labels has several times as many.
BYTES_OF_A_LINE = 100
WATERMARKS = [f"cluster.routing.allocation.disk.watermark.{level}" for level in ("low", "high", "flood_stage")]

# In the order of this file: pytest puts tests that use no host behind all others, where nothing is left to be tried.
pytestmark = pytest.mark.usefixtures("host")


@pytest.fixture
def word() -> str:
    """One that no other line has."""
    return f"w{uuid.uuid4().hex}"


def ask(host: Host, method: str, path: str, body: Any = None) -> Any:
    """Elasticsearch's answer to its operator."""
    question = json.dumps([method, path, body])
    return json.loads(host.check_output("echo %s | dougong-elasticsearch query", question))


def find(host: Host, word: str) -> list[dict[str, Any]]:
    """The records whose message has a word."""
    found = ask(host, "POST", "dougong-*/_search", {"size": 100, "query": {"match": {"message": word}}})
    return [hit["_source"] for hit in found["hits"]["hits"]]


def count(host: Host, word: str) -> int:
    return int(ask(host, "POST", "dougong-*/_count", {"query": {"match": {"message": word}}})["count"])


def wait(until: Callable[[], Any], seconds: float = SECONDS) -> Any:
    """What is looked for, once it is there."""
    deadline = time.monotonic() + seconds
    while not (found := until()):
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(1)
    return found


def status(login: tuple[str, str] | None, method: str, path: str, body: Any = None) -> int:
    """The status that a user of the API gets from outside."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InsecureRequestWarning)
        # The shipper looks whose certificate it is; here the door is tried.
        return requests.request(
            method,
            f"{ADDRESS}/{path}",
            json=body,
            auth=login,
            verify=False,  # noqa: S501
            timeout=30,
        ).status_code


def shipper(host: Host) -> tuple[str, str]:
    """User and password that Filebeat has."""
    output = yaml.safe_load(host.check_output("cat /etc/filebeat/filebeat.yml"))["output.elasticsearch"]
    return output["username"], output["password"]


@contextmanager
def stopped(host: Host, unit: str) -> Iterator[None]:
    host.check_output(f"systemctl stop {unit}")
    try:
        yield
    finally:
        host.check_output(f"systemctl start {unit}")


@pytest.mark.parametrize("name", ["elasticsearch", "filebeat"])
def test_service_runs_now_and_at_boot(host: Host, name: str) -> None:
    assert host.service(name).is_running
    assert host.service(name).is_enabled


def test_snapshots_and_retention_have_a_timer(host: Host) -> None:
    assert host.service("dougong-elasticsearch.timer").is_running
    assert host.service("dougong-elasticsearch.timer").is_enabled


def test_nobody_listens_but_for_tls(host: Host) -> None:
    listening = [line.split()[3] for line in host.check_output("ss -tlnpH").splitlines() if '"java"' in line]
    assert {address.rpartition(":")[2] for address in listening} == {"9200", "9300"}
    assert {address for address in listening if address.endswith(":9300")} == {"[::ffff:127.0.0.1]:9300"}
    with pytest.raises(requests.exceptions.RequestException):
        requests.get(ADDRESS.replace("https", "http"), timeout=5)


def test_who_does_not_log_in_sees_nothing() -> None:
    assert status(None, "GET", "") == 401
    assert status(None, "GET", "dougong-*/_search") == 401
    assert status(("reader", "wrong"), "GET", "") == 401
    assert status(("elastic", "changeme"), "GET", "") == 401


def test_shipper_adds_records_and_does_nothing_else(host: Host) -> None:
    user = shipper(host)
    index, record = "dougong-journal-2020.01.01", {"@timestamp": "2020-01-01T00:00:00Z"}
    assert status(user, "GET", "") == 200
    assert status(user, "GET", "dougong-*/_search") == 403
    try:
        assert status(user, "PUT", f"{index}/_create/once", record) == 201
        assert status(user, "PUT", f"{index}/_doc/once", {**record, "message": "another"}) == 403
        assert status(user, "DELETE", index) == 403
    finally:
        ask(host, "DELETE", index)


def test_passwords_are_for_those_who_need_them(host: Host) -> None:
    for name in ("/etc/filebeat/filebeat.yml", CREDENTIALS):
        assert host.file(name).mode == 0o600
    users = host.file("/etc/elasticsearch/users")
    assert (users.user, users.group, users.mode) == ("root", "elasticsearch", 0o640)
    assert "{PBKDF2}" in users.content_string


def test_line_of_the_journal_is_found_with_who_said_it(host: Host, word: str) -> None:
    # By a file: systemd would say the word, too, when it says what it starts.
    host.check_output("echo %s >/run/word", word)
    host.check_output("systemd-run --unit=shop --wait /bin/sh -c %s", "echo hello $(cat /run/word)")
    [record] = wait(lambda: find(host, word))
    who = [record[name] for name in ("cluster", "application", "instance")]
    assert who == [HOST, "shop", HOST]
    assert record["event"]["dataset"] == "journal"


def print_in_container(host: Host, text: str, first: int = 1, last: int = 1, stream: str = "stdout") -> None:
    """Have numbered lines in the log of the container, as containerd writes them."""
    real = "/var/log/pods/shop_web-7d4b9c5f6d-x2x4z_0b2a4c9e-0000-4000-8000-000000000001/nginx-main"
    host.check_output(
        f"mkdir -p {real} && at=$(date --utc +%Y-%m-%dT%H:%M:%S.%NZ)"
        f' && seq -f "$at {stream} F %.0f {text}" {first} {last} >>{real}/0.log'
        f" && ln -sfn {real}/0.log /var/log/containers/{CONTAINER}.log"
    )


def test_line_of_a_pod_is_found_with_its_labels(host: Host, word: str) -> None:
    print_in_container(host, f"GET / {word}", stream="stderr")
    [record] = wait(lambda: find(host, word))
    who = [record[name] for name in ("cluster", "application", "instance")]
    assert who == [HOST, "web", "web-7d4b9c5f6d-x2x4z"]
    kubernetes = record["kubernetes"]
    assert (kubernetes["namespace"], kubernetes["container"]["name"]) == ("shop", "nginx-main")
    assert kubernetes["labels"] == {"app_kubernetes_io/name": "web", "tier": "front"}
    assert record["stream"] == "stderr"
    by_label = {"query": {"term": {"kubernetes.labels.tier": {"value": "front"}}}}
    assert ask(host, "POST", "dougong-*/_count", by_label)["count"] >= 1


def test_what_the_runtime_has_cut_and_a_stack_trace_are_one_record_each(host: Host, word: str) -> None:
    print_in_container(host, "before")
    at = time.strftime("%Y-%m-%dT%H:%M:%S.000000001Z", time.gmtime())
    lines = [
        f"{at} stdout P {word} one ",
        f"{at} stdout P two ",
        f"{at} stdout F three",
        f"{at} stderr F java.lang.IllegalStateException: {word} broken",
        f"{at} stderr F \tat shop.Cart.add(Cart.java:7)",
        f"{at} stderr F Caused by: java.io.IOException: no route",
        f"{at} stderr F \t... 7 more",
    ]
    log = "/var/log/containers/" + CONTAINER + ".log"
    host.check_output(f"printf '%%s\\n' {' '.join(['%s'] * len(lines))} >>{log}", *lines)
    records = wait(lambda: found if len(found := find(host, word)) >= 2 else None)
    messages = sorted(record["message"] for record in records)
    assert messages == sorted(
        [
            f"{word} one two three",
            f"java.lang.IllegalStateException: {word} broken\n\tat shop.Cart.add(Cart.java:7)\n"
            "Caused by: java.io.IOException: no route\n\t... 7 more",
        ]
    )
    assert {record["stream"] for record in records} == {"stdout", "stderr"}


def test_command_finds_what_it_is_asked_for(host: Host, word: str) -> None:
    print_in_container(host, f"connection refused {word}", 1, 3)
    wait(lambda: count(host, word) == 3)
    with logs.first_that_answers([["podman", "exec", "-i", HOST, "dougong-elasticsearch", "query"]]) as connection:

        def found(**conditions: str) -> list[str]:
            records = logs.records(connection, Question(grep=f"refused {word[:20]}", **conditions).query())
            return [logs.line(each["_source"]).partition(" ")[2] for each in records]

        lines = [f"{HOST} web web-7d4b9c5f6d-x2x4z: {number} connection refused {word}" for number in (1, 2, 3)]
        assert found() == found(app="web", instance="web-*", host=HOST, since="1h") == lines
        assert found(app="we") == found(app="web", instance="x") == found(host="other") == []
        ahead = logs.following(connection, Question(grep=word))
        assert [next(ahead)["_source"]["message"][0] for _ in range(3)] == ["1", "2", "3"]
        print_in_container(host, f"later {word}", 4, 4)
        assert next(ahead)["_source"]["message"] == f"4 later {word}"


def test_request_to_the_api_is_found_by_its_user(host: Host, word: str) -> None:
    at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
    event = {
        "kind": "Event",
        "stage": "ResponseComplete",
        "verb": "delete",
        "user": {"username": f"mallory-{word}"},
        "objectRef": {"resource": "secrets", "namespace": "shop"},
        "requestObject": {"kind": "DeleteOptions"},
        "stageTimestamp": f"{at}.123456Z",
    }
    host.check_output("echo %s >>/var/log/kubernetes/audit/audit.log", json.dumps(event))
    query = {"query": {"term": {"audit.user.username": {"value": f"mallory-{word}"}}}}
    # Of all kinds: where the only index asked is still being made, Elasticsearch answers 503.
    [hit] = wait(lambda: ask(host, "POST", "dougong-*/_search", query)["hits"]["hits"])
    assert hit["_index"].startswith("dougong-audit-")
    record = hit["_source"]
    assert (record["application"], record["instance"]) == ("kube-apiserver", HOST)
    assert record["@timestamp"] == f"{at}.123Z"
    assert record["audit"]["objectRef"]["resource"] == "secrets"
    assert "requestObject" not in record["audit"]


def test_nothing_is_lost_or_doubled_while_elasticsearch_is_away(host: Host, word: str) -> None:
    """Thousands of lines: some before, most during an outage, and the shipper is killed in the middle of it."""
    early, late = OUTAGE_LINES // 10, OUTAGE_LINES * 6 // 10
    print_in_container(host, word, 1, early)
    with stopped(host, "elasticsearch"):
        before = spooled(host)
        print_in_container(host, word, early + 1, late)
        wait(lambda: spooled(host) > before + (late - early) * BYTES_OF_A_LINE)
        host.check_output("systemctl kill --signal=KILL filebeat")
        print_in_container(host, word, late + 1, OUTAGE_LINES)
        wait(lambda: spooled(host) > before + (OUTAGE_LINES - early) * BYTES_OF_A_LINE)
    began = time.monotonic()
    host.check_output("dougong-elasticsearch health --wait 180")
    wait(lambda: count(host, word) >= OUTAGE_LINES, 300)
    print(f"{OUTAGE_LINES} lines were there {time.monotonic() - began:.0f} s after the outage")
    # What is sent again comes late.
    time.sleep(10)
    assert count(host, word) == OUTAGE_LINES


def spooled(host: Host) -> int:
    """Bytes that wait on the disk."""
    return int(host.check_output("du --bytes --summarize /var/lib/filebeat/queue").split()[0])


def test_full_disk_makes_records_wait(host: Host, word: str) -> None:
    # No disk has so much left; and it is looked at more often than every 30 s.
    full = dict.fromkeys(WATERMARKS, "100tb") | {"cluster.info.update.interval": "10s"}
    ask(host, "PUT", "_cluster/settings", {"persistent": full})
    try:
        wait(lambda: host.run("dougong-elasticsearch health").rc == 1, 120)
        assert "the disk is full" in host.run("dougong-elasticsearch health").stderr
        host.check_output("logger %s", word)
        time.sleep(10)
        assert not find(host, word)
    finally:
        ask(host, "PUT", "_cluster/settings", {"persistent": dict.fromkeys(full)})
    wait(lambda: host.run("dougong-elasticsearch health").rc == 0, 120)
    assert len(wait(lambda: find(host, word), 120)) == 1


def test_restart_loses_nothing(host: Host, word: str) -> None:
    host.check_output("logger %s", word)
    wait(lambda: find(host, word))
    host.check_output("systemctl kill --signal=KILL elasticsearch filebeat")
    host.check_output("dougong-elasticsearch health --wait 180")
    wait(lambda: host.service("filebeat").is_running)
    assert len(find(host, word)) == 1
    host.check_output("logger %s", f"again {word}")
    wait(lambda: count(host, word) == 2)


def test_lost_index_comes_back_from_a_snapshot(host: Host, word: str) -> None:
    index = "dougong-journal-2020.02.02"
    ask(host, "PUT", f"{index}/_doc/1?refresh=true", {"@timestamp": "2020-02-02T00:00:00Z", "message": word})
    made = json.loads(host.check_output("dougong-elasticsearch snapshot"))
    assert made["state"] == "SUCCESS"
    ask(host, "DELETE", index)
    assert not find(host, word)
    assert host.check_output("dougong-elasticsearch restore %s", made["id"]).split() == [index]
    assert len(find(host, word)) == 1


@pytest.mark.drill
def test_all_of_it_comes_back_from_a_snapshot_and_what_is_written_meanwhile_is_not_lost(host: Host, word: str) -> None:
    index = "dougong-journal-2020.04.04"
    ask(host, "PUT", f"{index}/_doc/1?refresh=true", {"@timestamp": "2020-04-04T00:00:00Z", "message": f"kept {word}"})
    made = json.loads(host.check_output("dougong-elasticsearch snapshot"))
    ask(host, "PUT", f"{index}/_doc/2?refresh=true", {"@timestamp": "2020-04-04T00:00:00Z", "message": f"late {word}"})
    # By a file: systemd would say the word, too, when it says what it starts.
    host.check_output("echo %s >/run/word", word)
    count_on = "number=0; while sleep 0.2; do number=$((number + 1)); logger line $(cat /run/word) $number; done"
    host.check_output("systemd-run --unit=writer sh -c %s", count_on)
    try:
        wait(lambda: numbers(host, word))
        play(
            os.environ,
            "elasticsearch",
            "restore",
            elasticsearch_snapshot=made["id"],
            elasticsearch_restore_replace=True,
        )
        time.sleep(5)
    finally:
        host.check_output("systemctl stop writer")
    said = host.check_output("journalctl --output=cat --grep=%s", f"^line {word} ")
    last = int(said.splitlines()[-1].split()[-1])
    found = wait(lambda: known if (known := numbers(host, word)) and known[-1] == last else None)
    # What came between the snapshot and the moment when nobody was let in any more is lost, and nothing after it.
    assert found == list(range(found[0], last + 1))
    assert last - found[0] > 20
    messages = {record["message"] for record in find(host, f"kept {word}")}
    assert f"kept {word}" in messages
    assert f"late {word}" not in messages
    ask(host, "DELETE", index)


def numbers(host: Host, word: str) -> list[int]:
    """Of the lines of somebody who counts."""
    query = {"size": 10_000, "query": {"match_phrase": {"message": f"line {word}"}}}
    hits = ask(host, "POST", "dougong-*/_search?allow_no_indices=true", query)["hits"]["hits"]
    return sorted(int(hit["_source"]["message"].split()[-1]) for hit in hits)


@pytest.mark.drill
def test_restore_that_was_broken_off_is_mended_by_another_one(host: Host) -> None:
    host.check_output("sed -i '/^operator:/!d' /etc/elasticsearch/users")
    wait(lambda: status(shipper(host), "GET", "") == 401)
    play(os.environ, "elasticsearch", "restore", elasticsearch_restore_replace=True)
    wait(lambda: status(shipper(host), "GET", "") == 200)


def test_each_host_has_a_newest_record(host: Host, word: str) -> None:
    host.check_output("logger %s", word)
    wait(lambda: find(host, word))
    state = json.loads(host.check_output("dougong-elasticsearch status"))
    assert 0 <= state["silent_seconds"][HOST] < SECONDS
    assert not state["paused"]


def test_daily_work_deletes_what_is_too_old(host: Host, word: str) -> None:
    old, young = "dougong-journal-2020.03.03", "dougong-unknown-2020.03.03"
    for index in (old, young):
        ask(host, "PUT", f"{index}/_doc/1?refresh=true", {"@timestamp": "2020-03-03T00:00:00Z", "message": word})
    host.check_output("systemctl start dougong-elasticsearch.service")
    assert count(host, word) == 1, "of its kind nothing is said"
    ask(host, "DELETE", young)


def test_kibana_and_logstash() -> None:
    pytest.skip("their archives are published by upstream alone, which cannot be reached here; roles kibana, logstash")


def test_what_is_removed_runs_no_more_and_keeps_its_data(host: Host) -> None:
    for role in ("filebeat", "elasticsearch"):
        play(os.environ, role, "remove")
        assert not host.service(role).is_running
        assert not host.file(f"/etc/ansible/facts.d/{role}.fact").exists
    assert not host.service("dougong-elasticsearch.timer").is_running
    # Passwords stay nowhere; positions, what waits to be sent, and indices do.
    assert not host.file("/etc/filebeat").exists
    assert not host.file("/etc/elasticsearch").exists
    assert host.file("/var/lib/filebeat/registry").is_directory
    assert host.file("/var/lib/elasticsearch/indices").is_directory
