"""The values that pass between the parts of the chain: what a sensor is, what it said, where that stands on the grid.

All are frozen; arrays inside them are shared, not copied. Times are milliseconds since 1970 (UTC), int64. A missing value is
NaN. `slot` is the row of an asset in every state array.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

Denoiser = Literal["kalman", "wavelet"]
OddValue = Literal["flag", "dead_letter"]
"""What becomes of a value that is not what was declared: counted and taken for missing, or the record refused."""


@dataclass(frozen=True, slots=True)
class Sensor:
    """One declared sensor, in its own unit.

    `low` and `high` bound what it can say. `period_ms` is the usual time between two readings; a reading older than
    `tolerance_ms` stands for nothing any more. `noise` (unit) and `acceleration` (unit per s²) are standard deviations for
    the Kalman filter. Where sampling adapts, a value less than `delta` (unit) from the last one sent is not sent; 0 sends all.
    """

    name: str
    unit: str = ""
    low: float = -np.inf
    high: float = np.inf
    period_ms: int = 1_000
    tolerance_ms: int = 2_500
    group: str = ""
    denoise: tuple[Denoiser, ...] = ()
    noise: float = 1.0
    acceleration: float = 1.0
    delta: float = 0.0


@dataclass(frozen=True, slots=True)
class Grid:
    """The common clock of an asset's sensors, and the windows cut from it.

    Steps stand at whole multiples of `period_ms`. A step is closed once the asset's newest reading is `lateness_ms` past it;
    what comes for it later is late. `restart_after` late records in a row mean that the asset's clock was set back.
    `window` and `hop` count steps.
    """

    period_ms: int = 1_000
    lateness_ms: int = 1_000
    restart_after: int = 20
    window: int = 64
    hop: int = 8


@dataclass(frozen=True, slots=True)
class RecordRules:
    """What becomes of records and values that are not what was declared; see `mesh.spec.telemetry_file`."""

    unknown_sensor: OddValue = "flag"
    out_of_range: OddValue = "flag"
    not_a_number: OddValue = "flag"
    wrong_unit: OddValue = "dead_letter"
    max_ahead_ms: int = 60_000
    max_age_ms: int = 36_500 * 86_400_000


@dataclass(frozen=True, slots=True)
class SamplingRules:
    """How senders may be silent: `heartbeat_ms` is the longest silence of a sensor, and never more than its tolerance.

    An asset that was watched sends everything for `hold_ms` more. `enabled` says that senders are expected to.
    """

    enabled: bool = False
    heartbeat_ms: int = 10_000
    hold_ms: int = 60_000


@dataclass(frozen=True, slots=True)
class Telemetry:
    """Everything that `telemetry.yaml` declares. `known_assets` is empty where any asset is taken."""

    sensors: tuple[Sensor, ...]
    grid: Grid
    features: tuple[str, ...]
    rules: RecordRules = RecordRules()
    known_assets: frozenset[str] = frozenset()
    max_assets: int = 10_000
    criticality: Mapping[str, float] = field(default_factory=dict)
    sampling: SamplingRules = SamplingRules()


@dataclass(frozen=True, slots=True)
class Readings:
    """N records in order of arrival, over S sensors.

    `slot` int64 [N], `time` int64 [N], `values` float64 [N, S].
    """

    slot: np.ndarray
    time: np.ndarray
    values: np.ndarray

    def __len__(self) -> int:
        return len(self.slot)

    def take(self, rows: np.ndarray) -> "Readings":
        """These rows, in this order."""
        return Readings(self.slot[rows], self.time[rows], self.values[rows])


@dataclass(frozen=True, slots=True)
class Steps:
    """K closed steps of the grid, by asset, and by time within each.

    `slot` int64 [K], `time` int64 [K], `values` float64 [K, S] with NaN where nothing within tolerance is known, `age` float64
    [K, S] milliseconds since each value was read (NaN with it), `cause` int64 [K] the record of this batch that closed the step.
    """

    slot: np.ndarray
    time: np.ndarray
    values: np.ndarray
    age: np.ndarray
    cause: np.ndarray

    def __len__(self) -> int:
        return len(self.slot)

    def with_values(self, values: np.ndarray) -> "Steps":
        """The same steps with other values [K, S]."""
        return Steps(self.slot, self.time, values, self.age, self.cause)
