"""What a process sees of the rollouts that are under way: pairs of shadows, times and failures of calls, who answered.

An engine's observer calls it for every answer, so it only counts; once a second somebody takes what has come together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import numpy as np

from mesh.rollouts.plan import AlertRule, Plan
from mesh.rollouts.statistics.quantiles import Histogram, bin_of
from mesh.rollouts.tally import Arm, Counted, Observations, PairSeen
from mesh.routing.types import Answer

MAX_PAIRS: Final = 50_000
"""Windows that wait to be taken; more are lost, and counted as lost."""


class ShadowPair(Protocol):
    """Which primary and which shadow were compared."""

    @property
    def endpoint(self) -> str:
        """The endpoint."""
        ...

    @property
    def primary(self) -> str:
        """The model that answered."""
        ...

    @property
    def shadow(self) -> str:
        """The model that was compared."""
        ...


class ComparedRows(Protocol):
    """Rows that both have scored, one value a row; of two columns the first is the primary's."""

    @property
    def key(self) -> ShadowPair:
        """Which comparison."""
        ...

    @property
    def keys(self) -> Sequence[str]:
        """The sticky keys."""
        ...

    @property
    def labels(self) -> tuple[Sequence[object], Sequence[object]]:
        """The labels, None for none."""
        ...

    @property
    def scores(self) -> tuple[np.ndarray, np.ndarray]:
        """The scores, float64, NaN for none."""
        ...


@dataclass(slots=True)
class _Seen:
    """What came together for one rollout."""

    plan: Plan
    pairs: dict[tuple[int, str], tuple[bool, bool]] = field(default_factory=dict)
    latencies: dict[Arm, dict[int, int]] = field(default_factory=dict)
    calls: dict[Arm, list[int]] = field(default_factory=dict)
    rows: dict[Arm, int] = field(default_factory=dict)
    lost: int = 0


class Watch:
    """Counts for the plans it was last given. Lives on one event loop."""

    def __init__(self) -> None:
        """Nothing to watch."""
        self._seen: dict[str, _Seen] = {}

    def follow(self, plans: Sequence[Plan]) -> None:
        """Watch these from now on; what was seen of others is forgotten."""
        known = self._seen
        self._seen = {
            plan.name: known[plan.name]
            if plan.name in known and known[plan.name].plan == plan
            else _Seen(plan)
            for plan in plans
        }

    def compared(self, rows: ComparedRows, now_ms: int) -> None:
        """A shadow was compared."""
        for seen in self._seen.values():
            plan = seen.plan
            key = rows.key
            if (key.endpoint, key.primary, key.shadow) == (plan.endpoint, plan.primary, plan.candidate):
                _note_pairs(seen, rows, now_ms // plan.window_ms)

    def called(self, model: str, answered: bool, seconds: float) -> None:
        """A call of a model came back, or did not."""
        for seen in self._seen.values():
            arm = _arm_of(seen.plan, model)
            if arm is None:
                continue
            calls = seen.calls.setdefault(arm, [0, 0])
            calls[0] += not answered
            calls[1] += 1
            if answered:
                counts = seen.latencies.setdefault(arm, {})
                place = bin_of(seconds * 1000.0)
                counts[place] = counts.get(place, 0) + 1

    def answered(self, endpoint: str, answer: Answer) -> None:
        """An endpoint answered rows."""
        for seen in self._seen.values():
            if seen.plan.endpoint != endpoint:
                continue
            known = answer.origin_of[answer.origin_of >= 0]
            counts = np.bincount(known, minlength=len(answer.origins)).tolist()
            for origin, rows in zip(answer.origins, counts, strict=True):
                arm = _arm_of(seen.plan, origin.model)
                if arm is not None and rows:
                    seen.rows[arm] = seen.rows.get(arm, 0) + rows

    def take(self) -> dict[str, Observations]:
        """What came since the last time, by rollout; only rollouts of which something came."""
        taken = {name: _observations(seen) for name, seen in self._seen.items()}
        self._seen = {name: _Seen(seen.plan) for name, seen in self._seen.items()}
        return {name: one for name, one in taken.items() if one != Observations()}

    @property
    def watching(self) -> bool:
        """There is a rollout to watch."""
        return bool(self._seen)


def _arm_of(plan: Plan, model: str) -> Arm | None:
    return "candidate" if model == plan.candidate else "primary" if model == plan.primary else None


def _note_pairs(seen: _Seen, rows: ComparedRows, window: int) -> None:
    rule, (mine, theirs) = seen.plan.alert, zip(rows.labels, rows.scores, strict=True)
    primaries, candidates = alerts_of(rule, *mine), alerts_of(rule, *theirs)
    spoken = _said(rule, *mine) & _said(rule, *theirs)
    if rule.score_at_least is None:  # names may be given to the labels alone that alert
        spoken |= primaries | candidates
    seen.lost += int(np.count_nonzero(~spoken))
    for row in np.flatnonzero(spoken).tolist():
        primary, candidate = bool(primaries[row]), bool(candidates[row])
        place = (window, rows.keys[row])
        known = seen.pairs.get(place)
        if known is None and len(seen.pairs) >= MAX_PAIRS:
            seen.lost += 1
            continue
        before = known or (False, False)
        seen.pairs[place] = (before[0] or primary, before[1] or candidate)


def alerts_of(rule: AlertRule, labels: Sequence[object], scores: np.ndarray) -> np.ndarray:
    """Bool [n]: the rows that alert. A row without a score or label does not."""
    if rule.score_at_least is not None:
        with np.errstate(invalid="ignore"):
            return np.asarray(scores >= rule.score_at_least)
    return np.array([str(label) in rule.labels and label is not None for label in labels], np.bool_)


def _said(rule: AlertRule, labels: Sequence[object], scores: np.ndarray) -> np.ndarray:
    """Bool [n]: the rows of which it is known whether they alert. One that says nothing is no evidence that all is quiet."""
    if rule.score_at_least is not None:
        return np.asarray(~np.isnan(scores))
    return np.array([label is not None for label in labels], np.bool_)


def _observations(seen: _Seen) -> Observations:
    errors: Mapping[Arm, Counted] = {arm: Counted(*calls) for arm, calls in seen.calls.items()}
    counted: dict[Any, Mapping[Arm, Counted]] = {"error_rate": errors} if errors else {}
    return Observations(
        pairs=tuple(PairSeen(unit, window, *both) for (window, unit), both in seen.pairs.items()),
        latencies={arm: Histogram(counts) for arm, counts in seen.latencies.items()},
        counted=counted,
        rows=dict(seen.rows),
        lost=seen.lost,
    )
