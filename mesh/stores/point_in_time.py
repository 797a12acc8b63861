"""What was known when: for many questions at once, the newest row that had happened and was known by then.

A question (entity, as of, known at) is answered by the row of that entity with the newest event time ≤ `as_of`, no more than
the ttl before it, among rows with created time ≤ `known_at`. Of several with one event time the last created wins, and of
those the last in order. Without the second condition a join sees corrections that came later: the leak that point-in-time
joins are for (Feast's `get_historical_features` asks for the first alone).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

NONE: Final = -1
"""The answer to a question that no row answers."""


@dataclass(frozen=True, slots=True)
class Versions:
    """N rows that may answer: `entity` int64 [N] numbers from 0, `event_time` and `created_time` int64 [N]."""

    entity: np.ndarray
    event_time: np.ndarray
    created_time: np.ndarray


class PointInTime:
    """An index over versions; it takes 40 bytes a row and is built once for many questions."""

    def __init__(self, versions: Versions) -> None:
        order = np.lexsort((versions.created_time, versions.event_time, versions.entity))
        self._row = order
        self._entity = versions.entity[order]
        self._time = versions.event_time[order]
        self._earliest = _pyramid(versions.created_time[order])

    def find(self, entity: np.ndarray, as_of: np.ndarray, known_at: np.ndarray, ttl_ms: int) -> np.ndarray:
        """Rows of the versions that answer M questions, int64 [M], `NONE` where none does.

        All arguments are int64 [M]. O(M log N) whatever the order in which rows became known.
        """
        first = np.searchsorted(self._entity, entity, "left")
        after = self._after(first, np.searchsorted(self._entity, entity, "right"), as_of)
        found = _last_at_most(self._earliest, after, known_at)
        place = np.maximum(found, 0)
        answered = found >= first
        if len(self._time):
            answered &= as_of - self._time[place] <= ttl_ms
            return np.where(answered, self._row[place], NONE)
        return np.full(len(entity), NONE, np.int64)

    def _after(self, low: np.ndarray, high: np.ndarray, as_of: np.ndarray) -> np.ndarray:
        """The end of the rows in [low, high) that had happened by `as_of`: a binary search in step."""
        low, high = low.copy(), high.copy()
        while (searching := low < high).any():
            middle = (low + high) // 2
            happened = searching & (self._time[np.minimum(middle, len(self._time) - 1)] <= as_of)
            low = np.where(happened, middle + 1, low)
            high = np.where(searching & ~happened, middle, high)
        return low


def _pyramid(values: np.ndarray) -> list[np.ndarray]:
    """Minima over blocks of 1, 2, 4, … values; the last level is one block."""
    levels = [values]
    while len(levels[-1]) > 1:
        below = levels[-1]
        if len(below) % 2:
            below = np.append(below, np.iinfo(np.int64).max)
        levels.append(np.minimum(below[0::2], below[1::2]))
    return levels


def _last_at_most(levels: list[np.ndarray], before: np.ndarray, limit: np.ndarray) -> np.ndarray:
    """For each question the last position < `before` whose value is ≤ `limit`, -1 where there is none.

    Up the pyramid while blocks to the left hold nothing small enough, then down into the right-most one that does.
    """
    node, level = before.copy(), np.full(len(before), -1, np.int64)
    for height, minima in enumerate(levels):
        open_ = (level < 0) & (node % 2 == 1)
        small = np.zeros(len(node), bool)
        small[open_] = minima[node[open_] - 1] <= limit[open_]
        node -= open_
        level[small] = height
        node = np.where(level < 0, node // 2, node)
    for height in range(len(levels) - 1, 0, -1):
        inside = level == height
        right = 2 * node[inside] + 1
        below = levels[height - 1]
        there = right < len(below)
        there[there] = below[right[there]] <= limit[inside][there]
        node[inside] = right - ~there
        level[inside] = height - 1
    return np.where(level < 0, NONE, node)
