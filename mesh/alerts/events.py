"""What the alert stage says: an alert opened, is told again, or cleared."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

from mesh.alerts.rules import Severity

EventKind = Literal["opened", "updated", "cleared"]
Values = Mapping[str, bool | float | str | None]
"""What an alert shows of its row: plain values, None for a missing one."""


@dataclass(frozen=True, slots=True)
class Place:
    """One record in Kafka."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}-{self.offset}"


@dataclass(frozen=True, slots=True)
class AlertEvent:
    """One change of one alert; each carries all that a reader needs. Times are milliseconds since 1970, of the rows.

    `since` is when the condition began to hold, `opened_at` when the alert opened, `at` the time of this event. `count` are the
    rows for which the condition held. `first` is the record that it began with, `record` the one that caused this event.
    """

    kind: EventKind
    id: str
    rule: str
    severity: Severity
    asset: str
    key: str
    since: int
    opened_at: int
    at: int
    count: int
    summary: str
    runbook: str
    values: Values
    first: Place
    record: Place


def alert_id(rule: str, key: str, first: Place, again: int = 0) -> str:
    """The id of an alert: 20 hexadecimal digits from its rule, its key and the record that it began with.

    `again` counts the alerts before it that began with the same record, which may close several rows.
    """
    words = (rule, key, str(first), *([str(again)] if again else []))
    return blake2b("\0".join(words).encode("utf-8", "replace"), digest_size=10).hexdigest()
