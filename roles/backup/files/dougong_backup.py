#!/usr/bin/python3
"""Backups of a Kubernetes control plane: made and sent on its hosts, kept and opened on the controller.

A backup is two files: `<id>.tar.gz.age`, encrypted for the public keys of its recipients, and `<id>.json`, which says
what it is and its SHA-256. The second is written last: without it there is no backup. A host knows public keys only; it
can make backups and cannot read one.

Needs nothing but Python's standard library, etcdctl, etcdutl, age, and rclone for object stores.
"""

from __future__ import annotations

import argparse
import datetime
import fcntl
import gzip
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any, Protocol

CONFIGURATION = Path("/etc/dougong/backup.json")
KUBERNETES = Path("/etc/kubernetes")
ARCHIVE, SIDECAR = ".tar.gz.age", ".json"
MANIFEST, SNAPSHOT = "manifest.json", "etcd.db"
CHUNK = 1 << 20
# bbolt writes whole pages, all a multiple of 512 bytes; `snapshot save` appends the SHA-256 of what stands before.
SECTOR, DIGEST = 512, 32
# What a snapshot and its archive may take beside each other, over twice the database: PKI, manifests, age's headers.
SPARE_BYTES = 64 << 20
# An upload that broke off leaves an archive without its sidecar. One younger than this may still be on its way.
ABANDONED = datetime.timedelta(days=1)


class BackupError(Exception):
    """What is wrong, and what to do about it."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(f"{message}\n  → {remedy}")


def run(*words: str | Path, remedy: str, stdin: IO[bytes] | None = None) -> bytes:
    """What a command prints.

    Raises:
        BackupError: it failed; with what it said.
    """
    done = subprocess.run([str(word) for word in words], stdin=stdin, capture_output=True, check=False)
    if done.returncode:
        raise BackupError(
            f"`{' '.join(map(str, words))}` failed: {done.stderr.decode(errors='replace').strip()}", remedy
        )
    return done.stdout


def digest(file: IO[bytes]) -> tuple[str, int]:
    """SHA-256 and size, in bytes, of what is left of a file."""
    total, size = hashlib.sha256(), 0
    while chunk := file.read(CHUNK):
        total.update(chunk)
        size += len(chunk)
    return total.hexdigest(), size


# --- where backups are kept -------------------------------------------------------------------------------------------


class Store(Protocol):
    """A flat collection of files."""

    def names(self) -> list[str]:
        """All files."""

    def put(self, source: Path, name: str) -> None:
        """Store a file; it is there wholly or not at all."""

    def get(self, name: str, target: Path) -> None:
        """Bring a file here."""

    def digest(self, name: str) -> tuple[str, int]:
        """SHA-256 and size of what is stored, by reading it back."""

    def delete(self, name: str) -> None:
        """Forget a file."""


class Folder:
    """A directory of this machine, which has to be there: a mount that is missing is not to be filled behind."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_dir():
            raise BackupError(
                f"{path} is not there", "mount the file system that backups are kept on, or make the folder"
            )

    def names(self) -> list[str]:
        return [file.name for file in self.path.iterdir()]

    def put(self, source: Path, name: str) -> None:
        copy(source, self.path / name)

    def get(self, name: str, target: Path) -> None:
        copy(self.path / name, target)

    def digest(self, name: str) -> tuple[str, int]:
        with (self.path / name).open("rb") as file:
            return digest(file)

    def delete(self, name: str) -> None:
        (self.path / name).unlink()


class Remote:
    """A bucket or container of an object store, by rclone.

    It has to be there, which listing shows: rclone makes a container of Swift that is not.
    """

    def __init__(self, address: str, configuration: Path) -> None:
        self.address = address
        self.rclone = ("rclone", "--config", str(configuration), "--retries", "3")
        bucket = address.partition(":")[2].partition("/")[0]
        self.remedy = (
            f"the store has to answer, {bucket} has to be there (it is not made) and open to this account; "
            f"try by hand: rclone --config {configuration} lsf {address}"
        )
        self.names()

    def names(self) -> list[str]:
        return run(*self.rclone, "lsf", "--files-only", self.address, remedy=self.remedy).decode().splitlines()

    def put(self, source: Path, name: str) -> None:
        run(*self.rclone, "copyto", source, f"{self.address}/{name}", remedy=self.remedy)

    def get(self, name: str, target: Path) -> None:
        run(*self.rclone, "copyto", f"{self.address}/{name}", target, remedy=self.remedy)

    def digest(self, name: str) -> tuple[str, int]:
        words = [*self.rclone, "cat", f"{self.address}/{name}"]
        with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None  # noqa: S101 - for the type checker: it is a pipe
            found = digest(process.stdout)
        if process.returncode:
            raise BackupError(f"{self.address}/{name} cannot be read back", self.remedy)
        return found

    def delete(self, name: str) -> None:
        run(*self.rclone, "deletefile", f"{self.address}/{name}", remedy=self.remedy)


def copy(source: Path, target: Path) -> None:
    """Copy a file such that it is on the disk, whole, before it has its name."""
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as file:
        try:
            with source.open("rb") as original:
                shutil.copyfileobj(original, file, CHUNK)
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).rename(target)
        except BaseException:
            Path(file.name).unlink()
            raise


def identifiers(names: Sequence[str], cluster: str, suffix: str = SIDECAR) -> list[str]:
    """Backups of a cluster, oldest first.

    Args:
        names: the files of a store.
        cluster: its name; a store may hold backups of several.
        suffix: of the file that shows a backup is there.
    """
    pattern = re.compile(re.escape(cluster) + r"-\d{8}T\d{6}Z")
    return sorted(name.removesuffix(suffix) for name in names if pattern.fullmatch(name.removesuffix(suffix)))


def keep(store: Store, archive: Path, about: dict[str, Any], count: int) -> None:
    """Store a backup, read it back, and only then let old ones go.

    Args:
        store: where.
        archive: the encrypted file.
        about: what the sidecar says.
        count: how many backups of the cluster stay.

    Raises:
        BackupError: what is stored is not what was sent.
    """
    name = about["id"]
    store.put(archive, name + ARCHIVE)
    found = store.digest(name + ARCHIVE)
    if found != (about["sha256"], about["size"]):
        raise BackupError(
            f"{name}{ARCHIVE} was sent with sha256 {about['sha256']} and reads back with {found[0]}",
            "the store or the way to it damages data: mend that; older backups were left alone",
        )
    with tempfile.NamedTemporaryFile("w", suffix=SIDECAR) as sidecar:
        json.dump(about, sidecar, indent=2)
        sidecar.flush()
        store.put(Path(sidecar.name), name + SIDECAR)
    prune(store, about["cluster"], count)


def prune(store: Store, cluster: str, count: int) -> None:
    """Delete the oldest backups of a cluster, and what broken-off uploads left."""
    names = store.names()
    there = identifiers(names, cluster)
    for name in there[:-count]:
        store.delete(name + SIDECAR)
        store.delete(name + ARCHIVE)
    abandoned = f"{cluster}-{stamp(datetime.datetime.now(datetime.UTC) - ABANDONED)}"
    for name in set(identifiers(names, cluster, ARCHIVE)) - set(there):
        if name < abandoned:
            store.delete(name + ARCHIVE)


def stamp(moment: datetime.datetime) -> str:
    """A moment (UTC) as part of a file name; such names sort by time."""
    return f"{moment:%Y%m%dT%H%M%SZ}"


# --- making a backup, on a control-plane host -------------------------------------------------------------------------


class Etcd:
    """This host's member of etcd, with the certificate that kubeadm makes for looking at its health."""

    def __init__(self) -> None:
        pki = KUBERNETES / "pki" / "etcd"
        self.etcdctl = (
            "etcdctl",
            "--endpoints=https://127.0.0.1:2379",
            f"--cacert={pki / 'ca.crt'}",
            f"--cert={pki / 'healthcheck-client.crt'}",
            f"--key={pki / 'healthcheck-client.key'}",
        )
        self.remedy = "look at etcd on this host: crictl ps, or the log in /var/log/pods/kube-system_etcd-*"

    def status(self) -> dict[str, Any]:
        """What the member says of itself; there is none without a majority."""
        run(*self.etcdctl, "endpoint", "health", remedy=self.remedy)
        status: dict[str, Any] = json.loads(
            run(*self.etcdctl, "endpoint", "status", "--write-out=json", remedy=self.remedy)
        )[0]["Status"]
        return status

    def save(self, target: Path) -> dict[str, Any]:
        """Write a snapshot; say what is in it after every page of it was read."""
        run(*self.etcdctl, "snapshot", "save", target, remedy=self.remedy)
        return inspect(target)


def inspect(snapshot: Path) -> dict[str, Any]:
    """What is in a snapshot: hash, revision, totalKey, totalSize, version.

    Raises:
        BackupError: it is damaged.
    """
    size = snapshot.stat().st_size
    with snapshot.open("rb") as file:
        total = hashlib.sha256()
        left = size - DIGEST
        while left > 0:
            chunk = file.read(min(CHUNK, left))
            total.update(chunk)
            left -= len(chunk)
        whole = size % SECTOR == DIGEST and file.read() == total.digest()
    if not whole:
        raise BackupError("etcd's snapshot is damaged: its own checksum does not match", "take another backup")
    found: dict[str, Any] = json.loads(
        run("etcdutl", "snapshot", "status", snapshot, "--write-out=json", remedy="take another backup")
    )
    return found


def create(configuration: dict[str, Any], if_leader: bool, owner: str) -> dict[str, Any]:
    """Make a backup; send it to the target, or leave it in the spool for the controller.

    Args:
        configuration: what the role `backup` wrote.
        if_leader: do nothing on a host whose member of etcd is not the leader: of the hosts that all get the same
            order, one follows it.
        owner: user who may take the backup out of the spool.

    Returns:
        What the sidecar says; nothing if this host is not the leader.
    """
    etcd = Etcd()
    status = etcd.status()
    if if_leader and status["leader"] != status["header"]["member_id"]:
        return {}
    # First of all: with a target that is away, each attempt would take snapshots of volumes, and let older ones go.
    store = target(configuration) if configuration["target"] else None
    spool = Path(configuration["spool"])
    free = shutil.disk_usage(spool).free
    if free < (needed := 2 * status["dbSize"] + SPARE_BYTES):
        raise BackupError(
            f"{spool} has {free >> 20} MiB free; a backup passes through it and needs {needed >> 20} MiB",
            "make room on that file system",
        )
    moment = datetime.datetime.now(datetime.UTC)
    about: dict[str, Any] = {
        "id": f"{configuration['cluster']}-{stamp(moment)}",
        "cluster": configuration["cluster"],
        "created": moment.isoformat(timespec="seconds"),
        "host": configuration["node"],
        "kubernetes": configuration["kubernetes"],
        "etcd": status["version"],
    }
    # A backup that is not delivered leaves nothing in the spool: it would fill the disk that etcd is on.
    with tempfile.TemporaryDirectory(dir=spool, prefix="work-") as work:
        snapshot, archive = Path(work) / SNAPSHOT, Path(work) / (about["id"] + ARCHIVE)
        # Before etcd's own: what is restored from it knows them.
        about["volumes"] = volume_snapshots(about["id"], configuration["keep"]) if configuration["volumes"] else []
        about["snapshot"] = etcd.save(snapshot)
        parts = {SNAPSHOT: snapshot} | {
            f"kubernetes/{path.relative_to(KUBERNETES)}": path
            for path in sorted(KUBERNETES.rglob("*"))
            if path.is_file()
        }
        pack(parts, {**about, "platform": configuration["platform"]}, configuration["recipients"], archive)
        snapshot.unlink()
        with archive.open("rb") as file:
            about["sha256"], about["size"] = digest(file)
        if store:
            keep(store, archive, about, configuration["keep"])
            delivered(configuration, about)
        else:
            shutil.chown(archive, owner)
            archive.rename(spool / archive.name)
            (spool / (about["id"] + SIDECAR)).write_text(json.dumps(about, indent=2))
    return about


def volume_snapshots(backup: str, count: int) -> list[dict[str, str]]:
    """Take a snapshot of each volume: claim, snapshot and trouble of each. None of it keeps etcd from being saved."""
    words = ["/usr/local/sbin/dougong-volume-snapshots", backup, f"--keep={count}"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        return [{"claim": "all claims", "trouble": done.stderr.strip()}]
    found: list[dict[str, str]] = json.loads(done.stdout)
    return found


def pack(parts: dict[str, Path], manifest: dict[str, Any], recipients: Sequence[str], target: Path) -> None:
    """Write an encrypted archive; nothing of it is ever on the disk unencrypted.

    Args:
        parts: name in the archive → file.
        manifest: what stands first in it; each part's SHA-256 is added.
        recipients: age's public keys; each of their private keys opens it.
        target: the file to write.
    """
    sums = {}
    for name, path in parts.items():
        with path.open("rb") as file:
            sums[name], _ = digest(file)
    text = json.dumps({**manifest, "parts": sums}, indent=2).encode()
    words = ["age", "--encrypt", *(f"--recipient={key}" for key in recipients), f"--output={target}"]
    with subprocess.Popen(words, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None  # noqa: S101 - for the type checker: it is a pipe
        # Level 1: etcd's pages are half empty, which every level sees; higher ones take longer than etcd itself.
        with (
            gzip.GzipFile(fileobj=process.stdin, mode="wb", compresslevel=1) as packed,
            tarfile.open(fileobj=packed, mode="w|") as tar,
        ):
            first = tarfile.TarInfo(MANIFEST)
            first.size = len(text)
            tar.addfile(first, io.BytesIO(text))
            for name, path in parts.items():
                with path.open("rb") as file:
                    member = tarfile.TarInfo(name)
                    member.size = path.stat().st_size
                    tar.addfile(member, file)
    if process.returncode:
        raise BackupError("age could not encrypt the backup", "see what it says above; recipients are in platform.yml")
    target.chmod(0o400)


def delivered(configuration: dict[str, Any], about: dict[str, Any]) -> None:
    """Note the last backup that reached its target and was read back there."""
    note = Path(configuration["spool"]) / "last.json"
    new = note.with_suffix(".new")
    new.write_text(json.dumps(about, indent=2))
    new.rename(note)


def target(configuration: dict[str, Any]) -> Store:
    """Where backups of this configuration go."""
    wanted = configuration["target"]
    if wanted["type"] == "directory":
        return Folder(Path(wanted["path"]))
    return Remote(f"target:{wanted['path']}", Path(configuration["rclone"]))


def taken(configuration: dict[str, Any], name: str) -> None:
    """The controller has a backup and has opened it: note that, and empty the spool."""
    spool = Path(configuration["spool"])
    delivered(configuration, json.loads((spool / (name + SIDECAR)).read_text()))
    for suffix in (ARCHIVE, SIDECAR):
        (spool / (name + suffix)).unlink()


# --- using a backup ---------------------------------------------------------------------------------------------------


def listing(store: Store, cluster: str) -> list[dict[str, Any]]:
    """What the sidecars of a cluster's backups say, oldest first."""
    found = []
    with tempfile.TemporaryDirectory() as scratch:
        for name in identifiers(store.names(), cluster):
            sidecar = Path(scratch) / (name + SIDECAR)
            store.get(name + SIDECAR, sidecar)
            found.append(json.loads(sidecar.read_text()))
    return found


def bring(store: Store, name: str, folder: Path) -> dict[str, Any]:
    """Have a backup in a local folder.

    Raises:
        BackupError: what is stored is not what was stored once.
    """
    for suffix in (SIDECAR, ARCHIVE):
        store.get(name + suffix, folder / (name + suffix))
    return intact(folder / (name + ARCHIVE))


def intact(archive: Path) -> dict[str, Any]:
    """What the sidecar beside an archive says, after the archive was compared with it.

    Raises:
        BackupError: one of them is missing, or they do not belong together.
    """
    sidecar = archive.with_name(archive.name.removesuffix(ARCHIVE) + SIDECAR)
    other = "use another backup: dougong backup list"
    try:
        about: dict[str, Any] = json.loads(sidecar.read_text())
        with archive.open("rb") as file:
            found = digest(file)
        wanted = (about["sha256"], about["size"])
    except FileNotFoundError as error:
        raise BackupError(f"{error.filename} is missing", other) from error
    except (ValueError, KeyError) as error:
        raise BackupError(f"{sidecar} is damaged: {error}", other) from error
    if found[1] != wanted[1]:
        raise BackupError(f"{archive} is truncated: it has {found[1]} of {wanted[1]} bytes", other)
    if found != wanted:
        raise BackupError(f"{archive} is corrupted: its sha256 is {found[0]}, written was {wanted[0]}", other)
    return about


def unpack(archive: Path, identity: Path, folder: Path) -> dict[str, Any]:
    """Decrypt a backup and check everything in it.

    Args:
        archive: the encrypted file, its sidecar beside it.
        identity: file with age's private key.
        folder: gets the content; it must not exist. It is made with mode 0700, and is not there after an error.

    Returns:
        The manifest.

    Raises:
        BackupError: the backup is damaged or not for this key.
    """
    about = intact(archive)
    folder.mkdir(mode=0o700, parents=True)
    try:
        decrypt(archive, identity, folder)
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
        check(manifest, about, folder)
    except BaseException:
        shutil.rmtree(folder)
        raise
    return manifest


def decrypt(archive: Path, identity: Path, folder: Path) -> None:
    """Write the files of a backup into a folder."""
    words = ["age", "--decrypt", f"--identity={identity}", str(archive)]
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(words, stdout=subprocess.PIPE, stderr=said) as process,
    ):
        assert process.stdout is not None  # noqa: S101 - for the type checker: it is a pipe
        broken = None
        try:
            with tarfile.open(fileobj=process.stdout, mode="r|gz") as tar:
                for member in tar:
                    extract(tar, member, folder)
        except (tarfile.TarError, EOFError, OSError) as error:
            broken = error  # age's own words, if it has any, say more
        process.stdout.close()
        process.wait()
        said.seek(0)
        words_of_age = said.read().decode(errors="replace").strip()
    if "no identity matched" in words_of_age:
        raise BackupError(
            f"{identity} does not open {archive}: it was encrypted for other keys",
            "use the key of the controller that made it, or one of platform.yml's backup.recipients",
        )
    if broken or process.returncode:
        raise BackupError(
            f"{archive} cannot be opened: {words_of_age or broken}", "use another backup: dougong backup list"
        )


def extract(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    """Write one member; only plain files below the folder are accepted."""
    name = PurePosixPath(member.name)
    source = tar.extractfile(member) if member.isreg() else None
    if source is None or name.is_absolute() or ".." in name.parts:
        raise BackupError(f"the backup holds {member.name!r}, which is no plain file of a backup", "do not use it")
    path = folder / name
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.open("xb") as file:
        shutil.copyfileobj(source, file, CHUNK)
    path.chmod(0o600)


def check(manifest: dict[str, Any], about: dict[str, Any], folder: Path) -> None:
    """Compare what was unpacked with what the manifest says.

    Raises:
        BackupError: they differ.
    """
    other = "use another backup: dougong backup list"
    for name, wanted in manifest["parts"].items():
        with (folder / name).open("rb") as file:
            if digest(file)[0] != wanted:
                raise BackupError(f"{name} in the backup is not what was put there", other)
    if manifest["id"] != about["id"]:
        raise BackupError(f"the backup says it is {manifest['id']}, its sidecar says {about['id']}", other)
    found = inspect(folder / SNAPSHOT)
    if found != manifest["snapshot"]:
        raise BackupError(f"etcd's snapshot holds {found}, written was {manifest['snapshot']}", other)


# --- the command line -------------------------------------------------------------------------------------------------


def configured() -> dict[str, Any]:
    """What the role `backup` wrote on this host."""
    configuration: dict[str, Any] = json.loads(CONFIGURATION.read_text())
    return configuration


@contextmanager
def locked() -> Iterator[None]:
    """One at a time on this host."""
    with Path("/run/lock/dougong-backup").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def on_create(options: argparse.Namespace) -> dict[str, Any]:
    with locked():
        return create(configured(), options.if_leader, options.owner)


def on_taken(options: argparse.Namespace) -> None:
    with locked():
        taken(configured(), options.id)


def on_bring(options: argparse.Namespace) -> dict[str, Any]:
    configuration = configured()
    spool = Path(configuration["spool"])
    with locked():
        about = bring(target(configuration), options.id, spool)
        shutil.chown(spool / (about["id"] + ARCHIVE), options.owner)
        return about


def on_list(options: argparse.Namespace) -> list[dict[str, Any]]:
    if options.folder:
        return listing(Folder(options.folder), options.cluster)
    configuration = configured()
    return listing(target(configuration), configuration["cluster"])


def on_keep(options: argparse.Namespace) -> None:
    keep(Folder(options.folder), options.archive, intact(options.archive), options.keep)


def on_open(options: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as scratch:
        return unpack(options.archive, options.identity, options.into or Path(scratch) / "opened")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Backups of a Kubernetes control plane. What there is to say is JSON.")
    commands = parser.add_subparsers(required=True)
    made = commands.add_parser("create", help="on a control-plane host: make a backup, send it to the target")
    made.add_argument("--if-leader", action="store_true", help="do nothing unless this host's etcd member leads")
    made.add_argument("--owner", default="root", help="who may read it where there is no target")
    made.set_defaults(run=on_create)
    fetched = commands.add_parser("taken", help="on that host: the controller has it")
    fetched.add_argument("id")
    fetched.set_defaults(run=on_taken)
    brought = commands.add_parser("bring", help="on a control-plane host: have a backup of the target in the spool")
    brought.add_argument("--owner", default="root", help="who may read it")
    brought.add_argument("id")
    brought.set_defaults(run=on_bring)
    listed = commands.add_parser("list", help="what the target (or a folder) holds, oldest first")
    listed.add_argument("--folder", type=Path)
    listed.add_argument("--cluster", help="with --folder: whose backups")
    listed.set_defaults(run=on_list)
    kept = commands.add_parser("keep", help="on the controller: put a backup into a folder, and prune it")
    kept.add_argument("--folder", type=Path, required=True)
    kept.add_argument("--keep", type=int, required=True)
    kept.add_argument("archive", type=Path)
    kept.set_defaults(run=on_keep)
    opened = commands.add_parser("open", help="on the controller: decrypt a backup and check everything in it")
    opened.add_argument("--identity", type=Path, required=True, help="file with age's private key")
    opened.add_argument("--into", type=Path, help="new folder for the content; without it nothing stays")
    opened.add_argument("archive", type=Path)
    opened.set_defaults(run=on_open)
    return parser.parse_args()


if __name__ == "__main__":
    asked = arguments()
    try:
        said = asked.run(asked)
    except BackupError as error:
        sys.exit(f"dougong-backup: {error}")
    print(json.dumps(said, indent=2))
    if asked.run is on_create and (missing := [each for each in said.get("volumes", []) if each["trouble"]]):
        claims = "; ".join(f"{each['claim']}: {each['trouble']}" for each in missing)
        sys.exit(f"dougong-backup: {said['id']} is made, but without snapshots of {claims}")
