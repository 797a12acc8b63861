"""CSV files of readings to learn from: columns with the names of sensors, a time, and where there are, assets and labels."""

import csv
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from mesh.cli.table import header_of, nearest_of, opened, seconds
from mesh.errors import InvalidInput

MAX_ROWS: Final = 5_000_000
"""Held in memory: 16 sensors of so many rows are 640 MB."""
_LAST_S: Final = 253_402_300_800
HEALTHY: Final = frozenset({"", "0", "0.0", "false", "normal", "healthy"})
"""What a label says where nothing is wrong, in small letters."""


@dataclass(frozen=True, slots=True)
class LabelledColumns:
    """The names of the columns that are no sensors. Without `asset` a file is one asset; without `label` all is healthy."""

    time: str = "time"
    asset: str = "asset"
    label: str = "label"


@dataclass(frozen=True, slots=True)
class Labelled:
    """N readings, ordered by asset and time.

    `assets` are names and `kinds` those of faults, "" first. `asset` int64 [N] and `kind` int64 [N] are places in them,
    `time` int64 [N] milliseconds since 1970, `values` float64 [N, S] with NaN for missing.
    """

    assets: tuple[str, ...]
    kinds: tuple[str, ...]
    asset: np.ndarray
    time: np.ndarray
    values: np.ndarray
    kind: np.ndarray


def csv_files(paths: Sequence[Path]) -> list[Path]:
    """The files that are named, and those in the folders that are named. `InvalidInput` where there are none."""
    found: list[Path] = []
    for path in paths:
        inside = [*sorted(path.glob("*.csv")), *sorted(path.glob("*.csv.gz"))] if path.is_dir() else [path]
        if not inside:
            raise InvalidInput("--data", f"{path} holds no .csv or .csv.gz file")
        found += inside
    return found


def read_labelled(files: Sequence[Path], columns: LabelledColumns, sensors: Sequence[str]) -> Labelled:
    """All files as one. `InvalidInput` names the file, and the line or column that is wrong."""
    assets: dict[str, int] = {}
    kinds: dict[str, int] = {"": 0}
    rows: list[tuple[int, int, int]] = []
    values: list[list[float]] = []
    for path in files:
        for name, time, kind, row in _readings(path, columns, sensors):
            rows.append((assets.setdefault(name, len(assets)), time, kinds.setdefault(kind, len(kinds))))
            values.append(row)
            if len(rows) > MAX_ROWS:
                raise InvalidInput("--data", f"has more than {MAX_ROWS:,} rows: give fewer files")
    if not rows:
        raise InvalidInput("--data", f"{files[0]} has no readings below its header")
    table = np.array(rows, np.int64)
    order = np.lexsort((table[:, 1], table[:, 0]))
    asset, time, kind = table[order].T
    return Labelled(tuple(assets), tuple(kinds), asset, time, np.array(values)[order], kind)


def _readings(
    path: Path, columns: LabelledColumns, sensors: Sequence[str]
) -> Iterator[tuple[str, int, str, list[float]]]:
    with opened(path) as text:
        reader = csv.reader(text)
        header = header_of(path, reader)
        at = {name: place for place, name in enumerate(header)}
        places = [at.get(name) for name in sensors]
        if columns.time not in at:
            raise InvalidInput(
                str(path),
                f"has no column '{columns.time}'{nearest_of(columns.time, header)}; --time names another",
            )
        if all(place is None for place in places):
            raise InvalidInput(
                str(path),
                f"has no column with the name of a sensor, such as '{sensors[0]}'; it has {', '.join(header)}",
            )
        alone = path.name.split(".")[0]
        for cells in filter(None, reader):
            try:
                if len(cells) != len(header):
                    raise ValueError(f"{len(cells)} cells where the header has {len(header)}")
                name = cells[at[columns.asset]].strip() if columns.asset in at else alone
                said = cells[at[columns.label]].strip() if columns.label in at else ""
                time = _milliseconds(cells[at[columns.time]])
                row = [
                    math.nan if place is None else _number(header[place], cells[place]) for place in places
                ]
            except ValueError as error:
                raise InvalidInput(str(path), f"line {reader.line_num}: {error}") from None
            yield name or alone, time, "" if said.lower() in HEALTHY else said, row


def _milliseconds(cell: str) -> int:
    moment = seconds(cell)
    if abs(moment) > _LAST_S:
        raise ValueError(f"time '{cell}' is beyond the year 10,000: write seconds since 1970, or ISO 8601")
    return round(moment * 1e3)


def _number(name: str, cell: str) -> float:
    if not cell.strip():
        return math.nan
    try:
        return float(cell)
    except ValueError:
        raise ValueError(
            f"column '{name}': '{cell}' is not a number; leave it empty where there is none"
        ) from None
