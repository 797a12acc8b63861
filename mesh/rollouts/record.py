"""What is kept of the evidence: counts, where each feed was read up to, what was judged, and how that came about."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from mesh.rollouts.judging import Judgement, judge, limit_of
from mesh.rollouts.plan import Plan
from mesh.rollouts.tally import Observations, Tally

TRACE: Final = 400
"""Points of a plot; when there are more, every other one is left out."""


@dataclass(frozen=True, slots=True)
class Point:
    """A metric at one look: evidence as in `Judgement`, or the bounds of its effect."""

    at_ms: int
    samples: int
    failure: float | None
    success: float | None


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that was seen of one rollout. `cursors` are by feed, `traces` by metric, oldest first."""

    tally: Tally = field(default_factory=Tally)
    cursors: Mapping[str, str] = field(default_factory=dict)
    judgements: tuple[Judgement, ...] = ()
    traces: Mapping[str, tuple[Point, ...]] = field(default_factory=dict)
    looked_ms: int = 0


def looked(
    plan: Plan, before: Evidence, seen: Sequence[Observations], cursors: Mapping[str, str], now_ms: int
) -> Evidence:
    """The evidence after one more look. While a feed is behind, windows close by its time: their rest may still come."""
    tally = before.tally
    upto_ms = min([now_ms, *(part.upto_ms for part in seen if part.upto_ms is not None)])
    for part in seen:
        tally = _counting_looks(plan, tally.with_seen(part, upto_ms, plan.window_ms), part)
    judgements = judge(plan, tally)
    traces = {
        one.metric: _traced(before.traces.get(one.metric, ()), _point(one, now_ms)) for one in judgements
    }
    return Evidence(tally, {**before.cursors, **cursors}, judgements, traces, now_ms)


def _counting_looks(plan: Plan, tally: Tally, seen: Observations) -> Tally:
    """How often in a row each new value was above its limit."""
    over = dict(tally.over_limit)
    for metric in plan.metrics:
        value = seen.values.get(metric.name)
        limit = None if value is None else limit_of(metric, value.primary)
        if value is not None and limit is not None:
            # A value that is no number is not within its limit.
            over[metric.name] = 0 if value.candidate <= limit else over.get(metric.name, 0) + 1
    return replace(tally, over_limit=over)


def _point(one: Judgement, now_ms: int) -> Point:
    if one.failure_evidence is not None:
        return Point(now_ms, one.samples, one.failure_evidence, one.success_evidence)
    return Point(now_ms, one.samples, _finite(one.low), _finite(one.high))


def _finite(value: float | None) -> float | None:
    """JSON has no infinity."""
    return None if value is None or value in (float("inf"), float("-inf")) else value


def _traced(trace: tuple[Point, ...], point: Point) -> tuple[Point, ...]:
    if trace and trace[-1].samples == point.samples:
        return trace
    grown = (*trace, point)
    return grown if len(grown) <= TRACE else (*grown[:-1:2], point)
