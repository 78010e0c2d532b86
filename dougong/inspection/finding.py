"""What an inspection has to say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How bad it is, the worst first."""

    CRITICAL = "critical"
    """Something does not work, or will stop within days."""
    WARNING = "warning"
    """It works, with less reserve than it should have; somebody has to look."""
    INFO = "info"
    """Worth knowing; nothing needs to be done now."""


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be.

    Attributes:
        severity: how bad it is.
        where: host or resource.
        evidence: what was seen.
        remedy: what to do.
        area: which inspection has found it: hosts, etcd, …; `inspect` fills it in.
    """

    severity: Severity
    where: str
    evidence: str
    remedy: str
    area: str = ""


def critical(where: str, evidence: str, remedy: str) -> Finding:
    """It does not work, or will stop within days."""
    return Finding(Severity.CRITICAL, where, evidence, remedy)


def warning(where: str, evidence: str, remedy: str) -> Finding:
    """It works with less reserve than it should have."""
    return Finding(Severity.WARNING, where, evidence, remedy)


def info(where: str, evidence: str, remedy: str) -> Finding:
    """It is worth knowing."""
    return Finding(Severity.INFO, where, evidence, remedy)


def alarming(findings: Iterable[Finding]) -> bool:
    """Whether somebody has to look: there is more than information."""
    return any(finding.severity is not Severity.INFO for finding in findings)
