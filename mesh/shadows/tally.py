"""How shadows compare in one process: counts that only grow, and bounded examples. Lives on one thread."""

import time
from collections import defaultdict, deque
from collections.abc import Callable
from typing import Final

import numpy as np

from mesh.engine.compared import Compared, ShadowKey
from mesh.shadows.running import Running
from mesh.shadows.values import Disagreement, PairedRow, ShadowNews, Side

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
        self._counts: dict[ShadowKey, Running] = defaultdict(Running)
        self._disagreements: dict[ShadowKey, deque[Disagreement]] = {}
        self._pairs: dict[ShadowKey, list[PairedRow]] = defaultdict(list)

    def missed(self, key: ShadowKey, outcome: str, rows: int) -> None:
        """Rows that were not compared: `failed` or `dropped`."""
        self._counts[key].missed(outcome, rows)

    def compared(self, what: Compared) -> None:
        """Rows that were."""
        self._counts[what.key].compared(what)
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
            {key: running.value() for key, running in self._counts.items()},
            {key: tuple(examples) for key, examples in self._disagreements.items()},
            {key: tuple(rows) for key, rows in self._pairs.items()},
        )
        self._disagreements.clear()
        self._pairs.clear()
        return news


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
