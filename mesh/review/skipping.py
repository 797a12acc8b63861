"""A random audit of rows that have no lasting name and pass one or a few at a time, as those of requests. Pure but for the draw.

Each row is drawn by itself with one probability. Instead of tossing a coin for each, the number of rows until the next is drawn
at once (C. T. Fan, M. E. Muller, I. Rezucha, "Development of sampling plans by using sequential (item by item) selection
techniques and digital computers", JASA 57, 1962, method 1 for geometric gaps): a row that is not drawn costs a subtraction. The
geometric distribution has no memory, so the gap may be drawn anew whenever the probability changes.
"""

import math
from collections.abc import Callable

from mesh.review.sampling import HOUR_MS, AuditPlan, Decayed

Draw = Callable[[], float]
_NEVER = 2**62


class SkipSampler:
    """Draws rows with one probability, flagged or not: to know of every row whether it is would cost more than its answer."""

    def __init__(self, plan: AuditPlan, draw: Draw) -> None:
        """`draw` gives numbers in [0, 1). Nothing is drawn before the first `adjust`."""
        self.plan = plan
        self.inclusion = plan.floor
        self._draw = draw
        self._rows, self._items = Decayed(plan.half_life_ms), Decayed(plan.half_life_ms)
        self._left = self._began = _NEVER

    def asked(self, items: int, now: int) -> None:
        """So many items that chance did not draw were made."""
        self._items.add(items, now)

    def adjust(self, now: int) -> None:
        """Settle the probability of the rows that come next by those that have come."""
        self._rows.add(self._began - self._left, now)
        plan, rate = self.plan, self._rows.per_ms
        wanted = max(plan.least_per_hour / HOUR_MS, plan.share / (1 - plan.share) * self._items.per_ms)
        self.inclusion = min(1.0, max(plan.floor, wanted / rate)) if rate else plan.floor
        self._left = self._began = self._gap()

    def passed(self, rows: int) -> bool:
        """So many rows pass; whether one of them is drawn. Then ask `drawn` which."""
        self._left -= rows
        return self._left < 0

    def drawn(self, rows: int) -> list[int]:
        """The places of those drawn among the `rows` that last passed."""
        found, at = [], rows + self._left
        while at < rows:
            found.append(at)
            at += 1 + self._gap()
        self._began += at - (rows + self._left)
        self._left = at - rows
        return found

    def _gap(self) -> int:
        """Rows before the next that is drawn."""
        if self.inclusion >= 1:
            return 0
        return int(math.log1p(-self._draw()) / math.log1p(-self.inclusion))
