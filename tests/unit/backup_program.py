"""The program of roles/backup, for the tests that use it."""

from __future__ import annotations

import functools
import importlib.util
import os
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from dougong.paths import ROOT

PROGRAM = ROOT / "roles" / "backup" / "files" / "dougong_backup.py"
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def later(hours: int) -> datetime:
    return NOON + timedelta(hours=hours)


@functools.cache
def load() -> Any:
    """The program as a module."""
    spec = importlib.util.spec_from_file_location("dougong_backup", PROGRAM)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def put(program: Any, store: Any, archive: Path, moment: datetime, count: int, *, cluster: str = "blue") -> str:
    with archive.open("rb") as file:
        sha256, size = program.digest(file)
    name = f"{cluster}-{program.stamp(moment)}"
    program.keep(store, archive, {"id": name, "cluster": cluster, "sha256": sha256, "size": size}, count)
    return name


def check_store(store: Any, folder: Path) -> None:
    """Three backups are sent to a store that keeps two; what is listed, and brought, is what was sent."""
    program = load()
    (archive := folder / "archive").write_bytes(os.urandom(100_000))
    names = [put(program, store, archive, later(hours), 2) for hours in range(3)]

    assert [each["id"] for each in program.listing(store, "blue")] == names[1:]
    assert len(store.names()) == 4
    (brought := folder / "brought").mkdir()
    assert program.bring(store, names[2], brought)["id"] == names[2]
    assert (brought / f"{names[2]}.tar.gz.age").read_bytes() == archive.read_bytes()


class LeadingEtcd:
    """Stands in for the program's `Etcd`: this host's member leads.

    Attributes:
        meanwhile: what happens to the world while the snapshot is saved.
    """

    meanwhile: Callable[[], object] = staticmethod(lambda: None)

    def status(self) -> dict[str, Any]:
        return {"dbSize": 4096, "version": "3.6.0", "leader": 1, "header": {"member_id": 1}}

    def save(self, target: Path) -> dict[str, Any]:
        target.write_bytes(os.urandom(4096))
        self.meanwhile()
        return {"revision": 42}


def configuration(folder: Path, recipient: str, target: dict[str, Any]) -> dict[str, Any]:
    """What the role writes to backup.json; the spool is made.

    Args:
        folder: for the spool.
        recipient: age's public key.
        target: where backups go.
    """
    (spool := folder / "spool").mkdir()
    return {
        "cluster": "blue",
        "node": "control-plane-0",
        "kubernetes": "1.36.3",
        "spool": str(spool),
        "recipients": [recipient],
        "target": target,
        "rclone": str(folder / "rclone.conf"),
        "keep": 2,
        "volumes": False,
        "platform": {},
    }


def keypair(file: Path) -> str:
    """Make age's private key; return the public one."""
    subprocess.run(["age-keygen", "--output", file], check=True, capture_output=True)
    return subprocess.run(["age-keygen", "-y", file], check=True, capture_output=True, text=True).stdout.strip()
