"""What looking at something says."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: what.
        ok: whether it is as it should be.
        detail: what was seen.
        remedy: what to do, if it is not ok.
    """

    name: str
    ok: bool
    detail: str
    remedy: str = ""
