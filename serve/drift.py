"""What drifts now, as the alert store has it: alerts of the rule `drift` that opened lately and that nobody resolved."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mesh.alerts import Alert
from mesh.alerts.rules import DIGEST
from mesh.errors import StoreAway
from mesh.learning.proposals import RULE
from mesh.rollouts.controller import wall_ms
from mesh.stores.alerts import AlertBook, AlertQuery
from mesh.stores.alerts.query import MAX_LIMIT
from mesh.telemetry.summary import DriftState, Summary

_PAGES: Final = 5


@dataclass(frozen=True, slots=True)
class Drifting:
    """A stream that changed: `at` is when (epoch milliseconds of the rows), `alert` the id of the alert that tells it."""

    stream: str
    at: int
    summary: str
    alert: str


class DriftNow:
    """Reads the alert store, and the scoreboard for what is watched."""

    def __init__(
        self,
        alerts: AlertBook,
        quiet_ms: int,
        read_summary: Callable[[], Awaitable[Summary]],
        now_ms: Callable[[], int] = wall_ms,
    ) -> None:
        """An alarm older than `quiet_ms` is over: the detectors have learned what is usual now."""
        self._alerts, self.quiet_ms, self._now_ms = alerts, quiet_ms, now_ms
        self._read_summary = read_summary

    async def watched(self) -> Sequence[DriftState] | None:
        """Every stream that is watched, in order of its name; None while the scoreboard does not answer."""
        try:
            return (await self._read_summary()).drift
        except StoreAway:
            return None

    async def drifting(self) -> list[Drifting]:
        """Newest first, each stream once; alarms that a digest stands for among them. Raises `StoreAway`."""
        found: dict[str, Drifting] = {}
        for rule in (RULE, DIGEST):
            for alert in await self._lately(rule):
                for one in _streams(alert):
                    if one.stream not in found or one.at > found[one.stream].at:
                        found[one.stream] = one
        return sorted(found.values(), key=lambda one: (-one.at, one.stream))

    async def _lately(self, rule: str) -> list[Alert]:
        since, cursor = self._now_ms() - self.quiet_ms, None
        found: list[Alert] = []
        for _ in range(_PAGES):
            page = await self._alerts.page(AlertQuery(rule=rule, since=since, limit=MAX_LIMIT, cursor=cursor))
            found += [one for one in page.alerts if one.state != "resolved"]
            cursor = page.cursor
            if cursor is None:
                break
        return found


def _streams(alert: Alert) -> list[Drifting]:
    opened = alert.opened
    if opened.rule == RULE:
        return [Drifting(opened.key, opened.opened_at, opened.summary, alert.id)]
    keys: list[Mapping[str, int]] = [group.keys for group in alert.groups if group.rule == RULE]
    return [
        Drifting(key, alert.last_at, f"{key} drifts, told in a digest", alert.id)
        for group in keys
        for key in group
    ]
