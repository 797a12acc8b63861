"""Each sensor through the filters that it declares, in its own order."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from mesh.signals.kalman import KalmanFilter, KalmanNoise
from mesh.signals.sensors import Denoiser, Sensor, Steps
from mesh.signals.slots import SlotArrays
from mesh.signals.wavelet import Shrinkage, WaveletFilter


class Filter(Protocol):
    """A causal filter of some columns, for all assets."""

    state: SlotArrays

    def filter(self, slot: np.ndarray, time: np.ndarray, values: np.ndarray) -> np.ndarray:
        """The filtered values [K, C] of steps sorted by slot, and by time within each."""
        ...


class Denoise:
    """The filters of all sensors: those that come first for a sensor run before those that come second."""

    def __init__(self, sensors: Sequence[Sensor], shrinkage: Shrinkage | None = None) -> None:
        self._shrinkage = shrinkage or Shrinkage()
        self._passes: list[tuple[np.ndarray, Filter]] = []
        for turn in range(2):
            for kind in ("kalman", "wavelet"):
                columns = [at for at, one in enumerate(sensors) if one.denoise[turn : turn + 1] == (kind,)]
                if columns:
                    self._passes.append(
                        (np.array(columns), self._made(kind, [sensors[at] for at in columns]))
                    )

    @property
    def states(self) -> tuple[SlotArrays, ...]:
        """The state of every filter."""
        return tuple(each.state for _, each in self._passes)

    def apply(self, steps: Steps) -> Steps:
        """The same steps with filtered values; a sensor without filters stays as it is."""
        if not self._passes or not len(steps):
            return steps
        values = steps.values.copy()
        for columns, each in self._passes:
            values[:, columns] = each.filter(steps.slot, steps.time, values[:, columns])
        return steps.with_values(values)

    def delay_steps(self, sensor: Sensor) -> int:
        """Steps by which this sensor's filtered value is behind its reading."""
        return self._shrinkage.delay if "wavelet" in sensor.denoise else 0

    def _made(self, kind: Denoiser, sensors: Sequence[Sensor]) -> Filter:
        if kind == "wavelet":
            return WaveletFilter(len(sensors), self._shrinkage)
        return KalmanFilter(
            KalmanNoise(
                np.array([sensor.noise for sensor in sensors]),
                np.array([sensor.acceleration for sensor in sensors]),
            )
        )
