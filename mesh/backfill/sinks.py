"""Where a backfill's results are kept: a day is written whole or not at all, and again only where it would differ."""

import contextlib
import os
import uuid
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Final, Protocol

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import DeltaError, TableNotFoundError

from mesh.backfill.columns import of_one_schema
from mesh.stores.delta_table import told
from mesh.stores.errors import StoreFailed

_KEY: Final = b"hyperstream.backfill"


class DaySink(Protocol):
    """Keeps the results of one model, by day; `key` names what a day's results follow from."""

    def has(self, day: str, key: int) -> bool:
        """Whether the day's results (YYYY-MM-DD) are there, as they would be written."""
        ...

    def write(self, day: str, key: int, rows: Iterator[pa.Table]) -> int:
        """Put these in place of the day's results, all at once; returns how many."""
        ...


class DeltaSink:
    """A Delta table, partitioned by model and day. A day is one commit, and its key a transaction of the table."""

    def __init__(self, address: str, model: str) -> None:
        self._address, self._model = address, model

    def has(self, day: str, key: int) -> bool:
        """As the table's newest version says; False where there is no table."""
        with told(self._address):
            try:
                return DeltaTable(self._address).transaction_version(self._application(day)) == key
            except TableNotFoundError:
                return False

    def write(self, day: str, key: int, rows: Iterator[pa.Table]) -> int:
        """Overwrites the day of this model alone. `StoreFailed` where the table takes no such columns, or they change."""
        rows = of_one_schema(rows)
        first = next(rows, None)
        if first is None:
            return 0
        counted = _Counted(chain([first], rows))
        reader = pa.RecordBatchReader.from_batches(first.schema, counted.batches())
        with told(self._address):
            try:
                write_deltalake(
                    self._address,
                    reader,
                    mode="overwrite",
                    partition_by=["model", "day"],
                    schema_mode="merge",
                    predicate=f"model = '{self._model}' AND day = '{day}'" if self._exists() else None,
                    commit_properties=CommitProperties(
                        app_transactions=[Transaction(self._application(day), key)]
                    ),
                )
            except Exception as error:
                if counted.refused is not None:  # it came to us through Arrow, as an error of another kind
                    raise counted.refused from None
                if not isinstance(error, DeltaError):
                    raise
                raise StoreFailed(
                    f"the results at {self._address}: {error}; choose another --output"
                ) from error
        return counted.rows

    def _exists(self) -> bool:
        with contextlib.suppress(TableNotFoundError):
            DeltaTable(self._address)
            return True
        return False

    def _application(self, day: str) -> str:
        return f"backfill/{self._model}/{day}"


class ParquetSink:
    """A folder with one Parquet file a day, `MODEL-YYYY-MM-DD.parquet`, whose metadata holds the key."""

    def __init__(self, folder: Path, model: str) -> None:
        self._folder, self._model = folder, model

    def has(self, day: str, key: int) -> bool:
        """As the file's metadata says."""
        path = self._path(day)
        if not path.exists():
            return False
        try:
            return (pq.read_schema(path).metadata or {}).get(_KEY) == str(key).encode()
        except (pa.ArrowInvalid, OSError):
            return False  # not ours, or cut off: written again

    def write(self, day: str, key: int, rows: Iterator[pa.Table]) -> int:
        """Takes its place once it is whole. `StoreFailed` where it cannot be written, or its columns change."""
        rows = of_one_schema(rows)
        first = next(rows, None)
        if first is None:
            return 0
        path, counted = self._path(day), _Counted(chain([first], rows))
        partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        schema = first.schema.with_metadata({_KEY: str(key).encode()})
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with pq.ParquetWriter(partial, schema) as writer:
                for batch in counted.batches():
                    writer.write_batch(batch.replace_schema_metadata(schema.metadata))
            os.replace(partial, path)  # noqa: PTH105 - over the old file, at once
        except OSError as error:
            raise StoreFailed(f"the results in {self._folder}: {error}; choose another --output") from error
        finally:
            partial.unlink(missing_ok=True)
        return counted.rows

    def _path(self, day: str) -> Path:
        return self._folder / f"{self._model}-{day}.parquet"


class _Counted:
    """Tables as record batches of one schema, counted on their way."""

    def __init__(self, tables: Iterator[pa.Table]) -> None:
        self._tables, self.rows = tables, 0
        self.refused: StoreFailed | None = None

    def batches(self) -> Iterator[pa.RecordBatch]:
        try:
            for table in self._tables:
                self.rows += table.num_rows
                yield from table.to_batches()
        except StoreFailed as error:
            self.refused = error
            raise
