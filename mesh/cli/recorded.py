"""A CSV file as a recording of machines, for `hyperstream simulate`."""

import csv
import math
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from mesh.cli.table import Skipped, header_of, nearest_of, opened, seconds
from mesh.errors import InvalidInput
from mesh.simulation.recording import Recording
from mesh.simulation.scenario import RecordedFile, SensorColumn

MAX_ROWS: Final = 1_000_000
"""A recording is held in memory: 16 sensors of so many rows are 128 MB."""


@dataclass(slots=True)
class RecordedTable:
    """The file of a scenario's source under the project's `root`, for the declared `sensors` (names).

    Lines that are no readings are counted in `skipped`. An empty cell is a missing value.
    """

    file: RecordedFile
    root: Path
    sensors: Sequence[str]
    skipped: Skipped = field(default_factory=Skipped)

    @property
    def path(self) -> Path:
        """Where the file is."""
        return self.root / self.file.path

    def recording(self, assets: int | None, rate: float | None) -> Recording:
        """The first `assets` machines of the file; all where it is None.

        `rate` is records a second of all machines, where the file has no time; then None is one a second of each. Raises
        `InvalidInput` for a missing file or column, a rate beside a time, or more machines or rows than there may be.
        """
        if rate is not None and self.file.time is not None:
            raise InvalidInput("--rate", f"{self.path.name} has times of its own; use --speed")
        columns = self._columns()
        names, asset, time, values = self._read(columns, assets)
        if assets is not None and assets > len(names):
            raise InvalidInput("--assets", f"{self.path.name} has {len(names)} machines, not {assets}")
        if self.file.time is None:
            time = _evenly(asset, len(names), (rate or len(names)) / len(names))
        order = np.argsort(time, kind="stable")
        units = [columns[name].unit or "" if name in columns else "" for name in self.sensors]
        return Recording(
            assets=tuple(names),
            asset=asset[order],
            seconds=(time - time.min())[order],
            values=values[order],
            units=tuple(units),
            absent=np.array([name not in columns for name in self.sensors]),
        )

    def _columns(self) -> Mapping[str, SensorColumn]:
        """The column of each sensor that the file has."""
        with opened(self.path) as text:
            header = header_of(self.path, csv.reader(text))
        found = self.file.sensors or {name: SensorColumn(name) for name in self.sensors if name in header}
        if not found:
            raise InvalidInput(
                str(self.path),
                "has no column with the name of a sensor in telemetry.yaml: say which is which in the scenario's "
                f"columns.sensors; it has {', '.join(header)}",
            )
        named = [self.file.asset, self.file.time, *(one.column for one in found.values())]
        for name in named:
            if name is not None and name not in header:
                raise InvalidInput(str(self.path), f"has no column '{name}'{nearest_of(name, header)}")
        return found

    def _read(
        self, columns: Mapping[str, SensorColumn], assets: int | None
    ) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray]:
        names: dict[str, int] = {}
        asset, time, values = array("q"), array("d"), array("d")
        with opened(self.path) as text:
            reader = csv.reader(text)
            at = {name: place for place, name in enumerate(header_of(self.path, reader))}
            cells_of = [at[columns[name].column] if name in columns else None for name in self.sensors]
            for cells in filter(None, reader):
                try:
                    name, moment, row = self._row(cells, at, cells_of)
                except ValueError as error:
                    self.skipped.add(reader.line_num, str(error))
                    continue
                if name not in names and len(names) == assets:
                    continue
                asset.append(names.setdefault(name, len(names)))
                time.append(moment)
                values.extend(row)
                if len(asset) > MAX_ROWS:
                    raise InvalidInput(
                        str(self.path), f"has more than {MAX_ROWS:,} rows: cut it, or use fewer --assets"
                    )
        if not names:
            reason = f"; {self.skipped.first}" if self.skipped.count else ""
            raise InvalidInput(str(self.path), f"has no readings{reason}")
        shaped = np.array(values).reshape(len(asset), len(self.sensors))
        return list(names), np.array(asset, np.int64), np.array(time), shaped

    def _row(
        self, cells: Sequence[str], at: Mapping[str, int], cells_of: Sequence[int | None]
    ) -> tuple[str, float, list[float]]:
        """The machine, the time (0 where the file has none) and the values; ValueError says what is wrong with the line."""
        if len(cells) != len(at):
            raise ValueError(f"{len(cells)} cells where the header has {len(at)}")
        file = self.file
        name = self.path.name.split(".")[0] if file.asset is None else cells[at[file.asset]].strip()
        if not name:
            raise ValueError(f"column '{file.asset}' is empty: it must name the machine")
        moment = 0.0 if file.time is None else seconds(cells[at[file.time]])
        return name, moment, [math.nan if place is None else _number(cells[place]) for place in cells_of]


def _number(cell: str) -> float:
    if not cell.strip():
        return math.nan
    value = float(cell)
    if not math.isfinite(value):
        raise ValueError(f"'{cell}' is not a finite number")
    return value


def _evenly(asset: np.ndarray, assets: int, hz: float) -> np.ndarray:
    """Times [N] for rows in their order: `hz` of each machine a second, one machine after the other."""
    count = np.zeros(assets, np.int64)
    tick = np.empty(len(asset), np.int64)
    for row, one in enumerate(asset.tolist()):
        tick[row] = count[one]
        count[one] += 1
    return np.asarray(tick / hz + asset / assets / hz)
