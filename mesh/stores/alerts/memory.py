"""Alerts in memory: the same promises as in Redis, for one process. Tests and trials without a server use it."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from mesh.alerts import ACTIONS, Action, Alert, AlertEvent, Group, Mark, Policy
from mesh.alerts.digest import NAMED_KEYS, describe, digest_id, higher, opening
from mesh.alerts.lifecycle import MESH
from mesh.errors import NotFound, WrongState
from mesh.stores.alerts.documents import BUDGET_IDS
from mesh.stores.alerts.query import (
    SCANNED,
    AlertPage,
    AlertQuery,
    Change,
    ChangeKind,
    checked_cursor,
    member_of,
)
from mesh.stores.alerts.written import ALONE, UNKNOWN, Outcome, Written, summed

_WINDOWS: Final = 1_000
"""Budget windows that are remembered; the oldest makes room."""

_WAITING: Final = 1_000
"""Changes that wait for one slow follower; the oldest is dropped."""


@dataclass(slots=True)
class _Window:
    """What was spent of one budget window, and the verdict on each alert."""

    spent: int = 0
    number: int = 1
    verdicts: dict[str, str] = field(default_factory=dict)
    began: dict[str, str] = field(default_factory=dict)
    """By digest the alert that opened it."""
    cleared: set[str] = field(default_factory=set)


class MemoryAlerts:
    """A writer, a book and the changes."""

    def __init__(self, policy: Policy | None = None) -> None:
        self._policy = policy or Policy()
        self._alerts: dict[str, Alert] = {}
        self._windows: dict[int, _Window] = {}
        self._followers: list[asyncio.Queue[Change]] = []

    async def write(self, events: Sequence[AlertEvent]) -> Written:
        """As `AlertWriter.write`."""
        outcomes = [self._opened(one) if one.kind == "opened" else self._followed(one) for one in events]
        grouped = {one.verdict for one in outcomes} - {ALONE, UNKNOWN}
        digests = {
            name: describe(self._alerts[name], self._policy.budget) for name in grouped & self._alerts.keys()
        }
        return summed(outcomes, digests)

    async def budget_left(self, at: int) -> int:
        """As `AlertWriter.budget_left`."""
        budget = self._policy.budget
        return max(0, budget.allowance - self._windows.get(budget.window(at), _Window()).spent)

    async def get(self, alert: str) -> Alert:
        """As `AlertBook.get`."""
        return describe(self._found(alert), self._policy.budget)

    async def page(self, query: AlertQuery) -> AlertPage:
        """As `AlertBook.page`."""
        after = None if query.cursor is None else checked_cursor(query.cursor)
        lower = "" if query.since is None else f"{max(0, query.since):016d}"
        ordered = sorted(((member_of(one.opened), one) for one in self._alerts.values()), reverse=True)
        left = [(place, one) for place, one in ordered if place >= lower and (after is None or place < after)]
        found: list[Alert] = []
        for number, (place, one) in enumerate(left[:SCANNED], 1):
            if _fits(one, query):
                found.append(describe(one, self._policy.budget))
            if len(found) == query.limit or number == SCANNED:
                return AlertPage(tuple(found), place if number < len(left) else None)
        return AlertPage(tuple(found), None)

    async def act(self, alert: str, action: Action, actor: str, at: int, note: str = "") -> Alert:
        """As `AlertBook.act`."""
        found, step = self._found(alert), ACTIONS[action]
        mark = found.acknowledged if step.ends == "acknowledged" else found.resolved
        if found.state != step.ends or mark is None or mark.actor != actor:
            if found.state not in step.begins:
                raise WrongState(f"alert '{alert}'", found.state, action)
            done = Mark(actor, at, note)
            found = replace(found, state=step.ends)
            acknowledges = step.ends == "acknowledged"
            found = replace(found, acknowledged=done) if acknowledges else replace(found, resolved=done)
            self._keep(found, action)
        return describe(found, self._policy.budget)

    async def changes(self) -> AsyncGenerator[Change, None]:
        """As `AlertChanges.changes`."""
        queue: asyncio.Queue[Change] = asyncio.Queue(_WAITING)
        self._followers.append(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self._followers.remove(queue)

    def _opened(self, event: AlertEvent) -> Outcome:
        number = self._policy.budget.window(event.opened_at)
        window = self._windows.setdefault(number, _Window())
        if event.id in window.verdicts:
            verdict = window.verdicts[event.id]
            return Outcome(event, verdict, fresh=False, began=window.began.get(verdict) == event.id)
        if event.id in self._alerts:
            return Outcome(event, ALONE, fresh=False)
        verdict, began = ALONE, False
        if event.severity == "critical" or window.spent < self._policy.budget.allowance:
            window.spent += 1
            self._keep(Alert(event, "open", event.at, event.count), "opened")
        else:
            verdict, began = self._grouped(event, number, window)
        if len(window.verdicts) < BUDGET_IDS:
            window.verdicts[event.id] = verdict
        while len(self._windows) > _WINDOWS:
            del self._windows[next(iter(self._windows))]
        self._trim()
        return Outcome(event, verdict, fresh=True, began=began)

    def _grouped(self, event: AlertEvent, number: int, window: _Window) -> tuple[str, bool]:
        """Put an alert into its window's digest: the digest's id, and whether it began with it."""
        digest = self._alerts.get(digest_id(number, window.number))
        if digest is not None and digest.state == "resolved":
            window.number += 1
            digest = None
        began = digest is None
        if digest is None:
            digest = Alert(opening(event, number, window.number), "open", event.at, 0)
            window.began[digest.id] = event.id
        severity = higher(digest.opened.severity, event.severity)
        grown = replace(
            digest,
            opened=replace(digest.opened, severity=severity),
            last_at=max(digest.last_at, event.at),
            count=digest.count + 1,
            groups=_with(digest.groups, event),
        )
        self._keep(grown, "grouped")
        return digest.id, began

    def _followed(self, event: AlertEvent) -> Outcome:
        alert = self._alerts.get(event.id)
        if alert is None:
            return self._followed_in_digest(event)
        if event.kind == "cleared" and alert.cleared_at is not None:
            return Outcome(event, ALONE, fresh=False)
        fresh = event.at > alert.last_at
        if fresh:
            alert = replace(alert, last_at=event.at, count=event.count)
        if event.kind == "cleared":
            fresh = True
            alert = replace(alert, cleared_at=event.at)
            if alert.state != "resolved":
                alert = replace(alert, state="resolved", resolved=Mark(MESH, event.at))
        if fresh:
            self._keep(alert, event.kind)
        return Outcome(event, ALONE, fresh)

    def _followed_in_digest(self, event: AlertEvent) -> Outcome:
        window = self._windows.get(self._policy.budget.window(event.opened_at), _Window())
        verdict = window.verdicts.get(event.id, UNKNOWN)
        digest = self._alerts.get(verdict)
        if digest is None or event.kind != "cleared" or event.id in window.cleared:
            return Outcome(event, verdict, fresh=False)
        window.cleared.add(event.id)
        self._keep(replace(digest, cleared=digest.cleared + 1), "cleared")
        return Outcome(event, verdict, fresh=True)

    def _keep(self, alert: Alert, kind: ChangeKind) -> None:
        self._alerts[alert.id] = alert
        for queue in self._followers:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(Change(alert.id, kind, alert.state))

    def _found(self, alert: str) -> Alert:
        if alert not in self._alerts:
            raise NotFound(f"there is no alert '{alert[:80]}'; GET /alerts lists those that are kept")
        return self._alerts[alert]

    def _trim(self) -> None:
        retention, alerts = self._policy.retention, self._alerts
        while len(alerts) > retention.alerts:
            del alerts[
                min(alerts.values(), key=lambda one: (one.state != "resolved", member_of(one.opened))).id
            ]
        horizon = max(one.opened.opened_at for one in alerts.values()) - retention.keep_ms
        for name in [name for name, one in alerts.items() if one.opened.opened_at < horizon]:
            del alerts[name]


def _fits(alert: Alert, query: AlertQuery) -> bool:
    opened = alert.opened
    values = {"state": alert.state, "severity": opened.severity, "asset": opened.asset, "rule": opened.rule}
    return all(values[name] == value for name, value in query.filters.items())


def _with(groups: Sequence[Group], event: AlertEvent) -> tuple[Group, ...]:
    """The groups with one more alert; its key is named while there is room."""
    known = {group.rule: group for group in groups}
    group = known.get(event.rule, Group(event.rule, 0, {}))
    keys = dict(group.keys)
    if event.key in keys or sum(len(one.keys) for one in groups) < NAMED_KEYS:
        keys[event.key] = keys.get(event.key, 0) + 1
    known[event.rule] = Group(event.rule, group.count + 1, dict(sorted(keys.items())))
    return tuple(known[rule] for rule in sorted(known))
