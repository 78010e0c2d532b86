#!/usr/bin/python3
"""What is done with Elasticsearch beside running it: templates, retention, snapshots, and questions of people.

It speaks to the server on its own host, by TLS and as the user in /etc/dougong/elasticsearch.json. Everything it does
may be done again.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import ssl
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

CONFIGURATION = Path("/etc/dougong/elasticsearch.json")
# All indices of ours: dougong-KIND-DAY.
PREFIX = "dougong-"
REPOSITORY = "dougong"
# Touched after each whole snapshot; its age is watched.
ARRIVED = Path("/var/lib/dougong/backup/elasticsearch.json")
# Which shards are given to a host that lacks them.
ALLOCATION = "cluster.routing.allocation.enable"
# Where a template says what it was made of: Elasticsearch writes its own form of everything else.
MARK = "dougong_digest"
# As in the templates, for indices that were made before or elsewhere: one copy as soon as there is a second host.
COPIES = {"index.auto_expand_replicas": "0-1"}
# What Elasticsearch says when somebody has made an index anew that is about to be restored.
TAKEN = "because an open index with same name already exists"
RESTORE_ATTEMPTS = 5
# How far back the newest record of a host is looked for.
ARRIVALS = timedelta(hours=1)
# Snapshots of a full disk take hours.
PATIENCE_SECONDS = 6 * 3600


class ElasticsearchError(Exception):
    """Something that a person has to look at."""


class Client:
    """Elasticsearch's API.

    Args:
        configuration: of this program.
    """

    def __init__(self, configuration: dict[str, Any]) -> None:
        self.url = configuration["url"]
        login = f"{configuration['user']}:{configuration['password']}".encode()
        self.headers = {
            "Authorization": f"Basic {base64.b64encode(login).decode()}",
            "Content-Type": "application/json",
        }
        # `localhost` is one of the names in the certificate.
        handler = urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=configuration["authority"]))
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), handler)

    def __call__(
        self, method: str, path: str, body: Any = None, *, missing: Any = None, timeout: float = 60, **query: str
    ) -> Any:
        """One request.

        Args:
            method: of HTTP.
            path: without the leading slash.
            body: sent as JSON.
            missing: what is returned when there is no such thing (404); without it that is an error.
            timeout: seconds.
            query: parameters.

        Raises:
            ElasticsearchError: Elasticsearch does not answer, or refuses.
        """
        address = f"{self.url}/{path}" + (f"?{urllib.parse.urlencode(query)}" if query else "")
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(address, data, self.headers, method=method)  # noqa: S310  the address is ours
        try:
            with self.opener.open(request, timeout=timeout) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            if error.code == 404 and missing is not None:
                return missing
            raise ElasticsearchError(
                f"{method} /{path}: {error.code} {error.read().decode(errors='replace')[:2000]}"
            ) from error
        except (OSError, ValueError) as error:
            raise ElasticsearchError(f"Elasticsearch does not answer at {self.url}: {error}") from error


def health(client: Client, wait: float, *, green: bool = False) -> dict[str, Any]:
    """The cluster's state, once no primary shard is missing.

    Args:
        client: for the API.
        wait: how many seconds it may take until then.
        green: no copy may be missing, either.

    Raises:
        ElasticsearchError: it took longer, or indices refuse writes.
    """
    deadline = time.monotonic() + wait
    while True:
        try:
            state = client("GET", "_cluster/health", timeout=10)
            if state["status"] == "green" or (state["status"] == "yellow" and not green):
                break
            trouble = f"{state['unassigned_shards']} shards are missing: {_why_missing(client)}"
        except ElasticsearchError as failure:
            trouble = str(failure)
        if time.monotonic() >= deadline:
            raise ElasticsearchError(trouble)
        time.sleep(1)
    blocked = client("GET", f"_cluster/state/blocks/{PREFIX}*", ignore_unavailable="true")["blocks"].get("indices", {})
    if blocked:
        raise ElasticsearchError(
            f"{len(blocked)} indices refuse writes, as the disk is full: shippers keep what comes. Make the volume "
            "larger or the retention shorter; Elasticsearch lifts the block by itself"
        )
    disks = client("GET", "_cat/allocation", format="json", h="node,disk.percent")
    return {
        "status": state["status"],
        "nodes": state["number_of_nodes"],
        "disk_percent": max((int(disk["disk.percent"]) for disk in disks if disk["disk.percent"]), default=0),
    }


def _why_missing(client: Client) -> str:
    if is_paused(client):
        return "copies wait since an upgrade that was broken off: start it again, or dougong-elasticsearch resume"
    return "GET _cluster/allocation/explain says why"


def pause(client: Client) -> None:
    """Have no copies made elsewhere while a host restarts; what is in memory is written, so that it comes back soon."""
    client("PUT", "_cluster/settings", {"persistent": {ALLOCATION: "primaries"}})
    client("POST", f"{PREFIX}*/_flush", timeout=PATIENCE_SECONDS, allow_no_indices="true")


def is_paused(client: Client) -> bool:
    return ALLOCATION in client("GET", "_cluster/settings", flat_settings="true")["persistent"]


def resume(client: Client) -> bool:
    """Have copies made again; returns whether they waited."""
    if not is_paused(client):
        return False
    client("PUT", "_cluster/settings", {"persistent": {ALLOCATION: None}})
    return True


def status(client: Client) -> dict[str, Any]:
    """What a person wants to know of the whole: health, whether copies wait, and seconds since each host's last record.

    Args:
        client: for the API.

    Raises:
        ElasticsearchError: as health.
    """
    found = health(client, 0)
    begin = datetime.now(UTC) - ARRIVALS
    question = {
        "size": 0,
        "query": {"range": {"@timestamp": {"gte": begin.isoformat()}}},
        "aggs": {
            "hosts": {
                "terms": {"field": "host.name", "size": 10_000},
                "aggs": {"newest": {"max": {"field": "@timestamp"}}},
            }
        },
    }
    # Before the first record there is no index, and nothing to aggregate.
    hosts = client("POST", f"{PREFIX}*/_search", question).get("aggregations", {"hosts": {"buckets": []}})["hosts"]
    now = datetime.now(UTC).timestamp()
    ages = {each["key"]: max(0, round(now - each["newest"]["value"] / 1000)) for each in hosts["buckets"]}
    return {**found, "paused": is_paused(client), "silent_seconds": ages}


def digest(wanted: Any) -> str:
    return hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()


def apply(client: Client, configuration: dict[str, Any], *, check: bool) -> list[str]:
    """Make templates, settings and snapshot repository what the configuration says.

    Args:
        client: for the API.
        configuration: of this program.
        check: change nothing.

    Returns:
        What was or would be changed.
    """
    changed = []
    present = client("GET", f"_index_template/{PREFIX}*", missing={"index_templates": []})["index_templates"]
    marks = {each["name"]: each["index_template"].get("_meta", {}).get(MARK) for each in present}
    for name, wanted in configuration["templates"].items():
        if marks.get(name) != digest(wanted):
            changed.append(f"template {name}")
            if not check:
                client("PUT", f"_index_template/{name}", {**wanted, "_meta": {MARK: digest(wanted)}})
    indices = client("GET", f"{PREFIX}*/_settings", flat_settings="true")
    if any(each["settings"].get(key) != value for each in indices.values() for key, value in COPIES.items()):
        changed.append("copies of indices")
        if not check:
            client("PUT", f"{PREFIX}*/_settings", COPIES)
    present = client("GET", "_cluster/settings", flat_settings="true")["persistent"]
    settings = {key: str(value) for key, value in configuration["settings"].items()}
    if any(present.get(key) != value for key, value in settings.items()):
        changed.append("settings of the cluster")
        if not check:
            client("PUT", "_cluster/settings", {"persistent": settings})
    wanted = configuration["repository"]
    known = client("GET", f"_snapshot/{REPOSITORY}", missing={}).get(REPOSITORY, {})
    differs = known.get("type") != wanted["type"] or any(
        known["settings"].get(key) != _as_setting(value) for key, value in wanted["settings"].items()
    )
    if differs:
        changed.append(f"snapshot repository {REPOSITORY}")
        if not check:
            client("PUT", f"_snapshot/{REPOSITORY}", wanted)
    return changed


def _as_setting(value: Any) -> str:
    """As Elasticsearch gives settings back."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def expired(indices: Iterable[str], retention: dict[str, int], today: date) -> list[str]:
    """The indices that are older than what is kept of their kind.

    Args:
        indices: names.
        retention: kind → days.
        today: in UTC, as the days in the names.

    Returns:
        Names. An index of a kind that nothing is said of stays.
    """
    gone = []
    for name in sorted(indices):
        kind, _, day = name.removeprefix(PREFIX).rpartition("-")
        try:
            age = today - datetime.strptime(day, "%Y.%m.%d").date()
        except ValueError:
            continue
        if kind in retention and age > timedelta(days=retention[kind]):
            gone.append(name)
    return gone


def retain(client: Client, configuration: dict[str, Any]) -> list[str]:
    """Delete indices that are older than what is kept of their kind; returns their names."""
    gone = expired(_present(client), configuration["retention"], datetime.now(UTC).date())
    for name in gone:
        client("DELETE", name)
    return gone


def snapshots(client: Client) -> list[dict[str, Any]]:
    """The snapshots, oldest first."""
    found = client("GET", f"_snapshot/{REPOSITORY}/{PREFIX}*", missing={"snapshots": []})["snapshots"]
    return [
        {
            "id": each["snapshot"],
            "state": each["state"],
            "at": each["start_time"],
            "indices": sorted(each["indices"]),
            "failures": each["failures"],
        }
        for each in sorted(found, key=lambda each: each["start_time_in_millis"])
    ]


def snapshot(client: Client, keep: int) -> dict[str, Any]:
    """Make a snapshot, and delete the oldest ones beyond those that are kept, as well as broken ones before the last.

    Args:
        client: for the API.
        keep: how many whole ones stay.

    Raises:
        ElasticsearchError: a shard of it could not be written. Nothing is deleted then.
    """
    name = f"{PREFIX}{datetime.now(UTC):%Y%m%dt%H%M%S}"
    wanted = {"indices": f"{PREFIX}*", "include_global_state": False}
    client("PUT", f"_snapshot/{REPOSITORY}/{name}", wanted, timeout=PATIENCE_SECONDS, wait_for_completion="true")
    known = snapshots(client)
    made = next(each for each in known if each["id"] == name)
    if made["state"] != "SUCCESS":
        raise ElasticsearchError(f"the snapshot {name} is {made['state']}: {made['failures'][:5]}")
    ARRIVED.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
    ARRIVED.touch()
    whole = [each for each in known if each["state"] == "SUCCESS"]
    # One that was begun elsewhere goes on; what has failed, or in part, has nothing that the new one has not.
    broken = [each for each in known[: known.index(made)] if each["state"] in ("PARTIAL", "FAILED")]
    for old in [*whole[:-keep], *broken]:
        client("DELETE", f"_snapshot/{REPOSITORY}/{old['id']}", timeout=PATIENCE_SECONDS)
    return made


def restore(client: Client, wanted: str, *, replace: bool) -> list[str]:
    """Bring indices of a snapshot back.

    Args:
        client: for the API.
        wanted: id of a snapshot, or `latest`.
        replace: also those that are there: what they hold and the snapshot does not is lost.

    Returns:
        The indices that were restored.

    Raises:
        ElasticsearchError: there is no such snapshot, it is not whole, or a shard could not be restored.
    """
    known = snapshots(client)
    chosen = [each for each in known if wanted in ("latest", each["id"]) and each["state"] == "SUCCESS"]
    if not chosen:
        whole = ", ".join(each["id"] for each in known if each["state"] == "SUCCESS")
        raise ElasticsearchError(f"there is no whole snapshot {wanted}; there are: {whole or 'none'}")
    present = _present(client)
    indices = [index for index in chosen[-1]["indices"] if replace or index not in present]
    if not indices:
        return []
    shards = _restored(client, chosen[-1]["id"], indices, replace=replace)
    if shards["failed"]:
        raise ElasticsearchError(
            f"{shards['failed']} of {shards['total']} shards of {chosen[-1]['id']} were not restored"
        )
    return indices


def _restored(client: Client, snapshot_id: str, indices: list[str], *, replace: bool) -> dict[str, int]:
    """Restore indices, which are deleted first if they are to be replaced; says how many shards are there or failed.

    Elasticsearch refuses all of them while one is there. A request that was under way when the shippers were shut out
    may make one anew: what is replaced is deleted again then.
    """
    wanted = {
        "indices": ",".join(indices),
        "include_global_state": False,
        # The snapshot may be of more hosts, or of fewer.
        "index_settings": COPIES,
    }
    for attempt in range(RESTORE_ATTEMPTS):
        if replace:
            for index in sorted(_present(client).intersection(indices)):
                client("DELETE", index)
        try:
            answer = client(
                "POST",
                f"_snapshot/{REPOSITORY}/{snapshot_id}/_restore",
                wanted,
                timeout=PATIENCE_SECONDS,
                wait_for_completion="true",
            )
        except ElasticsearchError as failure:
            if not replace or TAKEN not in str(failure) or attempt == RESTORE_ATTEMPTS - 1:
                raise
        else:
            break
    shards: dict[str, int] = answer["snapshot"]["shards"]
    return shards


def _present(client: Client) -> set[str]:
    return {each["index"] for each in client("GET", f"_cat/indices/{PREFIX}*", format="json", h="index")}


def answer(client: Client) -> None:
    """Pass questions on: for each line of input, `[method, path, body]`, one line with Elasticsearch's answer."""
    for line in sys.stdin:
        method, path, body = json.loads(line)
        print(json.dumps(client(method, path, body)), flush=True)


def master(client: Client) -> str:
    """The node that the cluster has elected: of several hosts with a timer that one acts."""
    return str(client("GET", "_cat/master", format="json", h="node")[0]["node"])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for name, text in {
        "health": "say how the cluster is; exit code 1 if it is not well",
        "status": "say how the cluster is, whether copies wait, and how long each host has sent nothing",
        "pause": "have no copies made elsewhere while a host restarts",
        "resume": "have copies made again; prints if they waited",
        "apply": "make templates, settings and snapshot repository what the configuration says; prints what changed",
        "daily": "delete what is too old, and make a snapshot; on the elected master only",
        "snapshot": "make a snapshot",
        "list": "list the snapshots",
        "restore": "bring indices of a snapshot back",
        "query": "answer questions on standard input",
    }.items():
        verb = verbs.add_parser(name, help=text, description=text)
        if name == "health":
            verb.add_argument("--wait", type=float, default=0, metavar="SECONDS", help="how long it may take")
            verb.add_argument("--green", action="store_true", help="no copy may be missing")
        if name == "apply":
            verb.add_argument("--check", action="store_true", help="change nothing")
        if name == "restore":
            verb.add_argument("id", nargs="?", default="latest")
            verb.add_argument("--replace", action="store_true", help="also indices that are there")
    return parser.parse_args()


def daily(client: Client, configuration: dict[str, Any]) -> list[str]:
    """What the timer does, if this host is the elected master; returns what a person may want to read of it."""
    if (elected := master(client)) != configuration["node"]:
        return [f"nothing to do here: {elected} is the elected master, and does it"]
    deleted = ", ".join(retain(client, configuration)) or "nothing"
    return [f"deleted: {deleted}", f"made: {snapshot(client, configuration['keep'])['id']}"]


def _work(client: Client, configuration: dict[str, Any], arguments: argparse.Namespace) -> list[str]:
    """Do what is wanted; returns what is printed."""
    said: list[str] = []
    match arguments.verb:
        case "health":
            said = [json.dumps(health(client, arguments.wait, green=arguments.green))]
        case "status":
            said = [json.dumps(status(client))]
        case "pause":
            pause(client)
        case "resume":
            said = ["copies are made again"] if resume(client) else []
        case "apply":
            said = apply(client, configuration, check=arguments.check)
        case "daily":
            said = daily(client, configuration)
        case "snapshot":
            said = [json.dumps(snapshot(client, configuration["keep"]))]
        case "list":
            said = [json.dumps(snapshots(client), indent=1)]
        case "restore":
            said = restore(client, arguments.id, replace=arguments.replace)
        case "query":
            answer(client)
    return said


def main() -> int:
    arguments = _arguments()
    configuration: dict[str, Any] = json.loads(CONFIGURATION.read_text())
    try:
        for line in _work(Client(configuration), configuration, arguments):
            print(line)
    except ElasticsearchError as failure:
        print(failure, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
