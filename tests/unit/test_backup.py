"""The program of roles/backup, with the real age; etcd's tools are stood in for, since there is no etcd here."""

from __future__ import annotations

import hashlib
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from backup_program import NOON, LeadingEtcd, configuration, keypair, later, load, put

STATUS = {"hash": 1, "revision": 42, "totalKey": 7, "totalSize": 1024, "version": "3.6.0"}


@pytest.fixture
def program() -> Any:
    return load()


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder first on PATH, with an etcdutl that finds every snapshot to be the same."""
    folder = tmp_path / "bin"
    folder.mkdir()
    script = folder / "etcdutl"
    script.write_text(f"#!/bin/sh\necho '{json.dumps(STATUS)}'\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


@pytest.fixture
def identity(tmp_path: Path) -> Path:
    return tmp_path / "identity.txt"


@pytest.fixture
def backup(program: Any, tools: Path, identity: Path, tmp_path: Path) -> Path:
    """An archive with its sidecar."""
    snapshot = tmp_path / "etcd.db"
    pages = os.urandom(4096)
    snapshot.write_bytes(pages + hashlib.sha256(pages).digest())
    authority = tmp_path / "ca.key"
    authority.write_text("the cluster's own key")
    about = {"id": "blue-20261121T020000Z", "cluster": "blue", "snapshot": STATUS}
    archive = tmp_path / f"{about['id']}.tar.gz.age"
    parts = {"etcd.db": snapshot, "kubernetes/pki/ca.key": authority}
    program.pack(parts, about, [keypair(identity)], archive)
    with archive.open("rb") as file:
        sha256, size = program.digest(file)
    (tmp_path / f"{about['id']}.json").write_text(json.dumps({**about, "sha256": sha256, "size": size}))
    return archive


def describe_as_it_is(archive: Path) -> None:
    """Make the sidecar say what the archive is now, as somebody would who changed both."""
    sidecar = archive.with_name(archive.name.replace(".tar.gz.age", ".json"))
    content = archive.read_bytes()
    about = {**json.loads(sidecar.read_text()), "sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
    sidecar.write_text(json.dumps(about))


def overwrite(archive: Path, content: bytes) -> None:
    archive.chmod(0o600)
    archive.write_bytes(content)


def test_what_went_in_comes_out_and_only_its_owner_may_read_it(
    program: Any, backup: Path, identity: Path, tmp_path: Path
) -> None:
    manifest = program.unpack(backup, identity, tmp_path / "opened")

    key = tmp_path / "opened" / "kubernetes" / "pki" / "ca.key"
    assert key.read_text() == "the cluster's own key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "opened").stat().st_mode & 0o777 == 0o700
    assert manifest["parts"].keys() == {"etcd.db", "kubernetes/pki/ca.key"}
    assert b"the cluster's own key" not in backup.read_bytes()


def test_another_key_does_not_open_it(program: Any, backup: Path, tmp_path: Path) -> None:
    keypair(other := tmp_path / "other.txt")

    with pytest.raises(program.BackupError, match="it was encrypted for other keys"):
        program.unpack(backup, other, tmp_path / "opened")
    assert not (tmp_path / "opened").exists()


def test_a_truncated_one_is_refused(program: Any, backup: Path, identity: Path, tmp_path: Path) -> None:
    overwrite(backup, backup.read_bytes()[:-1])

    with pytest.raises(program.BackupError, match=r"truncated: it has \d+ of \d+ bytes"):
        program.unpack(backup, identity, tmp_path / "opened")


def test_a_corrupted_one_is_refused(program: Any, backup: Path, identity: Path, tmp_path: Path) -> None:
    content = bytearray(backup.read_bytes())
    content[-1] ^= 1
    overwrite(backup, bytes(content))

    with pytest.raises(program.BackupError, match="corrupted"):
        program.unpack(backup, identity, tmp_path / "opened")


@pytest.mark.parametrize("damage", ["cut", "flip"])
def test_damage_is_seen_even_when_the_sidecar_was_changed_with_it(
    program: Any, backup: Path, identity: Path, tmp_path: Path, damage: str
) -> None:
    content = bytearray(backup.read_bytes())
    if damage == "cut":
        del content[len(content) // 2 :]
    else:
        content[-20] ^= 1
    overwrite(backup, bytes(content))
    describe_as_it_is(backup)

    with pytest.raises(program.BackupError, match="cannot be opened"):
        program.unpack(backup, identity, tmp_path / "opened")
    assert not (tmp_path / "opened").exists()


def test_a_damaged_snapshot_is_refused(program: Any, tools: Path, tmp_path: Path) -> None:
    snapshot = tmp_path / "etcd.db"
    snapshot.write_bytes(b"\0" * 4096 + hashlib.sha256(b"\1" * 4096).digest())

    with pytest.raises(program.BackupError, match="its own checksum does not match"):
        program.inspect(snapshot)


def test_a_missing_sidecar_is_named(program: Any, backup: Path, identity: Path, tmp_path: Path) -> None:
    backup.with_name(backup.name.replace(".tar.gz.age", ".json")).unlink()

    with pytest.raises(program.BackupError, match=r"20261121T020000Z\.json is missing"):
        program.unpack(backup, identity, tmp_path / "opened")


class Lossy:
    """A folder that loses a byte of what is put there."""

    def __init__(self, folder: Any) -> None:
        self.folder = folder

    def __getattr__(self, name: str) -> Any:
        return getattr(self.folder, name)

    def put(self, source: Path, name: str) -> None:
        self.folder.put(source, name)
        path = self.folder.path / name
        path.write_bytes(path.read_bytes()[:-1])


@pytest.fixture
def store(program: Any, tmp_path: Path) -> Any:
    (tmp_path / "store").mkdir()
    return program.Folder(tmp_path / "store")


def test_the_oldest_go_and_other_clusters_stay(program: Any, store: Any, tmp_path: Path) -> None:
    (archive := tmp_path / "archive").write_bytes(b"encrypted")
    other = put(program, store, archive, NOON, 1, cluster="blue-green")
    names = [put(program, store, archive, later(hour), 3) for hour in range(5)]

    there = store.names()
    assert program.identifiers(there, "blue") == names[-3:]
    assert program.identifiers(there, "blue-green") == [other]
    assert len(there) == 2 * 4


def test_nothing_goes_before_the_new_one_was_read_back(program: Any, store: Any, tmp_path: Path) -> None:
    (archive := tmp_path / "archive").write_bytes(b"encrypted")
    first = put(program, store, archive, NOON, 1)

    with pytest.raises(program.BackupError, match="older backups were left alone"):
        put(program, Lossy(store), archive, later(1), 1)
    assert program.identifiers(store.names(), "blue") == [first]


def test_leavings_of_broken_uploads_go_when_they_are_old(program: Any, store: Any, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    old, young = (f"blue-{program.stamp(now - timedelta(hours=age))}.tar.gz.age" for age in (25, 1))
    for name in (old, young):
        (store.path / name).write_bytes(b"half")
    (archive := tmp_path / "archive").write_bytes(b"encrypted")
    put(program, store, archive, now, 1)

    assert old not in store.names()
    assert young in store.names()


@pytest.fixture
def host(program: Any, identity: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The configuration of a host whose member of etcd leads, with a target that is there."""
    monkeypatch.setattr(program, "Etcd", LeadingEtcd)
    monkeypatch.setattr(program, "KUBERNETES", tmp_path)
    (vault := tmp_path / "vault").mkdir()
    return configuration(tmp_path, keypair(identity), {"type": "directory", "path": str(vault)})


def test_a_delivered_backup_leaves_nothing_but_a_note(program: Any, host: dict[str, Any], tmp_path: Path) -> None:
    about = program.create(host, True, "root")

    assert sorted(file.name for file in (tmp_path / "vault").iterdir()) == [
        f"{about['id']}.json",
        f"{about['id']}.tar.gz.age",
    ]
    assert [file.name for file in (tmp_path / "spool").iterdir()] == ["last.json"]


def test_without_a_target_the_controller_finds_it_in_the_spool(
    program: Any, host: dict[str, Any], identity: Path, tmp_path: Path
) -> None:
    about = program.create({**host, "target": None}, True, "root")

    archive = tmp_path / "spool" / f"{about['id']}.tar.gz.age"
    assert program.intact(archive) == about
    program.decrypt(archive, identity, tmp_path / "opened")
    program.taken(host, about["id"])
    assert [file.name for file in (tmp_path / "spool").iterdir()] == ["last.json"]


def test_a_target_that_is_away_costs_no_snapshot(
    program: Any, host: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[str] = []
    monkeypatch.setattr(LeadingEtcd, "meanwhile", staticmethod(lambda: taken.append("etcd")))
    monkeypatch.setattr(program, "volume_snapshots", lambda *_: taken.append("volumes"))
    (tmp_path / "vault").rmdir()

    with pytest.raises(program.BackupError, match="is not there"):
        program.create({**host, "volumes": True}, True, "root")
    assert not taken


def test_what_could_not_be_delivered_does_not_fill_the_disk(
    program: Any, host: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LeadingEtcd, "meanwhile", staticmethod((tmp_path / "vault").rmdir))

    with pytest.raises(FileNotFoundError):
        program.create(host, True, "root")
    assert not list((tmp_path / "spool").iterdir())


def test_a_mount_that_is_missing_is_not_filled_behind(program: Any, tmp_path: Path) -> None:
    with pytest.raises(program.BackupError, match="is not there"):
        program.Folder(tmp_path / "mnt")


def test_only_plain_files_are_taken_out_of_an_archive(program: Any, tmp_path: Path) -> None:
    import io
    import tarfile

    def archive(*members: tarfile.TarInfo) -> tarfile.TarFile:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            for member in members:
                tar.addfile(member)
        buffer.seek(0)
        return tarfile.open(fileobj=buffer)

    link = tarfile.TarInfo("kubernetes/link")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    for member in (tarfile.TarInfo("../outside"), tarfile.TarInfo("/absolute"), link):
        tar = archive(member)
        with pytest.raises(program.BackupError, match="is no plain file of a backup"):
            program.extract(tar, tar.getmembers()[0], tmp_path / "opened")
    assert not (tmp_path / "outside").exists()
