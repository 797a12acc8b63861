"""Where the features of an asset's past come from: history in Delta tables, what was kept in memory, one after the other."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Protocol

import numpy as np

from mesh.errors import MeshError
from mesh.review.ports import Signal, Signals
from mesh.stores.online import OnlineStore
from mesh.stores.rows import FeatureBatch
from mesh.stores.views import FeatureView

MOST: Final = 400
"""Rows of one signal; of more, every n-th is taken."""


class History(Protocol):
    """What is asked of `mesh.stores.delta_reader.DeltaReader`."""

    def history(self, entity: str, start: int, end: int) -> Iterator[FeatureBatch]:
        """Rows of an entity with start ≤ event time ≤ end, in order. Blocks."""
        ...


class HistorySignals:
    """`Signals` from a feature view's history; `open_history` is called in a thread, each time, so that it sees new rows."""

    def __init__(self, view: FeatureView, open_history: Callable[[], History]) -> None:
        self._view, self._open = view, open_history

    async def around(self, asset: str, start: int, end: int) -> Signal | None:
        """As `Signals.around`. Raises `StoreFailed` where there is no table yet."""
        return await asyncio.to_thread(self._read, asset, start, end)

    def _read(self, asset: str, start: int, end: int) -> Signal | None:
        batches = list(self._open().history(asset, start, end))
        if not batches:
            return None
        times = np.concatenate([batch.event_time for batch in batches])
        values = np.concatenate([batch.values for batch in batches])
        step = -(-len(times) // MOST)
        return Signal(self._view.columns, times[::step], values[::step])


class RecentSignals:
    """`Signals` of this process's memory: at most `rows` of each of `assets`; the longest silent asset makes room."""

    def __init__(self, names: Sequence[str], rows: int = MOST, assets: int = 1_000) -> None:
        self._names, self._rows, self._assets = tuple(names), rows, assets
        self._kept: dict[str, deque[tuple[int, np.ndarray]]] = {}

    def add(self, asset: str, time: int, values: np.ndarray) -> None:
        """Keep a row, float64 [F]; one that is not newer than the last is left out."""
        rows = self._kept.pop(asset, None)
        if rows is None:
            rows = deque(maxlen=self._rows)
        if not rows or time > rows[-1][0]:
            rows.append((time, values))
        self._kept[asset] = rows
        if len(self._kept) > self._assets:
            del self._kept[next(iter(self._kept))]

    async def around(self, asset: str, start: int, end: int) -> Signal | None:
        """As `Signals.around`."""
        rows = [(time, values) for time, values in self._kept.get(asset, ()) if start <= time <= end]
        if not rows:
            return None
        return Signal(
            self._names, np.array([time for time, _ in rows], np.int64), np.stack([v for _, v in rows])
        )


class NewestSignals:
    """`Signals` of one row: the newest of the online store, where it is near enough."""

    def __init__(self, view: FeatureView, store: OnlineStore) -> None:
        self._view, self._store = view, store

    async def around(self, asset: str, start: int, end: int) -> Signal | None:
        """As `Signals.around`. Raises `OnlineAway`."""
        (row,) = await self._store.read(self._view, [asset])
        if row is None or row.transform != self._view.transform or not start <= row.event_time <= end:
            return None
        return Signal(self._view.columns, np.array([row.event_time], np.int64), row.values[np.newaxis])


class FirstSignals:
    """`Signals` of the first source that knows something; one that fails is passed over while another answers."""

    def __init__(self, sources: Sequence[Signals]) -> None:
        self._sources = tuple(sources)

    async def around(self, asset: str, start: int, end: int) -> Signal | None:
        """As `Signals.around`. Raises the last error where no source answers."""
        failed: MeshError | None = None
        for source in self._sources:
            try:
                found = await source.around(asset, start, end)
            except MeshError as error:
                failed = error
            else:
                if found is not None:
                    return found
        if failed is not None:
            raise failed
        return None
