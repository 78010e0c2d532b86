"""`dougong backup` and `dougong restore`: what they hand to Ansible, and what they make of its answer."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from dougong import ansible, cli
from dougong.backup import sidecar
from dougong.errors import DougongError

SIDECAR: dict[str, Any] = {
    "id": "lab-20261121T062620Z",
    "cluster": "lab",
    "created": "2026-11-21T06:26:20+00:00",
    "host": "lab-control-plane-0",
    "kubernetes": "1.36.3",
    "etcd": "3.6.8",
    "snapshot": {"hash": 1, "revision": 1147, "totalKey": 461, "totalSize": 2768896, "version": "3.6.0"},
    "sha256": "fb27",
    "size": 439750,
}


class Playbooks:
    """Stands in for Ansible: keeps what was asked of it, and says what a playbook would."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []
        self.facts: dict[str, Any] = {}

    def run(self, environment: str, playbook: str, *, extra_vars: Any = None, on_event: Any = None) -> Any:
        self.asked.append((playbook, extra_vars))
        if playbook == "playbooks/backup.yml":
            file = sidecar.folder(environment) / "last.json"
            file.parent.mkdir(parents=True)
            file.write_text(json.dumps(SIDECAR))
        if on_event:
            on_event({"event": "runner_on_ok", "event_data": {"res": {"ansible_facts": self.facts}}})
        return ansible.PlaybookResult(tasks=3)


@pytest.fixture
def playbooks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Playbooks:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    stand_in = Playbooks()
    monkeypatch.setattr(ansible, "run", stand_in.run)
    return stand_in


def dougong(*words: str, expect: int = 0) -> str:
    done = CliRunner().invoke(cli.app, words)
    assert done.exit_code == expect, done.output
    return done.output


def test_a_backup_ends_with_its_name_its_place_and_its_key(playbooks: Playbooks) -> None:
    said = dougong("backup").replace("\n", "")

    assert playbooks.asked == [("playbooks/backup.yml", None)]
    assert SIDECAR["id"] in said
    assert "backup/kept" in said
    assert "identity.txt" in said
    assert sidecar.last("lab").created == datetime(2026, 11, 21, 6, 26, 20, tzinfo=UTC)


def test_the_list_is_what_the_playbook_found(playbooks: Playbooks) -> None:
    playbooks.facts = {"backup_list": [SIDECAR]}

    assert json.loads(dougong("backup", "list", "--json"))[0]["snapshot"] == {"revision": 1147, "keys": 461}
    assert "461" in dougong("backup", "list")
    assert playbooks.asked == [("playbooks/backup-list.yml", None)] * 2


def test_an_empty_list_says_what_to_do(playbooks: Playbooks) -> None:
    playbooks.facts = {"backup_list": []}

    assert "dougong backup" in dougong("backup", "list")


def test_one_backup_is_verified_by_its_id(playbooks: Playbooks) -> None:
    dougong("backup", "verify", "lab-20261121T062620Z")

    assert playbooks.asked == [("playbooks/backup-verify.yml", {"backup_id": "lab-20261121T062620Z"})]


def test_a_restore_is_followed_by_the_whole_installation(playbooks: Playbooks) -> None:
    dougong("restore", "--yes")

    assert playbooks.asked == [("playbooks/restore.yml", {"backup_id": "latest"}), ("playbooks/site.yml", None)]


def test_a_file_is_restored_from_where_it_is(playbooks: Playbooks, tmp_path: Path) -> None:
    (archive := tmp_path / "lab-20261121T062620Z.tar.gz.age").touch()
    dougong("restore", "--yes", "--from", str(archive))

    assert playbooks.asked[0] == ("playbooks/restore.yml", {"backup_archive": str(archive)})


def test_nothing_is_restored_unasked(playbooks: Playbooks) -> None:
    said = dougong("restore", expect=1)

    assert "what the cluster knew since then is lost" in said.replace("\n", " ")
    assert playbooks.asked == []


def test_without_a_backup_the_remedy_is_to_make_one(playbooks: Playbooks) -> None:
    with pytest.raises(DougongError, match="no backup of 'lab' was made from here") as caught:
        sidecar.last("lab")
    assert caught.value.remedy == "make one: dougong backup"
