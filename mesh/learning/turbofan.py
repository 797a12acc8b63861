"""NASA's C-MAPSS FD001 turbofan telemetry as arrays: reading, labels, a split by engine.

Source: A. Saxena, K. Goebel, D. Simon, N. Eklund, "Damage Propagation Modeling for Aircraft Engine
Run-to-Failure Simulation", PHM 2008. Each row is one flight cycle of an engine: 3 operating
settings and 21 sensors.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

FEATURES: Final = (*(f"setting_{n}" for n in range(1, 4)), *(f"sensor_{n}" for n in range(1, 22)))
"""The 24 columns of a row, in the order of the source file and of every shipped model's input `features`."""

CLASSES: Final = ("normal", "degrading")
HORIZON_CYCLES: Final = 30
"""A cycle is `degrading` when the engine fails within so many cycles."""


@dataclass(frozen=True, slots=True)
class Telemetry:
    """Run-to-failure telemetry of N cycles.

    `unit` and `cycle` are int64 [N], `features` float32 [N, 24], `degrading` bool [N].
    """

    unit: np.ndarray
    cycle: np.ndarray
    features: np.ndarray
    degrading: np.ndarray

    def __len__(self) -> int:
        return len(self.unit)

    def of_units(self, units: np.ndarray) -> "Telemetry":
        """The cycles of these engines, in the order they stand."""
        rows = np.isin(self.unit, units)
        return Telemetry(self.unit[rows], self.cycle[rows], self.features[rows], self.degrading[rows])


def read_run_to_failure(path: Path) -> Telemetry:
    """Read `train_FD001.txt`: every engine runs until it fails, so its last cycle is the failure.

    Raises `FileNotFoundError`, and `ValueError` where the file has other than 26 columns.
    """
    table = np.loadtxt(path, ndmin=2)
    if table.shape[1] != 2 + len(FEATURES):
        raise ValueError(f"{path}: expected {2 + len(FEATURES)} columns, got {table.shape[1]}")
    unit, cycle = table[:, 0].astype(np.int64), table[:, 1].astype(np.int64)
    last = np.zeros(unit.max() + 1, np.int64)
    np.maximum.at(last, unit, cycle)
    return Telemetry(unit, cycle, table[:, 2:].astype(np.float32), last[unit] - cycle <= HORIZON_CYCLES)


def split_by_unit(telemetry: Telemetry, held_out: int, seed: int) -> tuple[Telemetry, Telemetry]:
    """Training and evaluation part; `held_out` engines, drawn by `seed`, are in the second and only there."""
    units = np.unique(telemetry.unit)
    drawn = np.random.default_rng(seed).permutation(units)[:held_out]
    return telemetry.of_units(np.setdiff1d(units, drawn)), telemetry.of_units(drawn)
