"""Reads a view's table: an entity's history, what was known when, the newest row of each entity. Memory is bounded.

Rows come in batches. A point-in-time read holds the keys of the days that its questions reach (about 40 bytes a row) and the
rows that answer.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from mesh.stores.delta_table import from_arrow, milliseconds, open_table, times, told
from mesh.stores.point_in_time import NONE, PointInTime, Versions
from mesh.stores.rows import FeatureBatch
from mesh.stores.views import DAY_MS, FeatureView

FOREVER: Final = int(np.iinfo(np.int64).max)
_KEYS: Final = ["entity", "event_time", "created_time"]
_BATCH_ROWS: Final = 32_768


@dataclass(frozen=True, slots=True)
class Questions:
    """M times what was known of an entity: `as_of` int64 [M] the time it is asked for, `known_at` int64 [M] by when."""

    entities: Sequence[str]
    as_of: np.ndarray
    known_at: np.ndarray


@dataclass(frozen=True, slots=True)
class Joined:
    """The answers. `found` bool [M]; where it is False the times are 0 and `values`, float64 [M, F], are NaN."""

    found: np.ndarray
    event_time: np.ndarray
    created_time: np.ndarray
    values: np.ndarray


class DeltaReader:
    """The table as it is when the reader is made; `refresh` moves on."""

    def __init__(self, address: str, view: FeatureView) -> None:
        """Raises `NoHistory` where there is no table, `StoreFailed` where it cannot be read."""
        self._view, self._address = view, address
        self._table = open_table(address, view)

    def refresh(self) -> None:
        """See what was committed since."""
        with told(self._address):
            self._table.update_incremental()

    def days(self, start: int, end: int) -> list[int]:
        """The days of the table, ascending, as days since 1970, that reach into a stretch of time, both ends included."""
        with told(self._address):
            added = pa.table(self._table.get_add_actions(flatten=True))
        days = pc.unique(added["partition.day"]).cast(pa.date32()).cast(pa.int32()).to_pylist()
        return sorted(day for day in days if (day + 1) * DAY_MS > start and day * DAY_MS <= end)

    def files(self, day: int) -> Mapping[str, int]:
        """The files that a day is made of now, each with its number of rows (0 where the log does not say)."""
        with told(self._address):
            added = pa.table(self._table.get_add_actions(flatten=True))
        chosen = added.filter(pc.equal(added["partition.day"].cast(pa.date32()), _day(day)))
        rows = chosen["num_records"].to_pylist()
        return {path: count or 0 for path, count in zip(chosen["path"].to_pylist(), rows, strict=True)}

    def stretch(self, start: int, end: int) -> FeatureBatch:
        """All entities' rows with start ≤ event time < end, by event time and entity; all are held at once."""
        wanted = _within(start // DAY_MS, (end - 1) // DAY_MS, start, end - 1)
        with told(self._address):
            rows = self._dataset().to_table(filter=wanted, columns=[*_KEYS, *self._view.columns])
        batch = from_arrow(self._view, rows)
        order = np.lexsort((batch.created_time, np.array(batch.entities, dtype=np.str_), batch.event_time))
        return batch.take(order)

    def history(self, entity: str, start: int, end: int, known_at: int = FOREVER) -> Iterator[FeatureBatch]:
        """Rows of an entity with start ≤ event time ≤ end that were known at `known_at`, day by day, in order of time."""
        for day in self.days(start, end):
            wanted = _within(day, day, start, end) & (ds.field("entity") == entity)
            with told(self._address):
                rows = self._dataset().to_table(filter=wanted, columns=[*_KEYS, *self._view.columns])
            batch = from_arrow(self._view, rows)
            order = np.lexsort((batch.created_time, batch.event_time))
            order = order[batch.created_time[order] <= known_at]
            if len(order):
                yield batch.take(order)

    def point_in_time(self, questions: Questions) -> Joined:
        """For each question the newest row that had happened and was known, within the view's ttl."""
        names = sorted(set(questions.entities))
        count, width = len(questions.as_of), len(self._view.columns)
        event, created = np.zeros(count, np.int64), np.zeros(count, np.int64)
        values = np.full((count, width), np.nan)
        if not count:
            return Joined(np.zeros(0, bool), event, created, values)
        earliest, latest = int(questions.as_of.min()) - self._view.ttl_ms, int(questions.as_of.max())
        wanted = _within(earliest // DAY_MS, latest // DAY_MS, earliest, latest)
        wanted &= ds.field("entity").isin(pa.array(names, pa.string()))
        with told(self._address):
            dataset = self._dataset()
            versions = _versions(dataset, wanted, names)
            numbers = {name: number for number, name in enumerate(names)}
            asked = np.fromiter((numbers[name] for name in questions.entities), np.int64, count)
            rows = PointInTime(versions).find(asked, questions.as_of, questions.known_at, self._view.ttl_ms)
            found = rows != NONE
            event[found], created[found] = (
                versions.event_time[rows[found]],
                versions.created_time[rows[found]],
            )
            unique, place = np.unique(rows[found], return_inverse=True)
            values[found] = self._values(dataset, wanted, unique)[place]
        return Joined(found, event, created, values)

    def row_at(self, entity: str, as_of: int, known_at: int = FOREVER) -> FeatureBatch:
        """The one row that stood at `as_of`, as far as was known at `known_at`; no row where none did."""
        found = self.point_in_time(Questions([entity], np.array([as_of]), np.array([known_at])))
        rows = FeatureBatch([entity], found.event_time, found.created_time, found.values)
        return rows.take(np.flatnonzero(found.found))

    def newest(self, limit: int, days: int) -> FeatureBatch:
        """The newest row of at most `limit` entities, looking from the newest of the table's days back over `days`."""
        newest: dict[str, int] = {}
        reached = []
        for day in self.days(-FOREVER, FOREVER)[::-1][:days]:
            if len(newest) >= limit:
                break
            reached.append(day)
            older = set(newest)
            with told(self._address):
                for rows in _batches(self._dataset(), ds.field("day") == _day(day), _KEYS[:2]):
                    _note_newest(newest, older, rows, limit)
        return self._rows_at(newest, reached)

    def _rows_at(self, times_of: Mapping[str, int], days: Sequence[int]) -> FeatureBatch:
        """The row of each entity at its event time."""
        wanted = (
            ds.field("day").isin(pa.array(days, pa.int32()).cast(pa.date32()))
            & ds.field("entity").isin(pa.array(list(times_of), pa.string()))
            & ds.field("event_time").isin(times(np.array(list(times_of.values()), np.int64)))
        )
        with told(self._address):
            found = self._dataset().to_table(filter=wanted, columns=[*_KEYS, *self._view.columns])
        batch = from_arrow(self._view, found)
        at = {
            entity: row
            for row, (entity, time) in enumerate(zip(batch.entities, batch.event_time.tolist(), strict=True))
            if times_of[entity] == time
        }
        return batch.take(np.fromiter(at.values(), np.int64, len(at)))

    def _values(self, dataset: ds.Dataset, wanted: ds.Expression, rows: np.ndarray) -> np.ndarray:
        """The values of these rows (positions among those that are wanted, ascending), float64 [R, F]."""
        parts, begin = [], 0
        for batch in _batches(dataset, wanted, list(self._view.columns)):
            low, high = np.searchsorted(rows, [begin, begin + batch.num_rows])
            if high > low:
                taken = batch.take(pa.array(rows[low:high] - begin))
                parts.append(np.stack([np.asarray(column) for column in taken.columns], axis=1))
            begin += batch.num_rows
        return np.concatenate(parts) if parts else np.empty((0, len(self._view.columns)))

    def _dataset(self) -> ds.Dataset:
        return self._table.to_pyarrow_dataset()


def _within(first_day: int, last_day: int, start: int, end: int) -> ds.Expression:
    """Rows of these days with start ≤ event time ≤ end; the days let whole files be passed over."""
    low, high = times(np.array([max(start, first_day * DAY_MS), min(end, (last_day + 1) * DAY_MS)]))
    return (
        (ds.field("day") >= _day(first_day))
        & (ds.field("day") <= _day(last_day))
        & (ds.field("event_time") >= low)
        & (ds.field("event_time") <= high)
    )


def _day(day: int) -> pa.Scalar:
    return pa.scalar(day, pa.int32()).cast(pa.date32())


def _batches(dataset: ds.Dataset, wanted: ds.Expression, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """Rows in the order of the files, few at a time; the order is the same for whatever columns."""
    yield from dataset.to_batches(
        columns=columns, filter=wanted, batch_size=_BATCH_ROWS, batch_readahead=2, fragment_readahead=1
    )


def _versions(dataset: ds.Dataset, wanted: ds.Expression, names: Sequence[str]) -> Versions:
    """The keys of all wanted rows, entities as their numbers in `names`."""
    known = pa.array(names, pa.string())
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = [
        (
            np.asarray(pc.index_in(batch.column(0), known), np.int64),
            milliseconds(batch.column(1)),
            milliseconds(batch.column(2)),
        )
        for batch in _batches(dataset, wanted, _KEYS)
    ]
    if not parts:
        empty = np.empty(0, np.int64)
        return Versions(empty, empty, empty)
    entity, event_time, created_time = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Versions(entity, event_time, created_time)


def _note_newest(newest: dict[str, int], older: set[str], rows: pa.RecordBatch, limit: int) -> None:
    """Raise the newest event time of the entities in `rows`; those of a later day (`older`) have theirs already."""
    columns = {"entity": rows.column(0), "time": milliseconds(rows.column(1))}
    grouped = pa.table(columns).group_by("entity").aggregate([("time", "max")])
    for entity, time in zip(grouped["entity"].to_pylist(), grouped["time_max"].to_pylist(), strict=True):
        if entity not in older and (entity in newest or len(newest) < limit):
            newest[entity] = max(time, newest.get(entity, time))
