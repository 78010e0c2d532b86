"""Backups: there is one, and it is not old."""

from __future__ import annotations

from collections.abc import Iterator

from dougong.inspection.evidence import Backup, Evidence
from dougong.inspection.finding import Finding, info, warning

_DAY = 86400.0
# What is lost in a disaster is at most what happened since.
_OLD_DAYS = 7.0


def judge(evidence: Evidence) -> Iterator[Finding]:
    found = _found(evidence)
    if not found:
        return
    age, scheduled = _latest(found), any(backup.scheduled for backup in found)
    remedy = "journalctl -u dougong-backup on the control planes" if scheduled else "dougong backup"
    if age is None:
        if scheduled:
            yield warning("control plane", "makes backups by itself, and none has arrived yet", remedy)
        else:
            yield info("control plane", "no backup was ever made", f"{remedy}, or backup.schedule in platform.yml")
    elif age > _OLD_DAYS * _DAY:
        yield warning("control plane", f"its last backup is {age / _DAY:.0f} days old", remedy)


def _found(evidence: Evidence) -> list[Backup]:
    return [host.backup for _, host in evidence.seen() if host.backup]


def _latest(found: list[Backup]) -> float | None:
    return min((backup.age for backup in found if backup.age is not None), default=None)


def seen(evidence: Evidence) -> str:
    age = _latest(_found(evidence))
    return "none yet" if age is None else f"the last one is {age / 3600:.0f} h old"
