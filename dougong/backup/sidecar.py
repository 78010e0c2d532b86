"""What is known of a backup without opening it: the JSON file that lies beside it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, Field

from dougong import paths
from dougong.errors import DougongError


class Snapshot(BaseModel):
    """What is in the snapshot of etcd.

    Attributes:
        revision: etcd's revision.
        keys: how many it holds, each revision that is not compacted counted.
    """

    revision: int
    keys: int = Field(alias="totalKey")


class Backup(BaseModel):
    """One backup.

    Attributes:
        id: cluster and time; ids of one cluster sort by time.
        created: when the snapshot was taken.
        host: the control-plane host that made it.
        kubernetes: version of Kubernetes.
        etcd: version of etcd.
        size: bytes of the encrypted file.
        snapshot: what is in it.
    """

    id: str
    created: datetime
    host: str
    kubernetes: str
    etcd: str
    size: int
    snapshot: Snapshot


def folder(environment: str) -> Path:
    """Where the controller has its private key and, without a target, the backups."""
    return paths.state(environment) / "backup"


def last(environment: str) -> Backup:
    """The last backup that this controller made and saw arrive.

    Raises:
        DougongError: there is none.
    """
    file = folder(environment) / "last.json"
    try:
        return Backup.model_validate_json(file.read_text())
    except FileNotFoundError as error:
        raise DougongError(f"no backup of {environment!r} was made from here", "make one: dougong backup") from error
