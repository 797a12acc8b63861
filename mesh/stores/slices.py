"""Stretches of history that can be read, sorted and worked on for themselves. Pure."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from mesh.stores.views import DAY_MS

SLICE_MS: Final = 3_600_000
"""An hour: what is held at a time."""


@dataclass(frozen=True, slots=True)
class Slice:
    """The rows with start ≤ event time < end, all of one `day` (days since 1970)."""

    day: int
    start: int
    end: int


def slices_of(day: int, start: int, end: int) -> tuple[Slice, ...]:
    """The part of a day that lies between start and end, hour by hour."""
    begin, stop = max(start, day * DAY_MS), min(end, (day + 1) * DAY_MS)
    edges = [begin, *range((begin // SLICE_MS + 1) * SLICE_MS, stop, SLICE_MS), stop]
    return tuple(Slice(day, low, high) for low, high in pairwise(edges) if low < high)
