"""The Numenta Anomaly Benchmark as arrays: 58 series of timestamped values and their labelled windows.

Source: A. Lavin, S. Ahmad, "Evaluating Real-Time Anomaly Detection Algorithms - the Numenta Anomaly Benchmark",
ICMLA 2015, corpus v1.1. The folder of the data set holds `data/<category>/<file>.csv`, `labels/combined_windows.json`
and `config/profiles.json`.
"""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

PROBATION_SHARE: Final = 0.15
PROBATION_ROWS: Final = 5000
"""No row in the first `PROBATION_SHARE` of a series counts, taken from `PROBATION_ROWS` rows at the most."""

_SECONDS: Final = len("2014-02-14 14:30:00")
_COLUMNS: Final = ("timestamp", "value")


@dataclass(frozen=True, slots=True)
class Series:
    """One series of N rows: `timestamps` as the file writes them (to the second), `values` float64 [N], NaN if empty."""

    timestamps: tuple[str, ...]
    values: np.ndarray

    def __len__(self) -> int:
        return len(self.timestamps)


@dataclass(frozen=True, slots=True)
class Window:
    """Rows `first` to `last`, both inclusive, in which a detection is right."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class LabelledSeries:
    """A series of the corpus: its name `category/file.csv`, its rows and its windows in order of time."""

    name: str
    series: Series
    windows: tuple[Window, ...]

    @property
    def category(self) -> str:
        """The folder of the file: `realTweets`, `artificialNoAnomaly` and so on."""
        return self.name.partition("/")[0]


def read_series(path: Path) -> Series:
    """Read a file with the header `timestamp,value`.

    Raises `FileNotFoundError`, and `ValueError` for another header or a row that is not a time and a number.
    """
    with path.open(newline="") as lines:
        rows = csv.reader(lines)
        if tuple(next(rows, ())) != _COLUMNS:
            raise ValueError(f"{path}: expected the header {','.join(_COLUMNS)}")
        pairs = [_pair(row, path) for row in rows]
    return Series(tuple(time for time, _ in pairs), np.array([value for _, value in pairs], np.float64))


def _pair(row: Sequence[str], path: Path) -> tuple[str, float]:
    if len(row) != len(_COLUMNS):
        raise ValueError(f"{path}: expected a time and a number, got {row}")
    return row[0][:_SECONDS], float(row[1] or "nan")


def read_windows(path: Path) -> Mapping[str, tuple[tuple[str, str], ...]]:
    """Read `combined_windows.json`: for each series' name the first and last timestamp of every window, to the second.

    Raises `FileNotFoundError`, and `ValueError` where the file is not JSON of that form.
    """
    labels = json.loads(path.read_text())
    if not isinstance(labels, dict):
        raise ValueError(f"{path}: expected an object of series")
    return {
        str(name): tuple((str(first)[:_SECONDS], str(last)[:_SECONDS]) for first, last in windows)
        for name, windows in labels.items()
    }


def locate(timestamps: Sequence[str], limits: Sequence[tuple[str, str]]) -> tuple[Window, ...]:
    """The rows of windows; of a timestamp that stands twice, the first row, as in the benchmark's scorer.

    Raises `ValueError` where a limit is no timestamp of the series.
    """
    return tuple(Window(timestamps.index(first), timestamps.index(last)) for first, last in limits)


def read_corpus(root: Path) -> tuple[LabelledSeries, ...]:
    """All labelled series below the data set's folder, ordered by name.

    Raises as `read_series`, `read_windows` and `locate`.
    """
    labels = read_windows(root / "labels/combined_windows.json")
    return tuple(_labelled(root, name, labels[name]) for name in sorted(labels))


def _labelled(root: Path, name: str, limits: Sequence[tuple[str, str]]) -> LabelledSeries:
    series = read_series(root / "data" / name)
    return LabelledSeries(name, series, locate(series.timestamps, limits))


def probation(rows: int) -> int:
    """How many rows at the start of a series of so many rows do not count."""
    return int(min(PROBATION_SHARE * rows, PROBATION_SHARE * PROBATION_ROWS))
