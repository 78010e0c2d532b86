"""Questions about logs, what Elasticsearch is asked, and what a person sees."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import pytest
from typer.testing import CliRunner

from dougong import cli, console, inventory, logs, paths
from dougong.errors import DougongError
from dougong.inventory import Inventory
from dougong.logs import Question
from dougong.platform import Logging, Platform, load


def record(key: str, at: str, **source: Any) -> dict[str, Any]:
    return {"_id": key, "_source": {"@timestamp": at, **source}, "sort": [at, 0]}


class Elasticsearch:
    """Answers with pages of records, each search with the next; notes what it was asked."""

    def __init__(self, *pages: list[dict[str, Any]]) -> None:
        self.pages = iter(pages)
        self.asked: list[tuple[str, str, Any]] = []

    def __call__(self, method: str, path: str, body: Any = None) -> Any:
        self.asked.append((method, path, dict(body) if body else None))
        if path.endswith("_search"):
            return {"hits": {"hits": next(self.pages)}}
        return {"id": "moment"}

    def searches(self) -> list[dict[str, Any]]:
        return [body for _, path, body in self.asked if path.endswith("_search")]


def test_only_what_is_asked_for_is_a_condition() -> None:
    assert Question().query() == {"bool": {"filter": [{"range": {"@timestamp": {"gte": "now-10m"}}}]}}
    conditions = Question(app="demo", instance="demo-*", host="w-0", since="2h", grep="not fou").query()["bool"][
        "filter"
    ]
    assert conditions == [
        {"range": {"@timestamp": {"gte": "now-2h"}}},
        {"term": {"application": {"value": "demo"}}},
        {"wildcard": {"instance": {"value": "demo-*"}}},
        {"term": {"host.name": {"value": "w-0"}}},
        {"match_phrase_prefix": {"message": {"query": "not fou", "max_expansions": 1000}}},
    ]


@pytest.mark.parametrize(
    ("since", "asked"),
    [
        ("2026-11-21", "2026-11-21T00:00:00+00:00"),
        ("2026-11-21 10:00", "2026-11-21T10:00:00+00:00"),
        ("2026-11-21T10:00:00+01:00", "2026-11-21T10:00:00+01:00"),
        ("2026-W47-6", "2026-11-21T00:00:00+00:00"),
    ],
)
def test_since_may_be_a_moment_and_is_asked_in_a_form_that_elasticsearch_reads(since: str, asked: str) -> None:
    assert Question(since=since).query()["bool"]["filter"] == [{"range": {"@timestamp": {"gte": asked}}}]


@pytest.mark.parametrize("since", ["", "10", "0m", "10 min", "yesterday", "now-1d||/d"])
def test_since_that_is_no_time_is_refused(since: str) -> None:
    with pytest.raises(DougongError, match="is no time") as error:
        Question(since=since).query()
    assert "10m" in error.value.remedy


def test_pages_are_of_one_moment_and_it_is_given_back() -> None:
    first, second = record("a", "2026-11-21T10:00:00Z"), record("b", "2026-11-21T10:00:01Z")
    server = Elasticsearch([first], [second], [])
    assert list(logs.records(server, {})) == [first, second]
    searches = server.searches()
    assert [body.get("search_after") for body in searches] == [None, first["sort"], second["sort"]]
    assert {body["pit"]["id"] for body in searches} == {"moment"}
    assert server.asked[0][1] == "dougong-*/_pit?keep_alive=5m"
    assert server.asked[-1] == ("DELETE", "_pit", {"id": "moment"})


def test_who_has_seen_enough_asks_nothing_more() -> None:
    server = Elasticsearch([record("a", "2026-11-21T10:00:00Z"), record("b", "2026-11-21T10:00:00Z")])
    found: Iterator[Any] = logs.records(server, {})
    next(found)
    asked = len(server.asked)
    found.close()  # type: ignore[attr-defined]  # it is a generator
    assert len(server.asked) == asked, "the connection may be closed by now"


def test_following_shows_each_record_once_also_one_that_comes_late() -> None:
    begin = datetime(2026, 11, 21, 10, tzinfo=UTC)

    def at(seconds: int) -> str:
        return (begin + timedelta(seconds=seconds)).isoformat()

    old, late, new = record("old", at(0)), record("late", at(30)), record("new", at(70))
    server = Elasticsearch([old], [], [old, new], [], [late, new], [])
    pauses: list[float] = []
    shown = [each["_id"] for each in islice(logs.following(server, Question(), pauses.append), 3)]
    assert shown == ["old", "new", "late"]
    assert len(pauses) == 2
    since = [body["query"]["bool"]["filter"][0]["range"]["@timestamp"]["gte"] for body in server.searches()]
    assert since[::2] == ["now-10m", at(-60), at(10)], "a minute before the last one"


def test_line_says_when_who_and_what() -> None:
    pod = {"host": {"name": "w-0"}, "application": "demo", "instance": "demo-1", "message": "GET /"}
    unit = {"host": {"name": "w-0"}, "application": "kubelet", "instance": "w-0", "message": "started"}
    assert logs.line({"@timestamp": "T", **pod}) == "T w-0 demo demo-1: GET /"
    assert logs.line({"@timestamp": "T", **unit}) == "T w-0 kubelet: started"


def test_what_a_record_lacks_is_left_open() -> None:
    assert logs.line({"@timestamp": "T"}) == "T - -: "


ECHO = "import sys\nfor line in sys.stdin: print(line, end='', flush=True)"


def test_first_host_that_answers_is_asked() -> None:
    broken = [sys.executable, "-c", "import sys; sys.exit('no route')"]
    with logs.first_that_answers([broken, [sys.executable, "-c", ECHO]]) as ask:
        assert ask("POST", "_search", {"size": 1}) == ["POST", "_search", {"size": 1}]


def test_when_none_answers_the_reason_is_said() -> None:
    with pytest.raises(DougongError, match="cannot be asked: no route"):
        logs.first_that_answers([[sys.executable, "-c", "import sys; sys.stdin.readline(); sys.exit('no route')"]])


# The command


def test_options_become_the_question(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(logs, "logs", lambda *words, **options: asked.append((*words, options)))
    words = ["--app", "demo", "--instance", "demo-1", "--host", "w-0", "--since", "1h", "--grep", "not found", "-f"]
    assert CliRunner().invoke(cli.app, ["logs", "-e", "mine", *words]).exit_code == 0
    [(name, question, options)] = asked
    assert (name, question) == ("mine", Question("demo", "demo-1", "w-0", "1h", "not found"))
    assert options == {"follow": True, "as_json": False}


def test_installation_without_logs_says_how_to_have_some(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inventory, "read_outputs", lambda *_: {"hosts": []})
    with pytest.raises(DougongError, match="'lab' keeps no logs") as error:
        logs.logs("lab", Question(), follow=False, as_json=False)
    assert "services.logging.enabled: true" in error.value.remedy


def test_records_are_printed_and_none_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    console.err.cache_clear()
    monkeypatch.setattr(logs, "_connected", lambda _: nullcontext(Elasticsearch([record("a", "T", message="m")], [])))
    logs.logs("lab", Question(), follow=False, as_json=True)
    assert capsys.readouterr().out == '{"@timestamp": "T", "message": "m"}\n'
    monkeypatch.setattr(logs, "_connected", lambda _: nullcontext(Elasticsearch([])))
    logs.logs("lab", Question(), follow=False, as_json=False)
    assert "no record since 10m" in capsys.readouterr().err


# What `dougong status` says

HOSTS = ["lab-services-0", "lab-services-1", "lab-services-2"]
KNOWN = Inventory(
    groups={"elasticsearch": HOSTS},
    hosts={host: {"ansible_host": f"192.0.2.{number}", "ansible_user": "debian"} for number, host in enumerate(HOSTS)},
    variables={"ansible_ssh_private_key_file": "key", "ansible_ssh_common_args": ""},
)


@pytest.fixture
def platform() -> Platform:
    lab = load(paths.platform_file("lab"))
    services = lab.services.model_copy(update={"logging": Logging(enabled=True)})
    return lab.model_copy(update={"services": services})


def answers(monkeypatch: pytest.MonkeyPatch, *said: tuple[int, str, str]) -> None:
    """Have ssh answer so, one host after another: exit code, output, error."""
    waiting = iter(said)

    def run(words: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(words, *next(waiting))

    monkeypatch.setattr(subprocess, "run", run)


def said(**other: Any) -> tuple[int, str, str]:
    """What a host of a cluster that is well answers, but for this."""
    ages = dict.fromkeys(HOSTS, 20)
    well = {"status": "green", "nodes": 3, "disk_percent": 41, "paused": False, "silent_seconds": ages}
    return 0, json.dumps(well | other), ""


def test_cluster_that_is_well_has_an_address_and_a_password(
    monkeypatch: pytest.MonkeyPatch, platform: Platform
) -> None:
    answers(monkeypatch, (255, "", "no route"), said())
    found = logs.check("lab", platform, KNOWN)
    assert found.ok, "one host that does not answer by SSH is another line's matter"
    assert "Elasticsearch is green, 3 of 3 hosts, disks at most 41 % full; https://192.0.2.1:9200/" in found.detail
    assert "dougong credentials -e lab elasticsearch/reader" in found.detail


def test_host_that_is_missing_in_the_cluster_is_said(monkeypatch: pytest.MonkeyPatch, platform: Platform) -> None:
    answers(monkeypatch, said(status="yellow", nodes=2))
    found = logs.check("lab", platform, KNOWN)
    assert not found.ok
    assert "yellow, 2 of 3 hosts" in found.detail
    assert found.remedy.endswith("systemctl status elasticsearch")


def test_upgrade_that_was_broken_off_is_said(monkeypatch: pytest.MonkeyPatch, platform: Platform) -> None:
    answers(monkeypatch, said(paused=True))
    found = logs.check("lab", platform, KNOWN)
    assert not found.ok
    assert "copies wait since an upgrade" in found.detail
    assert found.remedy == "dougong ssh -e lab lab-services-0 -- sudo dougong-elasticsearch resume"


def test_hosts_that_send_nothing_are_named(monkeypatch: pytest.MonkeyPatch, platform: Platform) -> None:
    answers(monkeypatch, *[said(silent_seconds={HOSTS[0]: 20, HOSTS[1]: 901})] * 7)
    pauses: list[float] = []
    found = logs.check("lab", platform, KNOWN, pauses.append)
    assert not found.ok
    assert found.detail.endswith("nothing for 15 min from lab-services-1, lab-services-2")
    assert found.remedy == "dougong ssh -e lab lab-services-1 -- systemctl status filebeat"
    assert sum(pauses) == 30


def test_host_that_had_nothing_to_say_is_heard_by_the_login_of_this_check(
    monkeypatch: pytest.MonkeyPatch, platform: Platform
) -> None:
    answers(monkeypatch, said(silent_seconds=dict.fromkeys(HOSTS[:2], 20)), said())
    assert logs.check("lab", platform, KNOWN, lambda _: None).ok


def test_what_is_wrong_is_said_with_the_remedy(monkeypatch: pytest.MonkeyPatch, platform: Platform) -> None:
    answers(monkeypatch, *[(1, "", "x\nElasticsearch does not answer")] * 3)
    found = logs.check("lab", platform, KNOWN)
    assert not found.ok
    assert found.detail == "lab-services-2: Elasticsearch does not answer"
    assert found.remedy == "dougong ssh -e lab lab-services-0 -- journalctl -u elasticsearch -n 50"


def test_before_the_first_up_there_is_no_host(platform: Platform) -> None:
    found = logs.check("lab", platform, Inventory(groups={"elasticsearch": []}))
    assert (found.ok, found.remedy) == (False, "dougong up")
