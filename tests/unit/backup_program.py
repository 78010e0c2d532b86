"""The program of roles/backup, for the tests that use it."""

from __future__ import annotations

import functools
import importlib.util
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
