"""Per row, the sources that may answer it: the newest on top, settled only when something reads it.

A later route pushes; a source that fails is taken away, which uncovers the one below. `top` is the entry on
top of each row and `known` the highest entry that has answered it, -1 for none. A row is settled when they
are equal: what is on top has answered, or there is nothing.
"""

from collections.abc import Sequence

import numpy as np

from mesh.routing.plan import Source


class Entry:
    """One push: a source and the rows that it is still in the stack of, ascending."""

    __slots__ = ("floor", "number", "rows", "source")

    def __init__(self, number: int, source: Source, rows: np.ndarray, floor: int) -> None:
        """Below it in any stack are entries numbered under `floor`."""
        self.number = number
        self.source = source
        self.rows = rows
        self.floor = floor


class Stack:
    """The stacks of all rows of a batch of `n`."""

    __slots__ = ("_cover", "_whole", "entries", "known", "n", "open", "top")

    def __init__(self, n: int) -> None:
        """Nothing pushed."""
        self.n = n
        self.entries: list[Entry] = []
        self.top = _nothing(n)
        self.known = _nothing(n)
        self.open = False  # some row may be unsettled
        self._cover: Entry | None = None  # the entry on top of every row, if one is
        self._whole: Entry | None = None  # the entry that has answered every row, if one has

    def push(self, source: Source, rows: np.ndarray, floor: int | None = None) -> Entry:
        """Put `source` on top of `rows`. Lower entries are those under `floor`, by default all there are."""
        number = len(self.entries)
        entry = Entry(number, source, rows, number if floor is None else floor)
        self.entries.append(entry)
        self.top[rows] = number
        self.open = True
        self._cover = entry if len(rows) == self.n else None
        return entry

    def unsettled(self) -> np.ndarray:
        """The rows whose top has not answered, ascending."""
        rows: np.ndarray = (self.top != self.known).nonzero()[0]
        self.open = len(rows) > 0
        return rows

    def by_top(self, rows: np.ndarray) -> Sequence[tuple[Entry, np.ndarray]]:
        """`rows` by the entry on top of them."""
        entries = self.entries
        if len(rows) == 1:
            return ((entries[self.top[rows[0]]], rows),)
        tops = self.top[rows]
        return [(entries[k], rows[tops == k]) for k in np.bincount(tops).nonzero()[0].tolist()]

    def settle(self, entry: Entry, rows: np.ndarray) -> None:
        """`entry`, on top of `rows`, has answered them."""
        self.known[rows] = entry.number
        if len(rows) < self.n:
            self._whole = None
        else:
            self._whole = entry
            self.open = self._cover is not entry

    def replace(self, entry: Entry, source: Source, rows: np.ndarray) -> None:
        """`entry`, on top of `rows`, has failed on them, and `source` takes its place."""
        entry.rows = _without(entry.rows, rows)
        self.push(source, rows, entry.floor)

    def pop(self, entry: Entry, rows: np.ndarray) -> None:
        """`entry`, on top of `rows`, has failed on them."""
        entry.rows = _without(entry.rows, rows)
        self._cover = None
        left = rows
        for below in reversed(self.entries[: entry.floor]):
            if not len(left):
                return
            uncovered = left[np.isin(left, below.rows, assume_unique=True)]
            if len(uncovered):
                self.top[uncovered] = below.number
                left = _without(left, uncovered)
        self.top[left] = -1

    def clear(self, rows: np.ndarray) -> None:
        """Take everything from `rows`: they are to have no answer."""
        for entry in self.entries:
            entry.rows = entry.rows[~np.isin(entry.rows, rows, assume_unique=True)]
        self.top[rows] = self.known[rows] = -1
        self._cover = self._whole = None

    def under(self, tops: np.ndarray, rows: np.ndarray) -> Sequence[tuple[Entry, np.ndarray]]:
        """`rows` by the entry that `tops`, [n], an earlier copy of `top`, holds for them; those with none left out."""
        rows = rows[tops[rows] >= 0]
        tops = tops[rows]
        return [(self.entries[k], rows[tops == k]) for k in np.unique(tops).tolist()]

    def answered(self) -> Sequence[tuple[Entry, np.ndarray]]:
        """The rows that have an answer, by the entry that gave it."""
        if self._whole is not None:
            return ((self._whole, self._whole.rows),)
        rows = (self.known >= 0).nonzero()[0]
        if not len(rows):
            return ()
        known = self.known[rows]
        numbers = np.bincount(known).nonzero()[0].tolist()
        return [(self.entries[k], rows[known == k]) for k in numbers]


def _nothing(n: int) -> np.ndarray:
    numbers = np.empty(n, np.intp)
    numbers.fill(-1)
    return numbers


def _without(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """`rows` but for `others`, which are all among them."""
    return rows[:0] if len(others) == len(rows) else rows[~np.isin(rows, others, assume_unique=True)]
