"""The Delta table of one view: where it lies, its columns, and how rows become Arrow and come back.

Partitioned by the day (UTC) of the event time and by `tier` (`full` as it came, `cold` thinned out), which the log tells without
opening a file.
Whoever can conditionally put an object can write at the same time as others; S3 does.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from mesh.stores.errors import NoHistory, StoreFailed
from mesh.stores.rows import FeatureBatch
from mesh.stores.views import DAY_MS, FeatureView

FULL: Final = "full"
COLD: Final = "cold"
TIME: Final = pa.timestamp("us", "UTC")
_CONFIGURATION: Final = {
    # Statistics only of what reads filter by: those of hundreds of features would fill the log.
    "delta.dataSkippingStatsColumns": "entity,event_time,created_time",
    "delta.checkpointInterval": "50",
    "delta.logRetentionDuration": "interval 7 days",
}


def schema_of(view: FeatureView) -> pa.Schema:
    """The columns of the view's table; each feature is a float64 of its own name."""
    fixed = [
        ("entity", pa.string()),
        ("event_time", TIME),
        ("created_time", TIME),
        ("kafka_partition", pa.int32()),
        ("kafka_offset", pa.int64()),
        ("day", pa.date32()),
        ("tier", pa.string()),
    ]
    return pa.schema([*fixed, *((name, pa.float64()) for name in view.columns)])


def open_table(address: str, view: FeatureView, *, create: bool = False) -> DeltaTable:
    """The table at `address`; with `create` an empty one where there is none.

    `NoHistory` where there is none else, `StoreFailed` where it cannot be had.
    """
    with told(address):
        try:
            return DeltaTable(address)
        except TableNotFoundError:
            if not create:
                raise NoHistory(
                    f"there is no history of view '{view.name}' with transform {view.transform} at {address}: "
                    "run hyperstream features materialize"
                ) from None
        try:
            return DeltaTable.create(
                address,
                schema_of(view),
                mode="ignore",
                name=view.name,
                partition_by=["day", "tier"],
                configuration=_CONFIGURATION,
            )
        except CommitFailedError:  # another writer was first to make it
            return DeltaTable(address)


@contextmanager
def told(address: str) -> Iterator[None]:
    """What goes wrong with files and objects becomes `StoreFailed`; conflicts of writers stay what they are."""
    try:
        yield
    except CommitFailedError:
        raise
    except (DeltaError, OSError) as error:
        kind = type(error).__name__
        raise StoreFailed(
            f"the history at {address}: {kind}: {error}; look at `history` in features.yaml and, for s3://, "
            "at AWS_ENDPOINT_URL, AWS_REGION and the credentials"
        ) from error


def to_arrow(view: FeatureView, batch: FeatureBatch, partition: np.ndarray, offset: np.ndarray) -> pa.Table:
    """N rows with where in Kafka they came from (int64 [N] each), as they are appended."""
    columns: list[Any] = [
        pa.array(batch.entities, pa.string()),
        times(batch.event_time),
        times(batch.created_time),
        pa.array(partition.astype(np.int32)),
        pa.array(offset),
        pa.array((batch.event_time // DAY_MS).astype(np.int32)).cast(pa.date32()),
        pa.repeat(pa.scalar(FULL), len(batch)),
    ]
    columns += [pa.array(column) for column in np.ascontiguousarray(batch.values.T)]
    return pa.Table.from_arrays(columns, schema=schema_of(view))


def from_arrow(view: FeatureView, rows: pa.RecordBatch | pa.Table) -> FeatureBatch:
    """The other way."""
    values = [np.asarray(rows.column(name)) for name in view.columns]
    return FeatureBatch(
        rows.column("entity").to_pylist(),
        milliseconds(rows.column("event_time")),
        milliseconds(rows.column("created_time")),
        np.stack(values, axis=1) if values else np.empty((rows.num_rows, 0)),
    )


def day_name(day: int) -> str:
    """A day since 1970 as YYYY-MM-DD."""
    return str(pa.scalar(day, pa.int32()).cast(pa.date32()).as_py())


def times(values: np.ndarray) -> pa.Array:
    """Milliseconds since 1970, int64 [N], as Delta's timestamps."""
    return pa.array(values * 1_000).cast(TIME)


def milliseconds(column: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Delta's timestamps as milliseconds since 1970, int64 [N]."""
    numbers = column.cast(pa.int64())
    whole = numbers.combine_chunks() if isinstance(numbers, pa.ChunkedArray) else numbers
    return np.asarray(whole.to_numpy(zero_copy_only=False)) // 1_000
