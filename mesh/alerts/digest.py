"""The alert that stands for others: what the budget did not let through in one window."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from mesh.alerts.alert import Alert, Group
from mesh.alerts.events import AlertEvent, EventKind
from mesh.alerts.rules import DIGEST, SEVERITIES, Budget, Severity

NAMED_KEYS: Final = 50
"""Keys that one digest names; further ones are counted with their rule."""

_SHOWN_KEYS: Final = 5
_UNITS: Final = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms"))


def digest_id(window: int, number: int) -> str:
    """The id of a window's digest. `number` counts from 1; it grows where people resolve one before its window is over."""
    return f"{DIGEST}-{window}-{number}"


def opening(event: AlertEvent, window: int, number: int) -> AlertEvent:
    """The event that opens a digest because of its first alert; its summary and count are told by `describe`."""
    return replace(
        event,
        id=digest_id(window, number),
        rule=DIGEST,
        asset="",
        key=str(window),
        count=0,
        summary="",
        runbook="",
        values={},
    )


def higher(one: Severity, other: Severity) -> Severity:
    """The higher of two severities."""
    return max(one, other, key=SEVERITIES.index)


def describe(alert: Alert, budget: Budget) -> Alert:
    """A digest with its summary; any other alert as it is."""
    if alert.opened.rule != DIGEST:
        return alert
    return replace(alert, opened=replace(alert.opened, summary=_summary(alert.count, alert.groups, budget)))


def event_of(alert: Alert, kind: EventKind, cause: AlertEvent) -> AlertEvent:
    """What is told of a digest when `cause` went into it."""
    values = {f"count.{group.rule}": group.count for group in alert.groups}
    return replace(
        alert.opened, kind=kind, at=alert.last_at, count=alert.count, values=values, record=cause.record
    )


def _summary(count: int, groups: Sequence[Group], budget: Budget) -> str:
    told = "; ".join(f"{group.rule}: {group.count} ({_keys(group)})" for group in groups[:_SHOWN_KEYS])
    more = f"; {len(groups) - _SHOWN_KEYS} more rules" if len(groups) > _SHOWN_KEYS else ""
    spent = f"{budget.allowance} in {duration(budget.per_ms)}"
    return f"{count} alert{'s' * (count != 1)} past the budget of {spent}: {told}{more}"


def _keys(group: Group) -> str:
    shown = sorted(group.keys, key=lambda key: (-group.keys[key], key))[:_SHOWN_KEYS]
    more = len(group.keys) - len(shown)
    return ", ".join(shown) + (f", … {more} more" if more else "") if shown else "no keys named"


def duration(ms: int) -> str:
    """`10m`, in the largest unit that divides it."""
    if not ms:
        return "0s"
    return next(f"{ms // size}{unit}" for size, unit in _UNITS if ms % size == 0)
