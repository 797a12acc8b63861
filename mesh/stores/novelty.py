"""Which rows of a batch are certainly new, so that only the others have to be looked up in the table.

Streams come in order but for few rows: an entity's row is new if it is newer than all that the table can hold of it. Pure;
exact, whatever is forgotten: an entity that makes room for others raises the floor under all unknown ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

MAX_ENTITIES: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Sorted:
    """`new` int64 are the first rows of their (entity, event time), `unsure` int64 those of them that may be in the table."""

    new: np.ndarray
    unsure: np.ndarray


class Novelty:
    """The newest event time of each entity that this process has written."""

    def __init__(self, floor: int, limit: int = MAX_ENTITIES) -> None:
        """`floor` is the newest event time that was in the table before; of at most `limit` entities more is known."""
        self._floor, self._limit = floor, limit
        self._newest: dict[str, int] = {}

    def sort(self, entities: Sequence[str], event_time: np.ndarray) -> Sorted:
        """Rows in their order of arrival: N names, int64 [N]. Repeats within the batch are in neither answer."""
        newest: dict[str, int] = {}
        seen: set[tuple[str, int]] = set()
        new, unsure = [], []
        for row, key in enumerate(zip(entities, event_time.tolist(), strict=True)):
            if key in seen:
                continue
            seen.add(key)
            new.append(row)
            entity, time = key
            last = newest.get(entity)
            if last is None:
                last = self._newest.get(entity, self._floor)
            if time > last:
                newest[entity] = time
            else:
                unsure.append(row)
        return Sorted(np.array(new, np.int64), np.array(unsure, np.int64))

    def note(self, entities: Sequence[str], event_time: np.ndarray) -> None:
        """These rows are in the table now."""
        for entity, time in zip(entities, event_time.tolist(), strict=True):
            known = self._newest.pop(entity, self._floor)
            self._newest[entity] = max(known, time)
        while len(self._newest) > self._limit:
            oldest = next(iter(self._newest))
            self._floor = max(self._floor, self._newest.pop(oldest))
