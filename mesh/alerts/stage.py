"""Scored rows → alert events. Conditions are evaluated over whole batches; only rows that matter are looked at one by one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from math import isfinite
from typing import Final

import numpy as np

from mesh.alerts.condition import Change, Condition
from mesh.alerts.events import AlertEvent, EventKind, Place, Values, alert_id
from mesh.alerts.rows import ScoredRows
from mesh.alerts.rules import Rule
from mesh.alerts.watchlist import Watchlist
from mesh.routing.masks import Column
from mesh.routing.sticky import key_text

ORIGIN: Final = ("model", "version")
"""Columns that say who scored a row. An alert carries them where there are any: feedback on it is feedback on them."""
_MAX_TEXT: Final = 200
_MAX_KEY: Final = 128
_MAX_WHOLE: Final = 2**53


@dataclass(frozen=True, slots=True)
class Judged:
    """What a batch of rows led to: events in the order of their rows.

    `held_off` are rules whose alert was held off, once each time. `forgotten_keys` and `forgotten_assets` made room for others:
    what they had open is not followed any more.
    """

    events: tuple[AlertEvent, ...]
    held_off: tuple[str, ...]
    forgotten_keys: int
    forgotten_assets: tuple[str, ...]


class AlertStage:
    """The rules, and what is remembered of assets whose conditions are not idle.

    The bound on assets is the only thing that depends on which assets share a stage: give it what the signal chain remembers.
    """

    def __init__(self, rules: Sequence[Rule], max_assets: int = 10_000, max_keys: int = 64) -> None:
        self._rules = [_Judge(rule) for rule in rules]
        self._watch = Watchlist([rule.name for rule in rules], max_assets, max_keys)

    @property
    def reads(self) -> frozenset[str]:
        """The attributes that rules, keys and summaries read: the columns that rows should bring."""
        return frozenset().union(*(judge.reads for judge in self._rules))

    def take(self, rows: ScoredRows) -> Judged:
        """Judge N rows. Splitting a batch or joining two changes no event."""
        tally = _Tally()
        for judge in self._rules:
            judge.judge(rows, self._watch, tally)
        tally.events.sort(key=lambda pair: pair[0])
        silent = self._watch.heard(rows.assets)
        events = tuple(event for _, event in tally.events)
        return Judged(events, tuple(tally.held_off), tally.forgotten_keys, silent)

    def dump(self, assets: Sequence[str]) -> dict[str, bytes]:
        """The state of each of these assets; those that are idle, so nearly all, are left out."""
        return self._watch.dump(assets)

    def load(self, states: Mapping[str, bytes]) -> int:
        """Put dumped states in place of what is known of these assets. Returns the keys of rules that there are no longer.

        Raises:
            ValueError: bytes that `dump` did not write.
        """
        return self._watch.load(states)

    def forget(self, assets: Sequence[str]) -> None:
        """Forget everything about these assets."""
        self._watch.forget(assets)


@dataclass(slots=True)
class _Tally:
    """What the rules have said of a batch so far; events stand beside their rows."""

    events: list[tuple[int, AlertEvent]] = field(default_factory=list)
    held_off: list[str] = field(default_factory=list)
    forgotten_keys: int = 0


class _Judge:
    """One rule at work."""

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._shows = rule.shows
        clears = frozenset() if rule.clear_when is None else rule.clear_when.reads
        self.reads = frozenset(self._shows) | clears | ({rule.key} if rule.key else frozenset())

    def judge(self, rows: ScoredRows, watch: Watchlist, tally: _Tally) -> None:
        """Add what this rule says of the rows."""
        rule, known = self._rule, watch.of(self._rule.name)
        holds = rule.when.mask(len(rows), rows.column)
        chosen = _rows_that_matter(rows.assets, holds, known)
        if not chosen:
            return
        clears = ~holds if rule.clear_when is None else rule.clear_when.mask(len(rows), rows.column)
        keys = self._keys(rows)
        at = np.array(chosen)
        judged = zip(chosen, rows.time[at].tolist(), holds[at].tolist(), clears[at].tolist(), strict=True)
        cleared: dict[tuple[str, str], tuple[Place | None, int]] = {}  # the rows of a record are all here
        for row, time, held, clear in judged:
            asset = rows.assets[row]
            key = asset if keys is None else _key(asset, keys[row])
            condition = known[asset].get(key) if asset in known else None
            if condition is None:
                if not held:
                    continue
                condition = Condition()
            change = condition.see(rule, time, holds=held, clears=clear)
            if held and condition.first is None:
                condition.first = rows.place(row)
                first, again = cleared.get((asset, key), (None, 0))
                condition.again = again + 1 if first == condition.first else 0
            if change == "cleared":
                cleared[asset, key] = condition.first, condition.again
            if change is not None:
                self._tell(change, condition, rows, row, key, tally)
            tally.forgotten_keys += watch.put(rule.name, asset, key, condition)

    def _tell(
        self, change: Change, condition: Condition, rows: ScoredRows, row: int, key: str, tally: _Tally
    ) -> None:
        if change == "held_off":
            tally.held_off.append(self._rule.name)
            return
        tally.events.append((row, self._event(change, condition, rows, row, key)))
        if change == "cleared":
            condition.end()

    def _keys(self, rows: ScoredRows) -> Sequence[object] | None:
        if self._rule.key is None:
            return None
        column = rows.column(self._rule.key)
        if column is None:
            return [None] * len(rows)
        return column.tolist() if isinstance(column, np.ndarray) else column

    def _event(
        self, kind: EventKind, condition: Condition, rows: ScoredRows, row: int, key: str
    ) -> AlertEvent:
        rule, first = self._rule, condition.first or rows.place(row)
        opened = condition.last if condition.opened is None else condition.opened
        values = {**_origin(rows, row), **_values(rows, row, self._shows)}
        return AlertEvent(
            kind=kind,
            id=alert_id(rule.name, key, first, condition.again),
            rule=rule.name,
            severity=rule.severity,
            asset=rows.assets[row],
            key=key,
            since=opened if condition.since is None else condition.since,
            opened_at=opened,
            at=condition.last,
            count=condition.rows,
            summary=rule.summary.fill(values),
            runbook=rule.runbook,
            values=values,
            first=first,
            record=rows.place(row),
        )


def _rows_that_matter(assets: Sequence[str], holds: np.ndarray, known: Mapping[str, object]) -> list[int]:
    """The rows of assets that have something to remember, or get it here: then every later row of theirs counts."""
    fresh = {assets[row] for row in np.flatnonzero(holds).tolist()}
    if not fresh and not known:
        return []
    return [row for row, asset in enumerate(assets) if asset in fresh or asset in known]


def _key(asset: str, value: object) -> str:
    """`asset/value`; the asset alone where the row has no value. A long value is cut, and told apart by its hash."""
    text = key_text(value)
    if text is None:
        return asset
    text = _sendable(text)
    if len(text) > _MAX_KEY:
        text = f"{text[:_MAX_KEY]}~{blake2b(text.encode(), digest_size=4).hexdigest()}"
    return f"{asset}/{text}"


def _values(rows: ScoredRows, row: int, names: Sequence[str]) -> Values:
    return {name: _plain(rows.column(name), row) for name in names}


def _origin(rows: ScoredRows, row: int) -> Values:
    return {name: value for name in ORIGIN if (value := _plain(rows.column(name), row))}


def _plain(column: Column, row: int) -> bool | float | str | None:
    """One value as JSON can hold it; None for what is missing, not finite or no plain value."""
    if column is None:
        return None
    value = column[row]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str):
        return _sendable(value[:_MAX_TEXT])
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) <= _MAX_WHOLE else None
    return value if isinstance(value, float) and isfinite(value) else None


def _sendable(text: str) -> str:
    """The text with `?` for half a surrogate pair, which JSON can hold and UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode()
