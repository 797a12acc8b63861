"""Alerts as JSON and as fields of a Redis hash."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, cast

import msgspec

from mesh.alerts import Alert, AlertEvent, Group, Mark, Policy, Severity, State
from mesh.alerts.digest import NAMED_KEYS, describe
from mesh.stores.alerts.query import Change

BUDGET_IDS: Final = 1_000
"""Alerts of one window whose verdict is remembered; a repeat of one past that may be counted twice in its digest."""

BUDGET_DAYS: Final = 2
"""How long verdicts are remembered: longer than any record waits to be read again."""

_encoder = msgspec.json.Encoder()
_events = msgspec.json.Decoder(AlertEvent)
_changes = msgspec.json.Decoder(Change)


def event_json(event: AlertEvent) -> bytes:
    """An event as one JSON object, as it goes to the alert topic."""
    return _encoder.encode(event)


def event_of_json(document: bytes) -> AlertEvent:
    """The event that `event_json` wrote; `msgspec.DecodeError` for anything else."""
    return _events.decode(document)


def change_of_json(document: bytes) -> Change:
    """A change as the scripts publish it."""
    return _changes.decode(document)


def policy_json(policy: Policy) -> bytes:
    """What the scripts have to know of the policy."""
    return _encoder.encode(
        {
            "per_ms": policy.budget.per_ms,
            "allowance": policy.budget.allowance,
            "ids": BUDGET_IDS,
            "budget_s": BUDGET_DAYS * 86_400,
            "alerts": policy.retention.alerts,
            "keep_ms": policy.retention.keep_ms,
            "named": NAMED_KEYS,
        }
    )


def alert_of(fields: Mapping[bytes, bytes], policy: Policy) -> Alert:
    """The alert that a hash holds."""
    cleared_at = fields.get(b"cleared_at")
    severity = cast("Severity", fields[b"severity"].decode())  # a digest's grows with what goes into it
    alert = Alert(
        opened=replace(event_of_json(fields[b"doc"]), severity=severity),
        state=cast("State", fields[b"state"].decode()),
        last_at=int(fields[b"at"]),
        count=int(fields[b"count"]),
        acknowledged=_mark(fields, b"acknowledged"),
        resolved=_mark(fields, b"resolved"),
        cleared_at=None if cleared_at is None else int(cleared_at),
        groups=_groups(fields),
        cleared=int(fields.get(b"cleared", 0)),
    )
    return describe(alert, policy.budget)


def _mark(fields: Mapping[bytes, bytes], state: bytes) -> Mark | None:
    actor = fields.get(state + b"_by")
    if actor is None:
        return None
    return Mark(actor.decode(), int(fields[state + b"_at"]), fields.get(state + b"_note", b"").decode())


def _groups(fields: Mapping[bytes, bytes]) -> tuple[Group, ...]:
    """`g:RULE` counts a rule's alerts, `k:RULE:KEY` those of one key; a rule's name holds no colon."""
    counts: dict[str, int] = {}
    keys: dict[str, dict[str, int]] = {}
    for field, value in fields.items():
        name = field.decode()
        if name.startswith("g:"):
            counts[name[2:]] = int(value)
        elif name.startswith("k:"):
            rule, _, key = name[2:].partition(":")
            keys.setdefault(rule, {})[key] = int(value)
    return tuple(
        Group(rule, count, dict(sorted(keys.get(rule, {}).items()))) for rule, count in sorted(counts.items())
    )
