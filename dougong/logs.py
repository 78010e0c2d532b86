"""Logs of hosts and containers, out of Elasticsearch.

The question goes by SSH to a host of Elasticsearch, which asks as its own operator: no port has to be open, and nobody
needs a password.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from dougong import environment, hands, inventory
from dougong.check import Check
from dougong.console import err
from dougong.errors import DougongError
from dougong.inventory import Inventory
from dougong.platform import Platform

INDICES = "dougong-*"
REMOTE = ["sudo", "dougong-elasticsearch", "query"]
_SSH_OPTIONS = ["-o", "BatchMode=yes", "-o", "ConnectTimeout=8"]
# Elasticsearch's own units of time (date math), those that a person would type here.
_AGO = re.compile(r"[1-9][0-9]*[smhdw]")
# Records in one answer; 10,000 is the most that Elasticsearch gives at once.
_PAGE = 5000
_PAUSE_SECONDS = 1.0
# How late a record may come and is still seen by --follow: reading, the spool and the refresh take a few seconds.
_LATE = timedelta(seconds=60)
# A host that has sent nothing for so long is named. Every login leaves lines in the journal, and `dougong status` has
# just logged in at each host: also one that has nothing else to say need not be silent for longer than they take.
_SILENT_SECONDS = 15 * 60
_ARRIVAL_SECONDS = 30

Ask = Callable[..., Any]


@dataclass(frozen=True)
class Question:
    """What is wanted; empty text is no condition, and `*` in a name stands for anything.

    Attributes:
        app, instance, host: names, as records carry them.
        since: how long ago (10m, 2h, 3d), or a time as ISO 8601.
        grep: words of the message in this order; the last one may be the begin of a word.
    """

    app: str = ""
    instance: str = ""
    host: str = ""
    since: str = "10m"
    grep: str = ""

    def query(self, since: str = "") -> dict[str, Any]:
        """It in Elasticsearch's language.

        Args:
            since: another time than its own.

        Raises:
            DougongError: `since` is neither a span nor a time.
        """
        conditions: list[dict[str, Any]] = [{"range": {"@timestamp": {"gte": since or _moment(self.since)}}}]
        for field, value in (("application", self.app), ("instance", self.instance), ("host.name", self.host)):
            if value:
                conditions.append({"wildcard" if "*" in value else "term": {field: {"value": value}}})
        if self.grep:
            # Of the words that begin with the last one so many are looked for.
            conditions.append({"match_phrase_prefix": {"message": {"query": self.grep, "max_expansions": 1000}}})
        return {"bool": {"filter": conditions}}


def _moment(since: str) -> str:
    if _AGO.fullmatch(since):
        return f"now-{since}"
    try:
        moment = datetime.fromisoformat(since)
    except ValueError:
        raise DougongError(
            f"--since {since!r} is no time", "use a span such as 30s, 10m, 2h, 3d; or a time such as 2026-11-21T10:00"
        ) from None
    # Python reads forms that Elasticsearch does not, weeks for one. Without a zone it is UTC, as records' times are.
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()


def logs(name: str, question: Question, *, follow: bool, as_json: bool) -> None:
    """Print the records that answer a question, oldest first.

    Args:
        name: the environment.
        question: what is wanted.
        follow: go on with what comes, until interrupted.
        as_json: the records themselves, one in a line.

    Raises:
        DougongError: logging is not installed, or Elasticsearch cannot be asked.
    """
    show = json.dumps if as_json else line
    with _connected(name) as ask:
        found = False
        for record in following(ask, question) if follow else records(ask, question.query()):
            print(show(record["_source"]), flush=follow)
            found = True
    if not found:
        err().print(f"no record since {question.since}; `dougong status` says whether logs arrive")


def records(ask: Ask, query: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All records that a query finds, by time, as they are at this moment.

    Args:
        ask: takes method, path and body, returns Elasticsearch's answer.
        query: in Elasticsearch's language.
    """
    moment = ask("POST", f"{INDICES}/_pit?keep_alive=5m")["id"]
    body = {
        "size": _PAGE,
        "query": query,
        "pit": {"id": moment, "keep_alive": "5m"},
        # Lines of one file in the same millisecond stay in their order.
        "sort": [{"@timestamp": "asc"}, {"log.offset": {"order": "asc", "missing": 0}}],
        "track_total_hits": False,
    }
    while hits := ask("POST", "_search", body)["hits"]["hits"]:
        yield from hits
        body["search_after"] = hits[-1]["sort"]
    # Who breaks off has often closed the connection by now; Elasticsearch forgets the moment after 5 minutes then.
    ask("DELETE", "_pit", {"id": moment})


def following(ask: Ask, question: Question, pause: Callable[[float], None] = time.sleep) -> Iterator[dict[str, Any]]:
    """The records of a question, and then those that come, without end.

    Args:
        ask: see records.
        question: what is wanted.
        pause: waits so many seconds.
    """
    seen: dict[str, datetime] = {}
    since = ""
    while True:
        for record in records(ask, question.query(since)):
            if record["_id"] not in seen:
                seen[record["_id"]] = _time(record["_source"])
                yield record
        # Records come in another order than they were written in: a little of the past is looked at again each time.
        again = max(seen.values(), default=datetime.now(UTC)) - _LATE
        seen = {key: at for key, at in seen.items() if at >= again}
        since = again.isoformat()
        pause(_PAUSE_SECONDS)


def _time(source: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(source["@timestamp"])


def line(source: dict[str, Any]) -> str:
    """A record as a line: time, host, application, its instance where that is not the host itself, message."""
    host = source.get("host", {}).get("name", "-")
    instance = source.get("instance", host)
    who = [host, source.get("application", "-"), *([instance] if instance != host else [])]
    return f"{source['@timestamp']} {' '.join(who)}: {source.get('message', '')}"


def check(name: str, platform: Platform, known: Inventory, pause: Callable[[float], None] = time.sleep) -> Check:
    """Ask the first host of Elasticsearch that answers how the cluster is, and which hosts have sent nothing of late.

    Args:
        name: the environment.
        platform: what is wanted.
        known: its inventory.
        pause: waits so many seconds.
    """
    hosts = known.groups["elasticsearch"]
    said = "it has no host yet"
    for host in hosts:
        asked = _status(known, host)
        if not asked.returncode:
            state = _heard(known, host, json.loads(asked.stdout), pause)
            return _judged(name, platform, known, host, state)
        said = f"{host}: {(asked.stderr.strip().splitlines() or ['no reason given'])[-1]}"
    remedy = f"dougong ssh -e {name} {hosts[0]} -- journalctl -u elasticsearch -n 50" if hosts else "dougong up"
    return Check("logging", False, said, remedy)


def _status(known: Inventory, host: str) -> subprocess.CompletedProcess[str]:
    words = hands.ssh_words(known, host, _SSH_OPTIONS, ["sudo", "dougong-elasticsearch", "status"])
    return subprocess.run(words, capture_output=True, text=True, check=False)


def _heard(known: Inventory, host: str, state: dict[str, Any], pause: Callable[[float], None]) -> dict[str, Any]:
    """What a host of Elasticsearch says once it has heard of every host, or has waited for it."""
    for _ in range(_ARRIVAL_SECONDS // 5):
        if not _silent(known, state):
            break
        pause(5)
        asked = _status(known, host)
        if not asked.returncode:
            state = json.loads(asked.stdout)
    return state


def _judged(name: str, platform: Platform, known: Inventory, host: str, state: dict[str, Any]) -> Check:
    """What the answer of a host of Elasticsearch means."""
    members = known.groups["elasticsearch"]
    if state["nodes"] != len(members):
        remedy = f"dougong ssh -e {name} {host} -- systemctl status elasticsearch"
        return Check("logging", False, _summary(state, len(members)), remedy)
    if state["paused"]:
        said = "copies wait since an upgrade that was broken off"
        remedy = f"dougong ssh -e {name} {host} -- sudo dougong-elasticsearch resume"
        return Check("logging", False, f"{_summary(state, len(members))}; {said}", remedy)
    if silent := _silent(known, state):
        said = f"nothing for {_SILENT_SECONDS // 60} min from {', '.join(silent)}"
        remedy = f"dougong ssh -e {name} {silent[0]} -- systemctl status filebeat"
        return Check("logging", False, f"{_summary(state, len(members))}; {said}", remedy)
    address = known.hosts[host]["ansible_host"]
    return Check(
        "logging",
        True,
        f"{_summary(state, len(members))}; https://{address}:{_port(platform)}/, user reader: "
        f"dougong credentials -e {name} elasticsearch/reader",
    )


def _summary(state: dict[str, Any], members: int) -> str:
    return (
        f"Elasticsearch is {state['status']}, {state['nodes']} of {members} hosts, disks at most "
        f"{state['disk_percent']} % full"
    )


def _silent(known: Inventory, state: dict[str, Any]) -> list[str]:
    """Hosts whose last record is old, or is not there: every host of the inventory has a shipper."""
    ages = state["silent_seconds"]
    return [host for host in known.hosts if ages.get(host, _SILENT_SECONDS + 1) > _SILENT_SECONDS]


def _port(platform: Platform) -> int:
    """Where people go: to Kibana's pages, or to the API."""
    return 5601 if platform.services.logging.kibana else 9200


class _Connection:
    """A program on a host of Elasticsearch that passes questions on."""

    def __init__(self, words: list[str]) -> None:
        self.process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def __call__(self, method: str, path: str, body: Any = None) -> Any:
        if self.process.stdin is None or self.process.stdout is None or self.process.stderr is None:
            raise AssertionError("they were asked for")
        try:
            print(json.dumps([method, path, body]), file=self.process.stdin, flush=True)
            answer = self.process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            said = self.process.stderr.read().strip() or "the connection has ended"
            raise DougongError(f"Elasticsearch cannot be asked: {said}", "dougong status says what is wrong")
        return json.loads(answer)

    def __enter__(self) -> _Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


def _connected(name: str) -> _Connection:
    """A connection to the first host of Elasticsearch that answers."""
    platform = environment.platform(name)
    known = inventory.build(platform, name, inventory.read_outputs(name, platform))
    if not known.groups["elasticsearch"]:
        raise DougongError(
            f"{name!r} keeps no logs", "set services.logging.enabled: true in platform.yml, and run dougong up"
        )
    return first_that_answers(
        hands.ssh_words(known, host, _SSH_OPTIONS, REMOTE) for host in known.groups["elasticsearch"]
    )


def first_that_answers(commands: Iterable[list[str]]) -> _Connection:
    """A connection by the first command behind which there is Elasticsearch.

    Raises:
        DougongError: there is none; what the last one said.
    """
    trouble = DougongError("there is no command to try")
    for words in commands:
        connection = _Connection(words)
        try:
            connection("GET", "")
        except DougongError as error:
            connection.__exit__()
            trouble = error
        else:
            return connection
    raise trouble
