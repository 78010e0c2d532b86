"""Which claims get a snapshot, of which class, and what is said of those that get none."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest

from dougong.paths import ROOT

BACKUP = "blue-20261121T020000Z"


@pytest.fixture(scope="module")
def program() -> Any:
    path = ROOT / "roles" / "backup" / "files" / "dougong_volume_snapshots.py"
    spec = importlib.util.spec_from_file_location("dougong_volume_snapshots", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def claim(name: str, phase: str = "Bound") -> dict[str, Any]:
    return {
        "metadata": {"namespace": "shop", "name": name},
        "spec": {"volumeName": f"pv-{name}"},
        "status": {"phase": phase},
    }


def volume(name: str, driver: str | None = "cinder") -> dict[str, Any]:
    return {"metadata": {"name": f"pv-{name}"}, "spec": {"csi": {"driver": driver}} if driver else {"hostPath": {}}}


def snapshot_class(name: str, driver: str = "cinder", default: bool = False) -> dict[str, Any]:
    annotations = {"snapshot.storage.k8s.io/is-default-class": "true"} if default else None
    return {"metadata": {"name": name, "annotations": annotations}, "driver": driver}


def test_a_claim_gets_a_snapshot_that_says_which_backup_it_is_of(program: Any) -> None:
    (found,) = program.wanted([claim("data")], [volume("data")], [snapshot_class("standard")], BACKUP)
    assert (found["claim"], found["snapshot"]) == ("shop/data", "data-20261121t020000z")
    assert found["manifest"]["metadata"] == {
        "name": "data-20261121t020000z",
        "namespace": "shop",
        "labels": {"dougong.local/backup": BACKUP},
    }
    assert found["manifest"]["spec"]["volumeSnapshotClassName"] == "standard"


def test_the_default_class_of_its_driver_is_taken(program: Any) -> None:
    classes = [snapshot_class("slow"), snapshot_class("fast", default=True), snapshot_class("other", "nfs", True)]
    assert program.class_of("cinder", classes) == "fast"


@pytest.mark.parametrize(
    ("driver", "classes"), [(None, ["one"]), ("nfs", ["one"]), ("cinder", ["one", "two"])], ids=str
)
def test_what_cannot_have_one_is_said(program: Any, driver: str | None, classes: list[str]) -> None:
    (found,) = program.wanted([claim("a")], [volume("a", driver)], [snapshot_class(name) for name in classes], BACKUP)
    assert "manifest" not in found
    assert "VolumeSnapshotClass" in found["trouble"]


def test_a_claim_without_a_volume_has_nothing_to_save(program: Any) -> None:
    assert program.wanted([claim("waits", "Pending")], [], [snapshot_class("one")], BACKUP) == []


def test_trouble_of_the_storage_is_passed_on(program: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "TIMEOUT_SECONDS", 0)
    states = {"shop/a-1": {"readyToUse": True}, "shop/b-1": {"error": {"message": "quota exceeded"}}}
    monkeypatch.setattr(program, "states", lambda backup: states)
    entries = [{"claim": f"shop/{name}", "snapshot": f"{name}-1"} for name in "abc"]
    program.wait(entries, BACKUP)
    assert [entry["trouble"] for entry in entries] == ["", "quota exceeded", "it is not ready"]


def test_snapshots_of_the_newest_backups_stay(program: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = [f"blue-2026112{day}T020000Z" for day in (3, 1, 2, 3, 2)]
    items = [{"metadata": {"labels": {program.LABEL: label}}} for label in labels]
    deleted: list[tuple[str, ...]] = []
    monkeypatch.setattr(program, "get", lambda *words: items)
    monkeypatch.setattr(program, "kubectl", lambda *words: deleted.append(words))
    program.prune(2)
    assert [words[3] for words in deleted] == ["--selector=dougong.local/backup=blue-20261121T020000Z"]
