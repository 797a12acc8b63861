"""Telemetry of a fleet: who, which cycle, which readings. Reads NASA's C-MAPSS layout and CSV with a header.

C-MAPSS source: A. Saxena, K. Goebel, D. Simon, N. Eklund, "Damage Propagation Modeling for Aircraft Engine
Run-to-Failure Simulation", PHM 2008.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mesh.learning.turbofan import FEATURES


@dataclass(frozen=True, slots=True)
class Fleet:
    """N readings of several assets, sorted by `unit`, then `cycle`.

    `columns` are the C names of the readings; `unit` and `cycle` are int64 [N], `values` float64 [N, C].
    A cycle counts the asset's age from 1 as new. Raises `ValueError` where the arrays do not fit together,
    a reading is not finite, or an asset has the same cycle twice.
    """

    columns: tuple[str, ...]
    unit: np.ndarray
    cycle: np.ndarray
    values: np.ndarray

    def __post_init__(self) -> None:
        rows = len(self.unit)
        if self.cycle.shape != (rows,) or self.values.shape != (rows, len(self.columns)):
            raise ValueError(
                f"{rows} units, cycles {self.cycle.shape} and values {self.values.shape} do not fit"
            )
        if not np.isfinite(self.values).all():
            raise ValueError("a reading is not finite")
        same, step = np.diff(self.unit) == 0, np.diff(self.cycle)
        if (np.diff(self.unit) < 0).any() or (step[same] <= 0).any():
            raise ValueError("readings are not sorted by unit and cycle, or an asset has a cycle twice")

    def __len__(self) -> int:
        return len(self.unit)

    def first_rows(self) -> np.ndarray:
        """Int64 [units]: where each asset begins."""
        return np.flatnonzero(np.diff(self.unit, prepend=self.unit[:1] - 1))

    def last_rows(self) -> np.ndarray:
        """Int64 [units]: where each asset ends."""
        return np.append(self.first_rows()[1:], len(self)) - 1

    def lengths(self) -> np.ndarray:
        """Int64 [N]: how many readings the asset of each row has."""
        counts = self.last_rows() - self.first_rows() + 1
        return np.repeat(counts, counts)

    def remaining(self) -> np.ndarray:
        """Float64 [N]: cycles until the asset's last reading, its failure where it ran to failure."""
        counts = self.last_rows() - self.first_rows() + 1
        left: np.ndarray = np.repeat(self.cycle[self.last_rows()], counts) - self.cycle
        return left.astype(np.float64)


def read_fleet(path: Path) -> Fleet:
    """Read a CSV whose header begins with `unit,cycle`, or C-MAPSS: 26 numbers a line and no header.

    Raises `FileNotFoundError`, and `ValueError` where the file is neither, or the readings are not a `Fleet`.
    """
    with path.open(encoding="utf-8") as lines:
        head = lines.readline().strip()
    names = [name.strip() for name in head.split(",")]
    if names[:2] == ["unit", "cycle"]:
        columns, table = tuple(names[2:]), np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2)
    else:
        columns, table = FEATURES, np.loadtxt(path, ndmin=2)
    if table.shape[1] != 2 + len(columns):
        raise ValueError(f"{path}: expected {2 + len(columns)} columns, got {table.shape[1]}")
    table = table[np.lexsort((table[:, 1], table[:, 0]))]
    try:
        return Fleet(columns, table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), table[:, 2:])
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def read_remaining(path: Path, fleet: Fleet) -> np.ndarray:
    """Float64 [units]: true cycles left after each asset's last reading, one a line in the order of `unit`.

    Raises `FileNotFoundError`, and `ValueError` where the file has other than one number for each asset.
    """
    left: np.ndarray = np.loadtxt(path, ndmin=1)
    if left.shape != (len(fleet.last_rows()),):
        raise ValueError(f"{path}: expected {len(fleet.last_rows())} numbers, got an array of {left.shape}")
    return left
