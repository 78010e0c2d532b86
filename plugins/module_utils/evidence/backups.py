"""When this host's last backup arrived where backups are kept: roles/backup notes it here."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

NOTE = Path("/var/lib/dougong/backup/last.json")
_TIMER = Path("/etc/systemd/system/dougong-backup.timer")


def backups() -> dict[str, Any]:
    """Seconds since the last one (None: this host has made none), and whether the host makes them by itself."""
    age = round(time.time() - NOTE.stat().st_mtime) if NOTE.exists() else None
    return {"age": age, "scheduled": _TIMER.exists()}
