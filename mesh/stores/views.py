"""What a view promises: whose features, which columns in which order, how long they stand, how long they are kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Final

DAY_MS: Final = 86_400_000
KAFKA_TIME: Final = "kafka"
"""The created time of a view whose records do not carry one: the timestamp that Kafka gave the record."""
RESERVED: Final = frozenset(
    {"entity", "event_time", "created_time", "kafka_partition", "kafka_offset", "day", "tier"}
)
"""Columns of every table; no feature may take their names."""


def digest_of(columns: Sequence[str]) -> str:
    """Names a row's layout: rows of another digest hold other numbers. 16 hexadecimal digits."""
    return blake2b("\n".join(columns).encode(), digest_size=8).hexdigest()


@dataclass(frozen=True, slots=True)
class Tiers:
    """How a day of history ages, counted from its end.

    After `warm_after_ms` its files are joined; after `cold_after_ms` only the last row of each `cold_period_ms` of an entity
    is kept; after `retention_ms` it goes. `kept_windows` is a CSV file of windows that stay whole, or empty.
    """

    warm_after_ms: int = 0
    cold_after_ms: int = 7 * DAY_MS
    cold_period_ms: int = 60_000
    retention_ms: int = 400 * DAY_MS
    kept_windows: str = ""


@dataclass(frozen=True, slots=True)
class FeatureView:
    """A set of features of one kind of entity.

    `entity`, `event_time`, `created_time` and `transform_key` are keys of a record's metadata (`created_time` may be
    `KAFKA_TIME`). `transform` is the digest that a record says under `transform_key`; `topic` is where records come from.
    A row older than `ttl_ms` stands for nothing any more.
    """

    name: str
    columns: tuple[str, ...]
    transform: str
    topic: str
    entity: str = "asset"
    event_time: str = "ts"
    created_time: str = KAFKA_TIME
    transform_key: str = "names"
    ttl_ms: int = 3_600_000
    tiers: Tiers = Tiers()


@dataclass(frozen=True, slots=True)
class FeatureStore:
    """Everything that `features.yaml` declares. `history` is a folder or an `s3://` address, and may be relative."""

    history: str
    views: Mapping[str, FeatureView]

    def address_of(self, view: FeatureView, root: Path) -> str:
        """`HISTORY/VIEW/DIGEST`; a relative folder starts from `root`, an address with a scheme stays.

        One table for each transform: rows that were computed by other code never mix.
        """
        place = self.history if "://" in self.history else str(root / self.history)
        return f"{place.rstrip('/')}/{view.name}/{view.transform}"
