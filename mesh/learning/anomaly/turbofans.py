"""The ensemble on real engines: C-MAPSS FD001, one cycle a step, nothing tuned on it.

`python -m mesh.learning.anomaly.turbofans` prints what docs/detection-quality.md says. Healthy are the first 30 % of an
engine's life, worn its last 30 cycles; what lies between is not judged. The 30 test engines are those that no shipped
turbofan model has seen.
"""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from mesh.learning.anomaly.study import Report, Trial, examine
from mesh.learning.anomaly.train import Trained, train
from mesh.learning.anomaly.windows import Episode, WindowCollector, WindowSet
from mesh.learning.turbofan import FEATURES, HORIZON_CYCLES, read_run_to_failure, split_by_unit
from mesh.learning.turbofan import Telemetry as Turbofans
from mesh.signals.features import FEATURES as SIGNAL_FEATURES
from mesh.signals.sensors import Grid, Sensor, Telemetry

SEED: Final = 20261123
HELD_OUT_ENGINES: Final = 30
HEALTHY_LIFE: Final = 0.3
CYCLE_MS: Final = 1_000
GRID: Final = Grid(period_ms=CYCLE_MS, lateness_ms=0, window=16, hop=1)
"""Sixteen cycles: short enough for several windows in the first 30 % of the shortest life, 38 cycles."""


def turbofan_study(path: Path) -> tuple[Trained, Report]:
    """Learn from 70 engines of `train_FD001.txt`, measure on the other 30. Raises as `read_run_to_failure`."""
    training, held_out = split_by_unit(read_run_to_failure(path), HELD_OUT_ENGINES, SEED)
    varies = np.ptp(training.features, axis=0) > 0
    trained = train(turbofan_windows(training, varies), SEED)
    test = turbofan_windows(held_out, varies)
    return trained, examine(trained, Trial((test,), (test,)))


def turbofan_windows(engines: Turbofans, columns: np.ndarray) -> WindowSet:
    """The windows of engines over the columns that bool [24] `columns` chooses."""
    names = [name for name, kept in zip(FEATURES, columns.tolist(), strict=True) if kept]
    sensors = tuple(Sensor(name, tolerance_ms=CYCLE_MS) for name in names)
    units, place = np.unique(engines.unit, return_inverse=True)
    collector = WindowCollector(
        Telemetry(sensors, GRID, SIGNAL_FEATURES), [f"engine-{unit}" for unit in units.tolist()]
    )
    collector.add(place, engines.cycle * CYCLE_MS, engines.features[:, columns].astype(np.float64))
    last = np.zeros(len(units), np.int64)
    np.maximum.at(last, place, engines.cycle)
    worn = [
        Episode("wear", at, int(end - HORIZON_CYCLES + 1) * CYCLE_MS, int(end + 1) * CYCLE_MS)
        for at, end in enumerate(last.tolist())
    ]
    windows = collector.windows(worn)
    return replace(windows, healthy=windows.time <= HEALTHY_LIFE * CYCLE_MS * last[windows.asset])


def main() -> None:
    """Print the figures as JSON."""
    root = Path(os.environ.get("MESH_SHARED") or Path(__file__).resolve().parents[4] / "shared")
    trained, report = turbofan_study(root / "data/cmapss_fd001/train_FD001.txt")
    counts = {"fitted": trained.fitted, "calibrated": trained.calibrated, "bytes": len(trained.onnx)}
    print(json.dumps({**counts, **report.as_dict()}, indent=2))


if __name__ == "__main__":
    main()
