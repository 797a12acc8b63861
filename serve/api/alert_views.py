"""Alerts as the API shows them: flat, with times in RFC 3339."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from mesh.alerts import Alert, Group, Mark, Severity, State
from mesh.stores.alerts import AlertPage

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST: Final = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class MarkView:
    """Who changed the state, when, and what they said."""

    actor: str
    at: datetime
    note: str


@dataclass(frozen=True, slots=True)
class GroupView:
    """Alerts of one rule inside a digest; `keys` counts those of each key, as far as it is named."""

    rule: str
    count: int
    keys: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class AlertView:
    """One alert. Times are those of the rows; only people's marks have the time of the clock.

    `count` are the rows for which the condition held, in a digest the alerts that it stands for. `values` are what the condition
    and the summary read. `first_record` is the record that it began with, as `topic-partition-offset`.
    """

    id: str
    state: State
    severity: Severity
    rule: str
    asset: str
    key: str
    summary: str
    runbook: str
    since: datetime
    opened_at: datetime
    last_at: datetime
    cleared_at: datetime | None
    count: int
    values: Mapping[str, bool | float | str | None]
    first_record: str
    acknowledged: MarkView | None
    resolved: MarkView | None
    groups: list[GroupView]
    cleared: int


@dataclass(frozen=True, slots=True)
class PageView:
    """Alerts, newest first; `cursor` asks for the next page and is null after the last."""

    alerts: list[AlertView]
    cursor: str | None


def page_view(page: AlertPage) -> PageView:
    """A page as it is shown."""
    return PageView([alert_view(alert) for alert in page.alerts], page.cursor)


def alert_view(alert: Alert) -> AlertView:
    """An alert as it is shown."""
    opened = alert.opened
    return AlertView(
        id=opened.id,
        state=alert.state,
        severity=opened.severity,
        rule=opened.rule,
        asset=opened.asset,
        key=opened.key,
        summary=opened.summary,
        runbook=opened.runbook,
        since=moment(opened.since),
        opened_at=moment(opened.opened_at),
        last_at=moment(alert.last_at),
        cleared_at=None if alert.cleared_at is None else moment(alert.cleared_at),
        count=alert.count,
        values=opened.values,
        first_record=str(opened.first),
        acknowledged=_mark(alert.acknowledged),
        resolved=_mark(alert.resolved),
        groups=[_group(group) for group in alert.groups],
        cleared=alert.cleared,
    )


def moment(ms: int) -> datetime:
    """A time in milliseconds since 1970, exactly."""
    return _EPOCH + timedelta(milliseconds=ms)


def milliseconds(time: datetime) -> int:
    """The first whole millisecond at or after a time, so that "at or after" and "before" mean the same of either.

    A time without a zone is in UTC. In the last millisecond of the year 9999 it is that one.
    """
    since = (time if time.tzinfo else time.replace(tzinfo=UTC)) - _EPOCH
    return min(-(-since // timedelta(milliseconds=1)), _LAST)


def _mark(mark: Mark | None) -> MarkView | None:
    return None if mark is None else MarkView(mark.actor, moment(mark.at), mark.note)


def _group(group: Group) -> GroupView:
    return GroupView(group.rule, group.count, group.keys)
