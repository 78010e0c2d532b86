"""The program on hosts of Elasticsearch, against a server that keeps everything in dictionaries."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from dougong.paths import ROOT

TEMPLATES = {"dougong-logs": {"index_patterns": ["dougong-*"], "template": {"settings": {"number_of_shards": 1}}}}
CONFIGURATION: dict[str, Any] = {
    "templates": TEMPLATES,
    "settings": {"cluster.max_shards_per_node": 1124},
    "repository": {"type": "fs", "settings": {"location": "/backup", "compress": True}},
    "retention": {"journal": 14, "audit": 90},
}


def _load(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


program = _load(ROOT / "roles" / "elasticsearch" / "files" / "dougong_elasticsearch.py")


class Server:
    """As much of Elasticsearch's API as the program uses, called as its client is."""

    def __init__(self) -> None:
        self.templates: dict[str, Any] = {}
        self.repository: dict[str, Any] = {}
        self.indices: set[str] = set()
        self.snapshots: dict[str, dict[str, Any]] = {}
        self.state = "SUCCESS"
        self.failed = 0
        self.blocks: dict[str, Any] = {}
        self.settings: dict[str, Any] = {}
        self.flushed = False
        # Index → its copies, as far as they were set.
        self.copies: dict[str, Any] = {}
        # Indices that a shipper makes anew as soon as they are deleted, each once.
        self.racing: list[str] = []
        self.records: dict[str, float] = {}

    def __call__(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        if path.endswith("/_flush"):
            self.flushed = True
            return {}
        if path.endswith("*/_settings"):
            if method == "PUT":
                self.copies = dict.fromkeys(self.indices, body)
            return {index: {"settings": self.copies.get(index, {})} for index in self.indices}
        if path.endswith("*/_search"):
            buckets = [{"key": host, "newest": {"value": at}} for host, at in self.records.items()]
            return {"aggregations": {"hosts": {"buckets": buckets}}} if self.records else {}
        kind, _, name = path.partition("/")
        return getattr(self, f"{method.lower()}_{kind.strip('_')}")(name, body)

    def get_index_template(self, name: str, body: Any) -> Any:
        return {"index_templates": [{"name": n, "index_template": t} for n, t in self.templates.items()]}

    def put_index_template(self, name: str, body: Any) -> None:
        # Elasticsearch gives numbers back as text, and leaves what is called _meta as it is.
        self.templates[name] = {"_meta": body["_meta"], "template": {"settings": {"number_of_shards": "1"}}}

    def get_snapshot(self, name: str, body: Any) -> Any:
        if "/" not in name:
            return {name: self.repository} if self.repository else {}
        return {"snapshots": list(self.snapshots.values())}

    def put_snapshot(self, name: str, body: Any) -> None:
        _, _, snapshot = name.partition("/")
        if not snapshot:
            texts = {key: str(value).lower() for key, value in body["settings"].items()}
            self.repository = {"type": body["type"], "settings": texts}
            return
        self.snapshots[snapshot] = {
            "snapshot": snapshot,
            "state": self.state,
            "start_time": snapshot,
            "start_time_in_millis": len(self.snapshots),
            "indices": sorted(self.indices),
            "failures": [] if self.state == "SUCCESS" else ["shard 0"],
        }

    def post_snapshot(self, name: str, body: Any) -> Any:
        wanted = body["indices"].split(",")
        if self.racing:
            self.indices.add(self.racing.pop())
        if self.indices.intersection(wanted):
            raise program.ElasticsearchError(
                "500 cannot restore index because an open index with same name already exists"
            )
        self.indices.update(wanted)
        self.copies |= dict.fromkeys(wanted, body["index_settings"])
        return {"snapshot": {"shards": {"failed": self.failed, "total": 2}}}

    def delete_snapshot(self, name: str, body: Any) -> None:
        del self.snapshots[name.partition("/")[2]]

    def get_cat(self, name: str, body: Any) -> Any:
        if name == "allocation":
            return [{"node": "a", "disk.percent": "41"}, {"node": "UNASSIGNED", "disk.percent": None}]
        return [{"index": index} for index in self.indices]

    def get_cluster(self, name: str, body: Any) -> Any:
        if name == "health":
            return {"status": "yellow", "number_of_nodes": 3, "unassigned_shards": 1}
        if name == "settings":
            return {"persistent": {key: str(value) for key, value in self.settings.items() if value is not None}}
        return {"blocks": self.blocks}

    def put_cluster(self, name: str, body: Any) -> None:
        self.settings.update(body["persistent"])

    def __getattr__(self, name: str) -> Any:
        def delete(_: str, body: Any) -> None:
            self.indices.remove(name.removeprefix("delete_"))

        if name.startswith("delete_"):
            return delete
        raise AttributeError(name)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setattr(program, "ARRIVED", tmp_path / "backup" / "elasticsearch.json")
    return Server()


EVERYTHING = ["template dougong-logs", "settings of the cluster", "snapshot repository dougong"]


def test_second_apply_finds_nothing_to_do(server: Server) -> None:
    assert program.apply(server, CONFIGURATION, check=True) == EVERYTHING
    assert not server.templates, "a check changes nothing"
    assert program.apply(server, CONFIGURATION, check=False) == EVERYTHING
    assert program.apply(server, CONFIGURATION, check=False) == []


def test_what_has_changed_is_applied_and_nothing_else(server: Server) -> None:
    program.apply(server, CONFIGURATION, check=False)
    other = {"dougong-logs": {**TEMPLATES["dougong-logs"], "priority": 1}}
    assert program.apply(server, {**CONFIGURATION, "templates": other}, check=False) == ["template dougong-logs"]
    moved = {"type": "fs", "settings": {"location": "/elsewhere", "compress": True}}
    changed = {**CONFIGURATION, "templates": other, "repository": moved}
    assert program.apply(server, changed, check=False) == ["snapshot repository dougong"]


def test_indices_of_a_single_host_get_their_copies_when_there_are_more(server: Server) -> None:
    program.apply(server, CONFIGURATION, check=False)
    server.indices = {"dougong-journal-2026.11.20"}
    assert program.apply(server, CONFIGURATION, check=True) == ["copies of indices"]
    assert program.apply(server, CONFIGURATION, check=False) == ["copies of indices"]
    assert server.copies == {"dougong-journal-2026.11.20": {"index.auto_expand_replicas": "0-1"}}
    assert program.apply(server, CONFIGURATION, check=False) == []


def test_new_indices_have_as_many_copies_as_old_ones() -> None:
    variables = yaml.safe_load((ROOT / "roles" / "elasticsearch" / "vars" / "main.yml").read_text())
    settings = variables["_elasticsearch_template"]["template"]["settings"]["index"]
    assert {"index.auto_expand_replicas": settings["auto_expand_replicas"]} == program.COPIES


def test_each_kind_is_kept_for_its_own_time() -> None:
    indices = [
        "dougong-journal-2026.11.07",
        "dougong-journal-2026.11.06",
        "dougong-audit-2026.11.06",
        "dougong-audit-2026.08.22",
        "dougong-other-2020.01.01",
        "dougong-journal",
        "dougong-journal-today",
    ]
    gone = program.expired(indices, CONFIGURATION["retention"], date(2026, 11, 21))
    assert gone == ["dougong-audit-2026.08.22", "dougong-journal-2026.11.06"]


def test_old_indices_are_deleted(server: Server) -> None:
    server.indices = {"dougong-journal-2020.01.01", "dougong-unknown-2020.01.01"}
    assert program.retain(server, CONFIGURATION) == ["dougong-journal-2020.01.01"]
    assert server.indices == {"dougong-unknown-2020.01.01"}


def snapshot(server: Server, monkeypatch: pytest.MonkeyPatch, second: int, keep: int = 2) -> str:
    class Clock:
        @staticmethod
        def now(zone: Any) -> Any:
            return datetime(2026, 11, 21, 10, 0, second, tzinfo=UTC)

    monkeypatch.setattr(program, "datetime", Clock)
    return str(program.snapshot(server, keep)["id"])


def test_oldest_snapshots_go(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [snapshot(server, monkeypatch, second) for second in range(3)]
    assert names[0] == "dougong-20261121t100000"
    assert list(server.snapshots) == names[1:]


def test_snapshot_that_is_not_whole_is_an_error_and_deletes_none(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = [snapshot(server, monkeypatch, second) for second in range(2)]
    arrived = program.ARRIVED.stat().st_mtime
    server.state = "PARTIAL"
    with pytest.raises(program.ElasticsearchError, match=r"is PARTIAL: \['shard 0'\]"):
        snapshot(server, monkeypatch, 5)
    assert set(whole) < set(server.snapshots)
    assert program.ARRIVED.stat().st_mtime == arrived, "what is watched has not become younger"
    server.indices.clear()
    with pytest.raises(program.ElasticsearchError, match="no whole snapshot dougong-20261121t100005"):
        program.restore(server, "dougong-20261121t100005", replace=False)


def test_restore_brings_back_what_is_missing(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.indices = {"dougong-journal-2026.11.20", "dougong-journal-2026.11.21"}
    snapshot(server, monkeypatch, 0)
    server.indices = {"dougong-journal-2026.11.21"}
    assert program.restore(server, "latest", replace=False) == ["dougong-journal-2026.11.20"]
    assert program.restore(server, "latest", replace=False) == []
    assert len(program.restore(server, "latest", replace=True)) == 2


def test_snapshots_that_failed_go_once_there_is_a_whole_one(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for second, state in enumerate(("PARTIAL", "FAILED")):
        server.state = state
        with pytest.raises(program.ElasticsearchError, match=f"is {state}"):
            snapshot(server, monkeypatch, second)
    server.state = "SUCCESS"
    assert list(server.snapshots) == ["dougong-20261121t100000", "dougong-20261121t100001"]
    assert snapshot(server, monkeypatch, 2) == "dougong-20261121t100002"
    assert list(server.snapshots) == ["dougong-20261121t100002"]


def test_replaced_index_that_a_request_under_way_makes_anew_is_replaced_again(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.indices = {"dougong-journal-2026.11.20", "dougong-journal-2026.11.21"}
    snapshot(server, monkeypatch, 0)
    server.racing = ["dougong-journal-2026.11.21"]
    assert len(program.restore(server, "latest", replace=True)) == 2
    assert not server.racing


def test_what_nobody_asked_to_replace_is_never_deleted(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.indices = {"dougong-journal-2026.11.21"}
    snapshot(server, monkeypatch, 0)
    server.indices.clear()
    server.racing = ["dougong-journal-2026.11.21"]
    with pytest.raises(program.ElasticsearchError, match="open index"):
        program.restore(server, "latest", replace=False)
    assert server.indices == {"dougong-journal-2026.11.21"}


def test_restored_indices_have_as_many_copies_as_there_are_hosts_for(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.indices = {"dougong-journal-2026.11.20"}
    snapshot(server, monkeypatch, 0)
    server.copies = {"dougong-journal-2026.11.20": {"index.number_of_replicas": "1"}}
    program.restore(server, "latest", replace=True)
    assert server.copies == {"dougong-journal-2026.11.20": program.COPIES}


def test_restore_that_lacks_shards_is_an_error(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.indices = {"dougong-journal-2026.11.20"}
    snapshot(server, monkeypatch, 0)
    server.failed = 1
    with pytest.raises(program.ElasticsearchError, match="1 of 2 shards"):
        program.restore(server, "latest", replace=True)


def test_health_says_how_full_the_fullest_disk_is(server: Server) -> None:
    assert program.health(server, 0) == {"status": "yellow", "nodes": 3, "disk_percent": 41}


def test_status_says_how_long_each_host_has_been_silent(server: Server) -> None:
    assert program.status(server)["silent_seconds"] == {}
    now = datetime.now(UTC).timestamp() * 1000
    server.records = {"lab-worker-0": now - 90_000, "lab-worker-1": now + 5000}
    assert program.status(server)["silent_seconds"] == {"lab-worker-0": 90, "lab-worker-1": 0}, "clocks differ"


def test_host_that_is_not_the_master_says_who_is(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "master", lambda _: "lab-services-1")
    server.indices = {"dougong-journal-2020.01.01"}
    [said] = program.daily(server, {**CONFIGURATION, "node": "lab-services-0", "keep": 2})
    assert said == "nothing to do here: lab-services-1 is the elected master, and does it"
    assert server.indices
    deleted, made = program.daily(server, {**CONFIGURATION, "node": "lab-services-1", "keep": 2})
    assert deleted == "deleted: dougong-journal-2020.01.01"
    assert made.startswith("made: dougong-")


def test_copies_that_are_missing_matter_when_asked_for(server: Server) -> None:
    with pytest.raises(program.ElasticsearchError, match="1 shards are missing"):
        program.health(server, 0, green=True)


def test_a_restart_moves_no_copies(server: Server) -> None:
    program.pause(server)
    assert server.settings == {"cluster.routing.allocation.enable": "primaries"}
    assert server.flushed
    with pytest.raises(program.ElasticsearchError, match="copies wait since an upgrade that was broken off"):
        program.health(server, 0, green=True)
    assert program.status(server)["paused"]
    assert program.resume(server)
    assert not program.status(server)["paused"]
    assert not program.resume(server), "nothing waited"
    with pytest.raises(program.ElasticsearchError, match="allocation/explain says why"):
        program.health(server, 0, green=True)


def test_full_disk_is_not_healthy(server: Server) -> None:
    server.blocks = {"indices": {"dougong-journal-2026.11.21": {}}}
    with pytest.raises(program.ElasticsearchError, match="1 indices refuse writes, as the disk is full"):
        program.health(server, 0)


def test_password_is_hashed_as_the_file_realm_reads_it() -> None:
    hashed = _load(ROOT / "plugins" / "filter" / "elasticsearch.py").elasticsearch_hash("secret", "reader")
    kind, salt, derived = hashed.split("$")
    assert kind == "{PBKDF2}10000"
    again = hashlib.pbkdf2_hmac("sha512", b"secret", base64.b64decode(salt), 10_000, 32)
    assert base64.b64decode(derived) == again
    assert len(base64.b64decode(salt)) == 32
