"""Counts of one comparison while they grow: cheap to add to, made a value when they are told."""

from bisect import bisect_left

import numpy as np

from mesh.engine.compared import Compared
from mesh.shadows.values import LATENCY_BOUNDS, ShadowCounts


class Running:
    """`ShadowCounts` that can be added to."""

    __slots__ = ("_primary_seconds", "_shadow_seconds", "_sums")

    def __init__(self) -> None:
        """All zero."""
        self._sums: dict[str, float] = {}
        self._primary_seconds = [0] * (len(LATENCY_BOUNDS) + 1)
        self._shadow_seconds = [0] * (len(LATENCY_BOUNDS) + 1)

    def missed(self, outcome: str, rows: int) -> None:
        """Rows that were not compared: `failed` or `dropped`."""
        self._add(outcome, rows)

    def compared(self, what: Compared) -> None:
        """Rows that were."""
        found = what.comparison
        with np.errstate(invalid="ignore", over="ignore"):
            apart = what.scores[1] - what.scores[0]
        apart = apart[np.isfinite(apart)]  # sums that grow would never be finite again
        size = np.abs(apart)
        self._add("compared", found.rows)
        self._add("disagreed", found.label_disagreements)
        self._add("score_rows", len(apart))
        self._add("score_sum", float(apart.sum()))
        self._add("score_abs_sum", float(size.sum()))
        self._most("score_abs_max", float(size.max(initial=0.0)))
        self._add("output_values", found.values)
        self._add("output_abs_sum", found.mean_abs_difference * found.values)
        self._most("output_abs_max", found.max_abs_difference)
        self._add("incomparable", found.incomparable)
        self._time(what.primary_seconds, what.shadow_seconds)

    def value(self) -> ShadowCounts:
        """The counts so far."""
        fields = ShadowCounts.__dataclass_fields__
        sums = {name: int(value) if fields[name].type is int else value for name, value in self._sums.items()}
        return ShadowCounts(
            **sums,  # type: ignore[arg-type]
            primary_seconds=tuple(self._primary_seconds),
            shadow_seconds=tuple(self._shadow_seconds),
        )

    def _time(self, mine: float | None, theirs: float | None) -> None:
        if mine is not None:
            self._primary_seconds[bisect_left(LATENCY_BOUNDS, mine)] += 1
        if theirs is not None:
            self._shadow_seconds[bisect_left(LATENCY_BOUNDS, theirs)] += 1
        if mine is not None and theirs is not None:
            self._add("timed_calls", 1)
            self._add("seconds_sum", theirs - mine)

    def _add(self, name: str, value: float) -> None:
        self._sums[name] = self._sums.get(name, 0) + value

    def _most(self, name: str, value: float) -> None:
        self._sums[name] = max(self._sums.get(name, 0.0), value)
