"""What people say of the two arms of a rollout, from the records: the evidence of `reviewed_fpr` and `override_rate`."""

from collections.abc import Callable, Mapping
from typing import Final

from mesh.errors import StoreAway
from mesh.records.transactions import Transactions
from mesh.review.heard import Heard, HeardDecisions
from mesh.rollouts.controller import wall_ms
from mesh.rollouts.plan import MetricKind, Plan
from mesh.rollouts.tally import Arm, Counted, Observations

SETTLED_MS: Final = 15_000
"""Decisions are read once they are so old: a transaction waits up to `WAIT_S` for another's lock after the time that it says, and
clocks of routers differ."""
SPAN_MS: Final = 3_600_000
"""The most that one look reads."""
_KINDS: Final[frozenset[MetricKind]] = frozenset({"reviewed_fpr", "override_rate"})


class ReviewFeed:
    """As `EvidenceFeed`. The cursor is two times in milliseconds: since when items count, and up to when they were read."""

    def __init__(
        self, transactions: Transactions, heard: HeardDecisions, now_ms: Callable[[], int] = wall_ms
    ) -> None:
        """`transactions` reads in its threads."""
        self._transactions, self._heard, self._now_ms = transactions, heard, now_ms

    async def read(self, plan: Plan, cursor: str) -> tuple[Observations, str]:
        """As `EvidenceFeed.read`; nothing for a plan that has no metric of people."""
        if not any(metric.kind in _KINDS for metric in plan.metrics):
            return Observations(), cursor
        now = self._now_ms()
        if not cursor:
            return Observations(), f"{now}:{now}"
        since, after = _read(cursor)
        until = min(now - SETTLED_MS, after + SPAN_MS)
        if until <= after:
            return Observations(), cursor
        models = (plan.primary, plan.candidate)
        said = await self._transactions.read(lambda: self._heard.between(models, since, after, until))
        return observations_of(plan, said), f"{since}:{until}"


def observations_of(plan: Plan, said: Mapping[str, Heard]) -> Observations:
    """What was said of the models, by arm."""
    arms: tuple[tuple[Arm, str], ...] = (("primary", plan.primary), ("candidate", plan.candidate))
    heard = {arm: said[model] for arm, model in arms if model in said}
    counts: dict[MetricKind, dict[Arm, Counted]] = {
        "reviewed_fpr": {arm: Counted(one.false_alerts, one.healthy) for arm, one in heard.items()},
        "override_rate": {arm: Counted(one.overridden, one.decided) for arm, one in heard.items()},
    }
    # Whoever takes an override back and confirms instead leaves one hit less in as many trials: that counts too.
    told = {
        kind: {arm: one for arm, one in arms.items() if one != Counted()} for kind, arms in counts.items()
    }
    return Observations(counted={kind: arms for kind, arms in told.items() if arms})


def _read(cursor: str) -> tuple[int, int]:
    since, _, after = cursor.partition(":")
    if not (since.isdigit() and after.isdigit()):
        raise StoreAway("the evidence of rollouts", f"the place '{cursor[:40]}' is none of the reviews'")
    return int(since), int(after)
