"""What is asked of the alert store, and what it answers."""

from dataclasses import dataclass
from typing import Final, Literal

from mesh.alerts import Alert, AlertEvent, Severity, State
from mesh.errors import InvalidInput

MAX_LIMIT: Final = 200
"""The most alerts of one page."""

SCANNED: Final = 2_000
"""Alerts that one page looks at; with rare filters it may hold fewer than were asked for, and go on at its cursor."""

ChangeKind = Literal["opened", "updated", "cleared", "grouped", "acknowledge", "resolve"]


@dataclass(frozen=True, slots=True)
class AlertQuery:
    """Filters, all of which must fit; None fits everything. `since` is the earliest `opened_at` in milliseconds."""

    state: State | None = None
    severity: Severity | None = None
    asset: str | None = None
    rule: str | None = None
    since: int | None = None
    limit: int = 50
    cursor: str | None = None

    @property
    def filters(self) -> dict[str, str]:
        """The equalities among the filters."""
        named = {"state": self.state, "severity": self.severity, "asset": self.asset, "rule": self.rule}
        return {name: value for name, value in named.items() if value is not None}


@dataclass(frozen=True, slots=True)
class AlertPage:
    """Alerts, newest first. `cursor` asks for the next page; None after the last."""

    alerts: tuple[Alert, ...]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class Change:
    """Something happened to an alert, which is now in this state."""

    id: str
    kind: ChangeKind
    state: State


def member_of(event: AlertEvent) -> str:
    """An alert's place in the order of time; texts compare as times do."""
    return f"{max(0, event.opened_at):016d}:{event.id}"


def checked_cursor(cursor: str) -> str:
    """The cursor; `InvalidInput` for a text that no page gave."""
    time, colon, alert = cursor.partition(":")
    if len(time) != 16 or not time.isdigit() or not colon or not alert:
        raise InvalidInput("cursor", f"'{cursor[:60]}' is none; take the cursor of the page before")
    return cursor
