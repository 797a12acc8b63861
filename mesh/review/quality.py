"""How good the mesh is, and the people who judge it: figures from facts. Pure."""

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mesh.review.agreement import Agreement, agreement
from mesh.review.estimates import Audited, Estimate, Rates, rates, simple_share
from mesh.review.values import Label

_P: Final = (0.5, 0.95)


@dataclass(frozen=True, slots=True)
class Spoken:
    """A standing decision that named a label, by somebody who saw the prediction."""

    model: str
    version: str
    actor: str
    overrides: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class Fault:
    """An item whose label is "anomaly": when the trouble began, when an alert opened (None: none did), and what people did.

    `onset` is what a person said, else when the alert's condition began. All are epoch milliseconds.
    """

    onset: int | None
    opened_at: int | None
    acknowledged_at: int | None = None
    resolved_at: int | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What the records say of a stretch of time. `twice` are the labels of each item that chance gave to two people.

    `turnarounds` are milliseconds from an item's making to its decision. `alerts` counts alerts by window of the budget.
    """

    audit: Sequence[Audited]
    twice: Sequence[Sequence[Label]]
    spoken: Sequence[Spoken]
    faults: Sequence[Fault]
    turnarounds: Sequence[int]
    alerts: Mapping[int, int]
    waiting: int
    overdue: int


@dataclass(frozen=True, slots=True)
class Delay:
    """Seconds: mean, median, 95th percentile, over `count`; `missed` had no end to measure. None where count is 0."""

    mean: float | None
    median: float | None
    p95: float | None
    count: int
    missed: int


@dataclass(frozen=True, slots=True)
class BudgetUse:
    """Windows with an alert, those that spent more than `allowance` alerts, and the most that one held."""

    allowance: int
    windows: int
    exceeded: int
    most: int


@dataclass(frozen=True, slots=True)
class Quality:
    """The figures. Override rates are by `model@version` and by person, of decisions that saw the prediction."""

    rates: Rates
    rates_by_model: Mapping[str, Rates]
    agreement: Agreement
    overrides: Estimate
    overrides_by_model: Mapping[str, Estimate]
    overrides_by_person: Mapping[str, Estimate]
    detection: Delay
    repair: Delay
    turnaround: Delay
    seconds: Delay
    budget: BudgetUse
    waiting: int
    overdue: int


def quality(facts: Facts, allowance: int) -> Quality:
    """All figures; `allowance` is how many alerts a window of the budget bears."""
    spoken = facts.spoken
    return Quality(
        rates=rates(facts.audit),
        rates_by_model=_rates_by_model(facts.audit),
        agreement=agreement(facts.twice),
        overrides=_share(spoken),
        overrides_by_model=_by([(_version(one), one) for one in spoken]),
        overrides_by_person=_by([(one.actor, one) for one in spoken]),
        detection=_detection(facts.faults),
        repair=_repair(facts.faults),
        turnaround=delay([one / 1_000 for one in facts.turnarounds], 0),
        seconds=delay([one.seconds for one in spoken if one.seconds > 0], 0),
        budget=_budget(facts.alerts, allowance),
        waiting=facts.waiting,
        overdue=facts.overdue,
    )


def _rates_by_model(audit: Sequence[Audited]) -> dict[str, Rates]:
    groups: defaultdict[str, list[Audited]] = defaultdict(list)
    for row in audit:
        groups[row.model or "unknown"].append(row)
    return {name: rates(groups[name]) for name in sorted(groups)}


def delay(seconds: Sequence[float], missed: int) -> Delay:
    """The summary of delays; quantiles are those of the sample (nearest rank)."""
    if not seconds:
        return Delay(None, None, None, 0, missed)
    ordered = sorted(seconds)
    median, high = (ordered[min(len(ordered) - 1, int(p * len(ordered)))] for p in _P)
    return Delay(statistics.fmean(ordered), median, high, len(ordered), missed)


def _detection(faults: Iterable[Fault]) -> Delay:
    """Mean time to detect: from the onset to the alert. A fault without an alert is missed, and has no time."""
    found, missed = [], 0
    for fault in faults:
        if fault.opened_at is None:
            missed += 1
        elif fault.onset is not None:
            found.append(max(0, fault.opened_at - fault.onset) / 1_000)
    return delay(found, missed)


def _repair(faults: Iterable[Fault]) -> Delay:
    """Mean time to repair: from the acknowledgement to the resolution. Those not resolved yet are missed."""
    found, missed = [], 0
    for fault in faults:
        if fault.acknowledged_at is not None and fault.resolved_at is not None:
            found.append(max(0, fault.resolved_at - fault.acknowledged_at) / 1_000)
        elif fault.opened_at is not None:
            missed += 1
    return delay(found, missed)


def _share(spoken: Sequence[Spoken]) -> Estimate:
    return simple_share(sum(one.overrides for one in spoken), len(spoken))


def _version(one: Spoken) -> str:
    """A version that is hosted beside others says so in its name already."""
    return one.model if "@" in one.model else f"{one.model or 'unknown'}@{one.version or '?'}"


def _by(named: Iterable[tuple[str, Spoken]]) -> dict[str, Estimate]:
    groups: defaultdict[str, list[Spoken]] = defaultdict(list)
    for name, one in named:
        groups[name].append(one)
    return {name: _share(groups[name]) for name in sorted(groups)}


def _budget(alerts: Mapping[int, int], allowance: int) -> BudgetUse:
    used = Counter(alerts)
    exceeded = sum(count > allowance for count in used.values())
    return BudgetUse(allowance, len(used), exceeded, max(used.values(), default=0))
