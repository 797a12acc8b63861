"""Ages a view's table day by day: files joined, old days thinned out, older ones gone. One day is in work at a time.

Of a day that is thinned out only the keys are in memory (about 40 bytes a row); its rows pass through in batches. A writer that
adds to that day meanwhile wins: the day is done again with what it added.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from deltalake import write_deltalake
from deltalake.exceptions import CommitFailedError

from mesh.stores.delta_table import COLD, FULL, milliseconds, open_table, schema_of, told
from mesh.stores.errors import StoreFailed
from mesh.stores.rows import Window
from mesh.stores.sampling import inside, last_of_each_period
from mesh.stores.views import DAY_MS, FeatureView

Action = Literal["join", "thin out", "expire"]

_TRIES: Final = 3
_BATCH_ROWS: Final = 32_768
_VACUUM_HOURS: Final = 168
"""Files that no version of the last week needs are deleted; readers may take so long."""


@dataclass(frozen=True, slots=True)
class Day:
    """What the table's log says of one day (days since 1970): its rows, bytes and files, and the files of each tier."""

    day: int
    rows: int
    size_bytes: int
    full_files: int
    cold_files: int

    @property
    def files(self) -> int:
        """All of its files."""
        return self.full_files + self.cold_files


@dataclass(frozen=True, slots=True)
class Change:
    """What was done with a day, or would be: how many of its rows are left."""

    day: Day
    action: Action
    rows_left: int


class DeltaTiers:
    """Ages one table; `now` is an argument."""

    def __init__(self, address: str, view: FeatureView) -> None:
        """Raises `StoreFailed` where there is no table."""
        self._view, self._address = view, address
        self._table = open_table(address, view)

    def days(self) -> list[Day]:
        """Every day of the table, ascending, from its log."""
        added = pa.table(self._table.get_add_actions(flatten=True))
        full = pc.equal(added["partition.tier"], FULL).cast(pa.int64())
        table = pa.table(
            {
                "day": added["partition.day"].cast(pa.date32()).cast(pa.int32()),
                "rows": added["num_records"],
                "size": added["size_bytes"],
                "full": full,
                "cold": pc.subtract(1, full),
            }
        )
        sums = table.group_by("day").aggregate([(name, "sum") for name in ("rows", "size", "full", "cold")])
        columns = [sums[name].to_pylist() for name in ("day", "rows_sum", "size_sum", "full_sum", "cold_sum")]
        return sorted((Day(*row) for row in zip(*columns, strict=True)), key=lambda day: day.day)

    def compact(self, now: int, kept: Sequence[Window], *, dry_run: bool) -> Iterator[Change]:
        """Join the files of days that are warm, thin out days that are cold; each change once it is done."""
        tiers = self._view.tiers
        for day in self.days():
            age = now - (day.day + 1) * DAY_MS
            if age >= tiers.cold_after_ms and day.full_files:
                yield self._rewrite(day, "thin out", self._thin(kept), dry_run)
            elif age >= tiers.warm_after_ms and day.full_files > 1:
                yield self._join(day, dry_run)

    def expire(self, now: int, kept: Sequence[Window], *, dry_run: bool) -> Iterator[Change]:
        """Drop the rows of days past retention but for those in `kept`, then files that nothing needs any more."""
        for day in self.days():
            if now - (day.day + 1) * DAY_MS >= self._view.tiers.retention_ms:
                change = self._rewrite(day, "expire", self._keep_only(kept), dry_run)
                if change.rows_left < day.rows:
                    yield change
        if not dry_run:
            with told(self._address):
                # In full: also what a writer left that died before its commit.
                self._table.vacuum(_VACUUM_HOURS, dry_run=False, full=True)
                self._table.cleanup_metadata()

    def _join(self, day: Day, dry_run: bool) -> Change:
        if not dry_run:
            with told(self._address):
                self._table.optimize.compact(partition_filters=[("day", "=", str(_date(day.day)))])
        return Change(day, "join", day.rows)

    def _thin(self, kept: Sequence[Window]) -> "Choose":
        period = self._view.tiers.cold_period_ms

        def choose(names: Sequence[str], entity: np.ndarray, time: np.ndarray) -> np.ndarray:
            last = last_of_each_period(entity, time, period)
            stay: np.ndarray = last | inside(kept, names, entity, time)
            return stay

        return choose

    def _keep_only(self, kept: Sequence[Window]) -> "Choose":
        def choose(names: Sequence[str], entity: np.ndarray, time: np.ndarray) -> np.ndarray:
            return inside(kept, names, entity, time)

        return choose

    def _rewrite(self, day: Day, action: Action, choose: "Choose", dry_run: bool) -> Change:
        """Write a day again with the rows that are chosen."""
        for _ in range(_TRIES):
            with told(self._address):
                dataset = self._table.to_pyarrow_dataset()
                chosen = choose(*_keys(dataset, day.day))
                left = int(chosen.sum())
                if dry_run or (action == "expire" and left == len(chosen)):
                    return Change(day, action, left)
                try:
                    self._replace(dataset, day.day, chosen)
                except CommitFailedError:
                    self._table.update_incremental()
                    continue
                self._table.update_incremental()
                return Change(day, action, left)
        raise StoreFailed(
            f"the history at {self._address}: rows of {_date(day.day)} kept coming in while it was rewritten; "
            "run this again when fewer late rows come"
        )

    def _replace(self, dataset: ds.Dataset, day: int, chosen: np.ndarray) -> None:
        predicate = f"day = '{_date(day)}'"
        if not chosen.any():
            self._table.delete(predicate)
            return
        schema = schema_of(self._view)
        rows = pa.RecordBatchReader.from_batches(schema, _chosen_rows(dataset, day, chosen, schema))
        write_deltalake(self._table, rows, mode="overwrite", predicate=predicate)


Choose = Callable[[Sequence[str], np.ndarray, np.ndarray], np.ndarray]
"""Names of entities, entity int64 [N] as their numbers, event time int64 [N] → the rows that stay, bool [N]."""


def _keys(dataset: ds.Dataset, day: int) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Entities and event times of a day's rows, in the order of `_batches`."""
    numbers: dict[str, int] = {}
    entity, time = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for batch in _batches(dataset, day, ["entity", "event_time"]):
        coded = batch.column(0).dictionary_encode()
        local = [numbers.setdefault(name, len(numbers)) for name in coded.dictionary.to_pylist()]
        entity.append(np.array(local, np.int64)[np.asarray(coded.indices)])
        time.append(milliseconds(batch.column(1)))
    return list(numbers), np.concatenate(entity), np.concatenate(time)


def _chosen_rows(
    dataset: ds.Dataset, day: int, chosen: np.ndarray, schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    begin, tier = 0, schema.get_field_index("tier")
    for batch in _batches(dataset, day, schema.names):
        rows = batch.filter(pa.array(chosen[begin : begin + batch.num_rows]))
        begin += batch.num_rows
        columns = rows.columns
        columns[tier] = pa.repeat(pa.scalar(COLD), rows.num_rows)
        yield pa.RecordBatch.from_arrays(columns, schema=schema)


def _batches(dataset: ds.Dataset, day: int, columns: list[str]) -> Iterator[pa.RecordBatch]:
    wanted = ds.field("day") == pa.scalar(day, pa.int32()).cast(pa.date32())
    yield from dataset.to_batches(
        columns=columns, filter=wanted, batch_size=_BATCH_ROWS, batch_readahead=2, fragment_readahead=1
    )


def _date(day: int) -> np.datetime64:
    return np.datetime64(day, "D")
