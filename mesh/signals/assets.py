"""Names of assets and their slots: the rows that an asset has in every state array. As many as `limit` are remembered."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np


@dataclass(frozen=True, slots=True)
class Seated:
    """The slot of each of N names: int64 [N]. `forgotten` names made room; `cleared` int64 are their slots, to be emptied."""

    slot: np.ndarray
    forgotten: tuple[str, ...]
    cleared: np.ndarray


class Assets:
    """Gives out slots; past the limit, the asset that has been silent for longest loses its own."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._slots: dict[str, int] = {}  # from the longest silent to the latest heard
        self._free: list[int] = []
        self._next = 0

    def __len__(self) -> int:
        return len(self._slots)

    @property
    def names(self) -> tuple[str, ...]:
        """Every name that has a slot, the longest silent first."""
        return tuple(self._slots)

    @property
    def capacity(self) -> int:
        """One more than the highest slot that was ever given out."""
        return self._next

    def slot_of(self, name: str) -> int | None:
        """The slot of an asset that is remembered."""
        return self._slots.get(name)

    def seat(self, names: Sequence[str]) -> Seated:
        """A slot for each name, in their order. A batch of more assets than the limit has all of them for its time."""
        slots = self._slots
        heard = dict.fromkeys(names)
        fresh = []
        for name in heard:
            slot = slots.pop(name, None)
            if slot is None:
                fresh.append(name)
            else:
                slots[name] = slot
        spare = max(0, len(slots) + len(fresh) - self._limit)
        forgotten = [name for name in islice(slots, spare) if name not in heard]
        cleared = [slots.pop(name) for name in forgotten]
        self._free += cleared
        for name in fresh:
            slots[name] = self._free.pop() if self._free else self._fresh()
        found = np.array([slots[name] for name in names], np.int64)
        return Seated(found, tuple(forgotten), np.array(cleared, np.int64))

    def forget(self, names: Sequence[str]) -> np.ndarray:
        """Take the slots of these assets back: int64 [n], of those that had one."""
        taken = [self._slots.pop(name) for name in names if name in self._slots]
        self._free += taken
        return np.array(taken, np.int64)

    def _fresh(self) -> int:
        self._next += 1
        return self._next - 1
