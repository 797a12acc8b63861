"""How shadows compare over all processes."""

from collections import deque
from collections.abc import Sequence
from typing import Final, Protocol

from mesh.engine.compared import ShadowKey
from mesh.shadows.tally import KEPT
from mesh.shadows.values import Disagreement, PairedRow, Pairs, ShadowCounts, ShadowNews, ShadowReport

PAIRS_KEPT: Final = 20_000
"""Paired rows that are kept of a comparison for readers."""
KEYS: Final = 256
"""Comparisons that are kept; the one that was told of longest ago makes room."""
PROCESSES: Final = 1_000
"""Processes that are told apart, far more than tell at a time; what the longest silent one counted is kept as one sum."""
_GONE: Final = ""
"""Stands for every process that is told apart no more."""


class ShadowFeed(Protocol):
    """Reads comparisons: what a rollout weighs and a page shows."""

    async def reports(self) -> Sequence[ShadowReport]:
        """Every comparison, in the order of their keys."""
        ...

    async def pairs(self, key: ShadowKey, after: int) -> Pairs:
        """The paired rows told after `after` (0: all that are kept)."""
        ...


class ShadowBook:
    """Adds up what processes tell."""

    def __init__(self) -> None:
        """Nothing yet."""
        self._told: dict[str, int] = {}
        self._counts: dict[ShadowKey, dict[str, ShadowCounts]] = {}
        self._disagreements: dict[ShadowKey, deque[Disagreement]] = {}
        self._pairs: dict[ShadowKey, deque[PairedRow]] = {}
        self._upto: dict[ShadowKey, int] = {}

    def take(self, process: str, number: int, news: ShadowNews) -> None:
        """What `process` tells for the `number`th time; told again, nothing counts twice."""
        for key, counts in news.counts.items():
            self._newest(key)[process] = counts
        told = self._told.pop(process, 0)
        self._told[process] = max(told, number)  # from the longest silent to the latest
        if len(self._told) > PROCESSES:
            self._join(next(iter(self._told)))
        if number <= told:
            return
        for key, examples in news.disagreements.items():
            self._disagreements.setdefault(key, deque(maxlen=KEPT)).extend(examples)
        for key, rows in news.pairs.items():
            self._pairs.setdefault(key, deque(maxlen=PAIRS_KEPT)).extend(rows)
            self._upto[key] = self._upto.get(key, 0) + len(rows)

    def reports(self) -> tuple[ShadowReport, ...]:
        """Every comparison, in the order of their keys."""
        keys = sorted(self._counts, key=lambda key: (key.endpoint, key.route, key.shadow, key.primary))
        return tuple(self._report(key) for key in keys)

    def pairs(self, key: ShadowKey, after: int) -> Pairs:
        """The paired rows told after `after`."""
        kept, upto = self._pairs.get(key, ()), self._upto.get(key, 0)
        first = upto - len(kept)
        if after > upto:  # a reader of an earlier life of this book begins anew
            after = 0
        start = max(0, after - first)
        rows = tuple(kept)[start:]
        return Pairs(rows, upto, max(0, first - after))

    def _join(self, process: str) -> None:
        """A process that has long been gone: its counts become part of one sum."""
        del self._told[process]
        for by_process in self._counts.values():
            counts = by_process.pop(process, None)
            if counts is not None:
                by_process[_GONE] = by_process.get(_GONE, ShadowCounts()).plus(counts)

    def _report(self, key: ShadowKey) -> ShadowReport:
        total = ShadowCounts()
        for counts in self._counts[key].values():
            total = total.plus(counts)
        return ShadowReport(key, total, tuple(reversed(self._disagreements.get(key, ()))))

    def _newest(self, key: ShadowKey) -> dict[str, ShadowCounts]:
        by_process = self._counts.pop(key, {})
        while len(self._counts) >= KEYS:
            oldest = next(iter(self._counts))
            for kept in (self._counts, self._disagreements, self._pairs, self._upto):
                kept.pop(oldest, None)
        self._counts[key] = by_process
        return by_process


class MemoryShadows:
    """A `ShadowFeed` over a book of this process."""

    def __init__(self, book: ShadowBook) -> None:
        """Reads `book`."""
        self._book = book

    async def reports(self) -> Sequence[ShadowReport]:
        """See `ShadowFeed`."""
        return self._book.reports()

    async def pairs(self, key: ShadowKey, after: int) -> Pairs:
        """See `ShadowFeed`."""
        return self._book.pairs(key, after)
