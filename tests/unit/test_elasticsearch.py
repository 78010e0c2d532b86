"""The program on hosts of Elasticsearch, against a server that keeps everything in dictionaries."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from dougong.paths import ROOT

TEMPLATES = {"dougong-logs": {"index_patterns": ["dougong-*"], "template": {"settings": {"number_of_shards": 1}}}}
CONFIGURATION: dict[str, Any] = {
    "templates": TEMPLATES,
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

    def __call__(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        if path.endswith("/_flush"):
            self.flushed = True
            return {}
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
        for index in body["indices"].split(","):
            assert index not in self.indices, "an open index cannot be restored"
            self.indices.add(index)
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
            return {"persistent": {key: value for key, value in self.settings.items() if value is not None}}
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


def test_second_apply_finds_nothing_to_do(server: Server) -> None:
    assert program.apply(server, CONFIGURATION, check=True) == ["template dougong-logs", "snapshot repository dougong"]
    assert not server.templates, "a check changes nothing"
    assert len(program.apply(server, CONFIGURATION, check=False)) == 2
    assert program.apply(server, CONFIGURATION, check=False) == []


def test_what_has_changed_is_applied_and_nothing_else(server: Server) -> None:
    program.apply(server, CONFIGURATION, check=False)
    other = {"dougong-logs": {**TEMPLATES["dougong-logs"], "priority": 1}}
    assert program.apply(server, {**CONFIGURATION, "templates": other}, check=False) == ["template dougong-logs"]
    moved = {"type": "fs", "settings": {"location": "/elsewhere", "compress": True}}
    changed = {**CONFIGURATION, "templates": other, "repository": moved}
    assert program.apply(server, changed, check=False) == ["snapshot repository dougong"]


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


def test_restore_that_lacks_shards_is_an_error(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.indices = {"dougong-journal-2026.11.20"}
    snapshot(server, monkeypatch, 0)
    server.failed = 1
    with pytest.raises(program.ElasticsearchError, match="1 of 2 shards"):
        program.restore(server, "latest", replace=True)


def test_health_says_how_full_the_fullest_disk_is(server: Server) -> None:
    assert program.health(server, 0) == {"status": "yellow", "nodes": 3, "disk_percent": 41}


def test_copies_that_are_missing_matter_when_asked_for(server: Server) -> None:
    with pytest.raises(program.ElasticsearchError, match="1 shards are missing"):
        program.health(server, 0, green=True)


def test_a_restart_moves_no_copies(server: Server) -> None:
    program.pause(server)
    assert server.settings == {"cluster.routing.allocation.enable": "primaries"}
    assert server.flushed
    with pytest.raises(program.ElasticsearchError, match="copies wait since an upgrade that was broken off"):
        program.health(server, 0, green=True)
    program.resume(server)
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
