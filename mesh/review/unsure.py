"""Rows that models are unsure of: of low confidence, or with scores far apart. The most doubtful first, and few. Pure.

Uncertainty sampling (D. D. Lewis, W. A. Gale, "A sequential algorithm for training text classifiers", SIGIR 1994) with the
disagreement of several models (H. S. Seung, M. Opper, H. Sompolinsky, "Query by committee", COLT 1992).
"""

from collections import deque
from collections.abc import Callable
from typing import Final

import numpy as np

from mesh.review.plan import UnsurePlan

HOUR_MS: Final = 3_600_000


class UnsureRows:
    """Chooses rows, and remembers which assets were asked about lately."""

    def __init__(self, plan: UnsurePlan) -> None:
        self._plan = plan
        self._asked_at: dict[str, int] = {}
        self._chosen_at: deque[int] = deque(maxlen=max(1, plan.per_hour))

    def room(self, now: int) -> bool:
        """Whether any may be chosen; ask before going to any trouble."""
        if not self._plan.per_hour:
            return False
        chosen = self._chosen_at
        return len(chosen) < self._plan.per_hour or now - chosen[0] >= HOUR_MS

    def choose(
        self, confidence: np.ndarray | None, spread: np.ndarray | None, asset: Callable[[int], str], now: int
    ) -> list[int]:
        """The rows, by `confidence` and `spread` of scores, float [N] each, NaN or None where there is none."""
        doubts = []
        if confidence is not None:
            doubts.append(np.where(confidence < self._plan.confidence, 1.0 - confidence, 0.0))
        if spread is not None:
            doubts.append(np.where(spread >= self._plan.disagreement, spread, 0.0))
        if not doubts or not self.room(now):
            return []
        doubt = np.sum(doubts, axis=0)
        rows = np.flatnonzero(doubt > 0)
        chosen = []
        for row in rows[np.argsort(-doubt[rows], kind="stable")].tolist():
            if not self.room(now):
                break
            name = asset(row)
            if now - self._asked_at.get(name, -self._plan.quiet_ms) >= self._plan.quiet_ms:
                self._asked_at = {a: at for a, at in self._asked_at.items() if now - at < self._plan.quiet_ms}
                self._asked_at[name] = now
                self._chosen_at.append(now)
                chosen.append(row)
        return chosen
