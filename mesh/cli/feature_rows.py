"""Rows of features for people and programs: a table, JSON lines, CSV or Parquet. Rows go out as they come."""

import csv
import importlib
import sys
from collections.abc import Iterable, Iterator
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Any, Final, TextIO

import orjson
from rich.console import Console
from rich.table import Table

from mesh.errors import InvalidInput, MeshError
from mesh.stores.rows import FeatureBatch
from mesh.stores.shown import shown_row
from mesh.stores.times import show_time
from mesh.stores.views import FeatureView

SHOWN_ROWS: Final = 50
SHOWN_COLUMNS: Final = 4

Row = tuple[str, int, int, list[float]]
"""Entity, event time, created time, values."""


class Format(StrEnum):
    """How rows are written."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    PARQUET = "parquet"


def write_rows(view: FeatureView, batches: Iterable[FeatureBatch], form: Format, output: Path | None) -> None:
    """Write rows in this form to `output`, else to standard output. `InvalidInput` for Parquet without a file."""
    if form is Format.TABLE:
        Console().print(_table(view, rows_of(batches)), highlight=False)
    elif form is Format.PARQUET:
        if output is None:
            raise InvalidInput("--output", "is missing: Parquet goes to a file")
        _write_parquet(view, batches, output)
    elif output is None:
        _write_text(view, rows_of(batches), form, sys.stdout)
    else:
        try:
            with output.open("w", encoding="utf-8", newline="") as file:
                _write_text(view, rows_of(batches), form, file)
        except OSError as error:
            raise MeshError(f"{output} cannot be written: {error.strerror}") from None


def rows_of(batches: Iterable[FeatureBatch]) -> Iterator[Row]:
    """One row after another."""
    for batch in batches:
        yield from zip(
            batch.entities,
            batch.event_time.tolist(),
            batch.created_time.tolist(),
            batch.values.tolist(),
            strict=True,
        )


def _write_text(view: FeatureView, rows: Iterable[Row], form: Format, stream: TextIO) -> None:
    if form is Format.JSON:
        stream.writelines(orjson.dumps(shown_row(view, *row)).decode() + "\n" for row in rows)
        return
    writer = csv.writer(stream)
    writer.writerow(["entity", "event_time", "created_time", *view.columns])
    writer.writerows(
        [entity, show_time(event), show_time(created), *values] for entity, event, created, values in rows
    )


def _table(view: FeatureView, rows: Iterator[Row]) -> Table:
    """The first rows and columns; the title says what is left out."""
    few = list(islice(rows, SHOWN_ROWS))
    more = "; more rows with --format json, csv or parquet" if next(rows, None) else ""
    hidden = len(view.columns) - SHOWN_COLUMNS
    columns = f", {SHOWN_COLUMNS} of {len(view.columns)} columns" if hidden > 0 else ""
    table = Table(
        title=f"{view.name}: {len(few)} rows{columns}{more}", title_justify="left", box=None, padding=(0, 2)
    )
    for name in ("entity", "event time", "created time"):
        table.add_column(name, no_wrap=True)
    for name in view.columns[:SHOWN_COLUMNS]:
        table.add_column(name, justify="right")
    for entity, event, created, values in few:
        numbers = [f"{value:.6g}" for value in values[:SHOWN_COLUMNS]]
        table.add_row(entity, show_time(event), show_time(created), *numbers)
    return table


def _write_parquet(view: FeatureView, batches: Iterable[FeatureBatch], output: Path) -> None:
    parquet: Any = importlib.import_module("mesh.stores.parquet_file")
    parquet.write_parquet(view, batches, output)
