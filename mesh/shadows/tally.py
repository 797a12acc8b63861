"""How shadows compare in one process: counts that only grow, and bounded examples. Lives on one thread."""

import time
from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import numpy as np

from mesh.engine.compared import Compared, ShadowKey
from mesh.shadows.values import LATENCY_BOUNDS, Disagreement, PairedRow, ShadowCounts, ShadowNews, Side

KEPT: Final = 100
"""Disagreements that are kept of a comparison, here and in the book."""
PAIRS: Final = 2_000
"""Paired rows of a comparison that are kept from one telling to the next: the first ones, whatever they hold."""


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class ShadowTally:
    """Told by an engine of every comparison."""

    def __init__(self, now_ms: Callable[[], int] = _now_ms) -> None:
        """`now_ms` is milliseconds since 1970."""
        self._now_ms = now_ms
        self._counts: dict[ShadowKey, ShadowCounts] = {}
        self._disagreements: dict[ShadowKey, deque[Disagreement]] = {}
        self._pairs: dict[ShadowKey, list[PairedRow]] = defaultdict(list)

    def missed(self, key: ShadowKey, outcome: str, rows: int) -> None:
        """Rows that were not compared: `failed` or `dropped`."""
        counts = self._counts.get(key, ShadowCounts())
        self._counts[key] = (
            replace(counts, failed=counts.failed + rows)
            if outcome == "failed"
            else replace(counts, dropped=counts.dropped + rows)
        )

    def compared(self, what: Compared) -> None:
        """Rows that were."""
        self._counts[what.key] = self._counts.get(what.key, ShadowCounts()).plus(_counts_of(what))
        kept, at = self._pairs[what.key], self._now_ms()
        room = PAIRS - len(kept)
        if room > 0:
            kept += [_pair(what, row, at) for row in range(min(room, len(what.ids)))]
        for row in np.flatnonzero(what.disagree)[-KEPT:].tolist():
            examples = self._disagreements.setdefault(what.key, deque(maxlen=KEPT))
            examples.append(_disagreement(what, row, at))

    def take(self) -> ShadowNews:
        """What there is to tell; examples and pairs are told once."""
        news = ShadowNews(
            dict(self._counts),
            {key: tuple(examples) for key, examples in self._disagreements.items()},
            {key: tuple(rows) for key, rows in self._pairs.items()},
        )
        self._disagreements.clear()
        self._pairs.clear()
        return news


def _counts_of(what: Compared) -> ShadowCounts:
    found = what.comparison
    apart = what.scores[1] - what.scores[0]
    apart = apart[~np.isnan(apart)]
    size = np.abs(apart)
    mine, theirs = what.primary_seconds, what.shadow_seconds
    timed = mine is not None and theirs is not None
    return ShadowCounts(
        compared=found.rows,
        disagreed=found.label_disagreements,
        score_rows=len(apart),
        score_sum=float(apart.sum()),
        score_abs_sum=float(size.sum()),
        score_abs_max=float(size.max(initial=0.0)),
        output_values=found.values,
        output_abs_sum=found.mean_abs_difference * found.values,
        output_abs_max=found.max_abs_difference,
        incomparable=found.incomparable,
        timed_calls=int(timed),
        seconds_sum=theirs - mine if mine is not None and theirs is not None else 0.0,
        primary_seconds=_bucketed(mine),
        shadow_seconds=_bucketed(theirs),
    )


def _bucketed(seconds: float | None) -> tuple[int, ...]:
    counts = [0] * (len(LATENCY_BOUNDS) + 1)
    if seconds is not None:
        counts[bisect_left(LATENCY_BOUNDS, seconds)] = 1
    return tuple(counts)


def _pair(what: Compared, row: int, at: int) -> PairedRow:
    (mine, theirs), (one, other) = what.labels, what.scores
    return PairedRow(
        at,
        what.ids[row],
        what.keys[row],
        float(one[row]),
        float(other[row]),
        mine[row],
        theirs[row],
        bool(what.disagree[row]),
        what.primary_seconds,
        what.shadow_seconds,
    )


def _disagreement(what: Compared, row: int, at: int) -> Disagreement:
    (mine, theirs), (one, other) = what.labels, what.scores
    origin = what.primary_origin
    return Disagreement(
        at,
        what.ids[row],
        what.keys[row],
        Side(origin.model, origin.version, mine[row], _number(one[row])),
        Side(what.key.shadow, what.shadow_version, theirs[row], _number(other[row])),
    )


def _number(score: float) -> float | None:
    return None if np.isnan(score) else float(score)
