"""Filters of the role `inspection`: what each host is to try, and what to think of what was seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dougong import inspection
from dougong.inspection import evidence
from dougong.inspection.targets import targets


def hosts(results: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What each host has said of itself or, where it could not, why.

    Args:
        results: of host_evidence, by host.
    """
    return {
        name: result.get("evidence") or {"unreachable": str(result.get("msg", "no reason given")).strip()}
        for name, result in results.items()
    }


def report(file: str) -> list[str]:
    """The findings in evidence.File, one line each."""
    findings = [finding for area in inspection.inspect(evidence.read(Path(file))) for finding in area.findings]
    return [f"{f.severity} · {f.area} · {f.where}: {f.evidence} → {f.remedy}" for f in findings] or ["healthy"]


def alarming(file: str) -> bool:
    """Whether somebody has to look."""
    return any(inspection.alarming(area.findings) for area in inspection.inspect(evidence.read(Path(file))))


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "inspection_targets": targets,
            "inspection_hosts": hosts,
            "inspection_report": report,
            "inspection_alarming": alarming,
        }
