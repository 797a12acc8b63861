"""From counts to verdicts: each metric fails, succeeds, or says nothing yet."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf, log
from typing import Final, Literal

from mesh.rollouts.plan import Metric, MetricKind, Plan
from mesh.rollouts.statistics.beta_binomial import lower_proportion, upper_proportion
from mesh.rollouts.statistics.betting import log_wealth_above, log_wealth_below
from mesh.rollouts.statistics.quantiles import Histogram, quantile_interval
from mesh.rollouts.tally import Tally

Verdict = Literal["success", "failure", "inconclusive"]

_SHIFT: Final = (1.0, 0.0, -1.0)
"""What a window adds to the shift of alerts: only the candidate alerted, both or neither did, only the primary did."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one metric says.

    `estimate` is the effect seen, `allowed` the most it may be. Bets have evidence and boundary as logarithms: reaching
    `failure_boundary` says "worse", `success_boundary` "no worse". The others have bounds of the effect, `low` above `allowed`
    says "worse" and `high` at most `allowed` "no worse". `samples` are of the arm that has fewer.
    """

    metric: str
    verdict: Verdict
    reason: str
    samples: int
    allowed: float
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    failure_evidence: float | None = None
    failure_boundary: float | None = None
    success_evidence: float | None = None
    success_boundary: float | None = None


def judge(plan: Plan, tally: Tally) -> tuple[Judgement, ...]:
    """Every metric of the plan, in its order."""
    return tuple(_JUDGES[metric.kind](plan, metric, tally) for metric in plan.metrics)


def _bets(plan: Plan, metric: Metric) -> tuple[float, float]:
    """The logarithms that evidence must reach: for failure and for success."""
    share = plan.failure_alpha(metric) if metric.tested else plan.alpha
    return log(1.0 / share), log(1.0 / plan.success_alpha)


def _shift(plan: Plan, metric: Metric, tally: Tally) -> Judgement:
    """McNemar's question, as a bet: does the candidate alert in more windows than the primary, by more than the margin?

    McNemar 1947 asks it of the discordant pairs alone and of a margin of 0; betting on the difference, which is 1, 0 or -1,
    allows a margin. `either` bets both ways: failure shares its error between them, success needs both.
    """
    counts = (tally.only_candidate, tally.both + tally.neither, tally.only_primary)
    mirrored = counts[::-1]
    sides = {"increase": (counts,), "decrease": (mirrored,), "either": (counts, mirrored)}[metric.direction]
    failure, success = _bets(plan, metric)
    failure += log(len(sides))
    worse = max(log_wealth_above(_SHIFT, side, metric.margin) for side in sides)
    fine = min(log_wealth_below(_SHIFT, side, metric.margin) for side in sides)
    estimate = (tally.only_candidate - tally.only_primary) / tally.pairs if tally.pairs else None
    return _bet(metric, tally.pairs, estimate, (worse, failure), (fine, success))


def _discordance(plan: Plan, metric: Metric, tally: Tally) -> Judgement:
    """The share of windows in which only one of them alerts."""
    apart = tally.only_primary + tally.only_candidate
    counts = (apart, tally.pairs - apart)
    failure, success = _bets(plan, metric)
    worse = log_wealth_above((1.0, 0.0), counts, metric.margin)
    fine = log_wealth_below((1.0, 0.0), counts, metric.margin)
    estimate = apart / tally.pairs if tally.pairs else None
    return _bet(metric, tally.pairs, estimate, (worse, failure), (fine, success))


def _bet(
    metric: Metric,
    samples: int,
    estimate: float | None,
    worse: tuple[float, float],
    fine: tuple[float, float],
) -> Judgement:
    verdict: Verdict = "inconclusive"
    if worse[0] >= worse[1]:
        verdict = "failure"
    elif fine[0] >= fine[1] and samples >= metric.min_samples:
        verdict = "success"
    seen = "nothing seen" if estimate is None else f"{estimate:.2%} of {samples:,} windows"
    reason = f"{seen}, {metric.margin:.2%} allowed"
    return Judgement(
        metric.name, verdict, reason, samples, metric.margin, estimate, None, None, *worse, *fine
    )


def _latency(plan: Plan, metric: Metric, tally: Tally) -> Judgement:
    """The quantile of the candidate's calls against the primary's of the same time, each known within its sequence."""
    mine, theirs = tally.latency_of("candidate"), tally.latency_of("primary")
    samples, allowed = min(mine.total, theirs.total), 1.0 + metric.margin
    a, b = mine.quantile(metric.quantile), theirs.quantile(metric.quantile)

    def bounds(values: Histogram, alpha: float) -> tuple[float, float]:
        return quantile_interval(values, metric.quantile, alpha / 2.0)

    def least(alpha: float) -> float:
        high = bounds(theirs, alpha)[1]
        return bounds(mine, alpha)[0] / high if high else 0.0

    def most(alpha: float) -> float:
        low = bounds(theirs, alpha)[0]
        return bounds(mine, alpha)[1] / low if low else inf

    seen = (
        "nothing seen" if a is None or b is None else f"p{metric.quantile * 100:g} {a:.3g} against {b:.3g} ms"
    )
    estimate = a / b if a is not None and b else None
    reason = f"{seen} over {samples:,} calls, {allowed:.2f} times allowed"
    return _interval(plan, metric, samples, (allowed, estimate, reason), least, most)


def _proportion(plan: Plan, metric: Metric, tally: Tally) -> Judgement:
    """A proportion of the candidate's against the primary's of the same time."""
    mine, theirs = tally.counts_of(metric.kind, "candidate"), tally.counts_of(metric.kind, "primary")
    samples = min(mine.trials, theirs.trials)

    def least(alpha: float) -> float:
        low = lower_proportion(mine.hits, mine.trials, alpha / 2.0)
        return low - upper_proportion(theirs.hits, theirs.trials, alpha / 2.0)

    def most(alpha: float) -> float:
        high = upper_proportion(mine.hits, mine.trials, alpha / 2.0)
        return high - lower_proportion(theirs.hits, theirs.trials, alpha / 2.0)

    estimate, seen = None, "nothing seen"
    if samples:
        estimate = mine.hits / mine.trials - theirs.hits / theirs.trials
        seen = f"{mine.hits} of {mine.trials} against {theirs.hits} of {theirs.trials}"
    reason = f"{seen}, {metric.margin:.2%} more allowed"
    return _interval(plan, metric, samples, (metric.margin, estimate, reason), least, most)


def _interval(
    plan: Plan,
    metric: Metric,
    samples: int,
    said: tuple[float, float | None, str],
    least: Callable[[float], float],
    most: Callable[[float], float],
) -> Judgement:
    """Failure where the `least` that the effect may be is above what is allowed, success where the `most` is not."""
    allowed, estimate, reason = said
    failure_alpha = plan.failure_alpha(metric) if metric.tested else plan.alpha
    low, high = least(failure_alpha), most(plan.success_alpha)
    verdict: Verdict = "inconclusive"
    if samples and low > allowed:
        verdict = "failure"
    elif samples >= max(1, metric.min_samples) and high <= allowed:
        verdict = "success"
    return Judgement(metric.name, verdict, reason, samples, allowed, estimate, low, high)


def _threshold(plan: Plan, metric: Metric, tally: Tally) -> Judgement:
    """A value and a limit, no statistics: it fails after so many looks in a row above the limit."""
    del plan
    value = tally.values.get(metric.name)
    limit = limit_of(metric, None if value is None else value.primary)
    if value is None or limit is None:
        return Judgement(metric.name, "inconclusive", "no value yet", 0, metric.limit or 0.0)
    looks = tally.over_limit.get(metric.name, 0)
    verdict: Verdict = "success" if value.candidate <= limit else "inconclusive"
    if looks >= metric.looks:
        verdict = "failure"
    reason = f"{value.candidate:.4g}, {limit:.4g} allowed" + (
        f", above it {looks} looks in a row" if looks else ""
    )
    return Judgement(metric.name, verdict, reason, 1, limit, value.candidate)


def limit_of(metric: Metric, primary: float | None) -> float | None:
    """The most that a threshold metric's value may be; None where that takes the primary's, which is not known."""
    if metric.ratio is None:
        return metric.limit
    return None if primary is None else metric.ratio * primary


_JUDGES: Final[Mapping[MetricKind, Callable[[Plan, Metric, Tally], Judgement]]] = {
    "alert_disagreement": _shift,
    "discordance": _discordance,
    "latency": _latency,
    "threshold": _threshold,
    "error_rate": _proportion,
    "reviewed_fpr": _proportion,
    "override_rate": _proportion,
}
