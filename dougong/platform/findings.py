"""What is wrong with a platform.yml, where, and what to do about it."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from dougong.errors import DougongError

Location = tuple[str | int, ...]


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong or dubious.

    Attributes:
        file: the platform.yml.
        line: from 1.
        column: from 1.
        where: the dotted path of the value, e.g. `pools.worker.volumes[0].size`; empty for the file as a whole.
        value: what stands there; None where something is missing.
        message: what is wrong with it.
        remedy: what to write instead.
        severity: an error stops everything; a warning is said and nothing more.
    """

    file: Path
    line: int
    column: int
    where: str
    value: Any
    message: str
    remedy: str
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        place = f"{_short(self.file)}:{self.line}:{self.column}:"
        what = f"{self.where}: {self.message}" if self.where else self.message
        level = "warning: " if self.severity == "warning" else ""
        return f"{place} {level}{what}\n  → {self.remedy}"


class PlatformError(DougongError):
    """Everything that is wrong with one platform.yml, in the order of its lines.

    Args:
        findings: the errors, at least one.
    """

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = tuple(findings)
        count = f"{len(self.findings)} errors" if len(self.findings) > 1 else "1 error"
        super().__init__("\n".join([f"{_short(self.findings[0].file)} has {count}:", *map(str, self.findings)]))


def dotted(location: Location) -> str:
    """A path as a person writes it: `pools.worker.volumes[0].size`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return text.removeprefix(".")


def _short(path: Path) -> str:
    """A path as one would type it in the present folder."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)
