"""What a fetch reports while it works."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Phase = Literal["download", "build", "assemble", "note", "done"]


@dataclass(frozen=True)
class Event:
    """One step.

    Attributes:
        subject: an artifact, a recipe, a host.
        detail: what is being done, for a person.
        done, total: bytes, when known.
    """

    phase: Phase
    subject: str
    detail: str = ""
    done: int = 0
    total: int | None = None


Listener = Callable[[Event], None]


def silent(event: Event) -> None:
    """The listener that wants to know nothing."""
