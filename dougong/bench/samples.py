"""Numbers of several runs, and what may be said of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Samples:
    """The same thing measured several times.

    Attributes:
        values: one of each run, in the order of the runs.
    """

    values: Sequence[float]

    @property
    def median(self) -> float:
        """The middle one: one run that was disturbed does not move it."""
        return median(self.values)

    @property
    def spread(self) -> float:
        """How far the runs lie apart, as a share of the median."""
        return (max(self.values) - min(self.values)) / self.median if self.median else 0.0

    def against(self, other: Samples) -> float:
        """Ratio of the medians. Machines differ from hour to hour; a ratio within one run stays."""
        return self.median / other.median
