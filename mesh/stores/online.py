"""The newest row of each entity: what every online store promises, and the one that needs no server."""

import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import numpy as np

from mesh.stores.rows import FeatureBatch, OnlineRow
from mesh.stores.views import FeatureView

MAX_ENTITIES: Final = 100_000


class OnlineStore(Protocol):
    """Holds one row an entity and view. Raises `OnlineAway` where it does not answer."""

    async def write(self, view: FeatureView, batch: FeatureBatch) -> int:
        """Take those rows that are newer, by event time, than what is there: how many that were.

        Of rows with one event time the first stays, so a repeated batch changes nothing. A row goes `view.ttl_ms` after
        it was written.
        """
        ...

    async def read(self, view: FeatureView, entities: Sequence[str]) -> list[OnlineRow | None]:
        """The row of each entity, None where there is none."""
        ...


class MemoryOnlineStore:
    """An online store in this process, for tests and single-process use; past `limit` rows the oldest written go."""

    def __init__(self, limit: int = MAX_ENTITIES, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit, self._clock = limit, clock
        self._rows: dict[tuple[str, str], tuple[OnlineRow, float]] = {}

    async def write(self, view: FeatureView, batch: FeatureBatch) -> int:
        """As `OnlineStore.write`."""
        now, taken = self._clock(), 0
        for row in newest_rows(batch).tolist():
            key = (view.name, batch.entities[row])
            old = self._live(key, now)
            if old is not None and old.event_time >= batch.event_time[row]:
                continue
            self._rows.pop(key, None)
            self._rows[key] = (_online(view, batch, row), now + view.ttl_ms / 1000)
            taken += 1
        while len(self._rows) > self._limit:
            del self._rows[next(iter(self._rows))]
        return taken

    async def read(self, view: FeatureView, entities: Sequence[str]) -> list[OnlineRow | None]:
        """As `OnlineStore.read`."""
        now = self._clock()
        return [self._live((view.name, entity), now) for entity in entities]

    def _live(self, key: tuple[str, str], now: float) -> OnlineRow | None:
        row, ends = self._rows.get(key, (None, 0.0))
        return row if now < ends else None


def newest_rows(batch: FeatureBatch) -> np.ndarray:
    """Positions of the newest row of each entity, the first of equals; the others need not be sent. int64."""
    newest: dict[str, int] = {}
    times = batch.event_time.tolist()
    for row, entity in enumerate(batch.entities):
        if entity not in newest or times[row] > times[newest[entity]]:
            newest[entity] = row
    return np.fromiter(newest.values(), np.int64, len(newest))


def _online(view: FeatureView, batch: FeatureBatch, row: int) -> OnlineRow:
    return OnlineRow(
        batch.entities[row],
        view.name,
        view.transform,
        int(batch.event_time[row]),
        int(batch.created_time[row]),
        batch.values[row].copy(),
    )
