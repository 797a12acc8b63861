"""What goes wrong with a sensor's values: one function a kind, of the block of readings and one fault of one machine."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Protocol

import numpy as np


class Signals(Protocol):
    """What machines say without faults."""

    noise: np.ndarray
    """Standard deviation of each sensor's noise: [S]."""

    def clean(self, asset: np.ndarray, seconds: np.ndarray, cycles: np.ndarray | None = None) -> np.ndarray:
        """Values [N, S] of machines [N] at `seconds` [N]; `cycles` [N] are seconds to be added for the sensors' own cycles."""
        ...


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of one machine, from `begins_s` until before `ends_s`, on `sensors` (their places).

    `size` counts standard deviations of the sensor's noise, except where a kind says otherwise; `part` is the share of the
    records that `duplicates` and `late` touch. A `unit_change` makes `scale` times the value plus `offset` of it; the record
    says the unit at place `unit` of the run's units, and nothing at place 0.
    """

    kind: str
    asset: int
    sensors: tuple[int, ...]
    begins_s: float
    ends_s: float
    size: float
    part: float = 1.0
    scale: float = 1.8
    offset: float = 32.0
    unit: int = 0

    @property
    def lasts_s(self) -> float:
        """Seconds from its beginning to its end."""
        return self.ends_s - self.begins_s

    @property
    def begins_ms(self) -> int:
        """Its beginning, in milliseconds."""
        return round(self.begins_s * 1e3)

    @property
    def ends_ms(self) -> int:
        """Its end, in milliseconds."""
        return round(self.ends_s * 1e3)

    def rows(self, asset: np.ndarray, time_ms: np.ndarray) -> np.ndarray:
        """Places of the readings in it: those of machines [N] at `time_ms` [N] since the beginning."""
        inside = (asset == self.asset) & (time_ms >= self.begins_ms) & (time_ms < self.ends_ms)
        return np.flatnonzero(inside)


@dataclass(slots=True)
class Rows:
    """The rows of a block that a fault touches: `values` [n, C] of its sensors at `seconds` [n], `rng` its own random numbers."""

    fault: Fault
    signals: Signals
    seconds: np.ndarray
    values: np.ndarray
    rng: np.random.Generator

    @property
    def sigma(self) -> np.ndarray:
        """Noise of each touched sensor: [C]."""
        return self.signals.noise[list(self.fault.sensors)]

    @property
    def progress(self) -> np.ndarray:
        """From 0 at the beginning of the fault to 1 at its end: [n, 1]."""
        return ((self.seconds - self.fault.begins_s) / self.fault.lasts_s)[:, None]

    def clean(self, seconds: np.ndarray, cycles_s: float | np.ndarray = 0.0) -> np.ndarray:
        """What the touched sensors would say at these times [n], their own cycles shifted by `cycles_s` seconds: [n, C]."""
        asset = np.full(len(seconds), self.fault.asset)
        shift = np.broadcast_to(np.asarray(cycles_s, np.float64), len(seconds))
        return self.signals.clean(asset, seconds, shift)[:, list(self.fault.sensors)]


def stuck(rows: Rows) -> np.ndarray:
    """The value at the beginning, over and over."""
    held = rows.clean(np.array([rows.fault.begins_s]))
    return np.broadcast_to(held, rows.values.shape)


def dropout(rows: Rows) -> np.ndarray:
    """No value, for the share `size` of the readings (1: none at all)."""
    return np.where(rows.rng.random(rows.values.shape) < rows.fault.size, np.nan, rows.values)


def drift(rows: Rows) -> np.ndarray:
    """Away from the truth in a straight line, `size` at the end."""
    return np.asarray(rows.values + rows.fault.size * rows.sigma * rows.progress)


def spike(rows: Rows) -> np.ndarray:
    """One reading in about fifty jumps by `size`, up or down."""
    jumps = rows.rng.random(rows.values.shape) < 0.02
    signs = np.where(rows.rng.random(rows.values.shape) < 0.5, -1.0, 1.0)
    return np.asarray(rows.values + jumps * signs * rows.fault.size * rows.sigma)


def noise_burst(rows: Rows) -> np.ndarray:
    """`size` times the usual noise."""
    return np.asarray(
        rows.values + rows.rng.standard_normal(rows.values.shape) * rows.sigma * rows.fault.size
    )


def level_shift(rows: Rows) -> np.ndarray:
    """Everything higher by `size`."""
    return np.asarray(rows.values + rows.fault.size * rows.sigma)


def frequency_change(rows: Rows) -> np.ndarray:
    """The sensor's own cycle runs `size` times as fast."""
    since = rows.seconds - rows.fault.begins_s
    return np.asarray(
        rows.values + rows.clean(rows.seconds, since * (rows.fault.size - 1.0)) - rows.clean(rows.seconds)
    )


def unit_change(rows: Rows) -> np.ndarray:
    """Values in another unit: degrees Fahrenheit of Celsius, where the fault says no other scale and offset."""
    return np.asarray(rows.values * rows.fault.scale + rows.fault.offset)


def degradation(rows: Rows) -> np.ndarray:
    """Slowly at first, then faster, until it fails: `size` at the end, growing with the cube of time; noise grows with it."""
    wear = rows.progress**3
    noise = rows.rng.standard_normal(rows.values.shape) * wear * 0.1
    return np.asarray(rows.values + rows.fault.size * rows.sigma * (wear + noise))


def correlated(rows: Rows) -> np.ndarray:
    """Several sensors move together by a little, in turn up and down: none is remarkable alone."""
    signs = np.where(np.arange(rows.values.shape[1]) % 2 == 0, 1.0, -1.0)
    return np.asarray(
        rows.values + rows.fault.size * rows.sigma * signs * np.minimum(1.0, 5.0 * rows.progress)
    )


SIGNAL_FAULTS: Final[Mapping[str, Callable[[Rows], np.ndarray]]] = MappingProxyType(
    {
        "stuck": stuck,
        "dropout": dropout,
        "drift": drift,
        "spike": spike,
        "noise_burst": noise_burst,
        "level_shift": level_shift,
        "frequency_change": frequency_change,
        "unit_change": unit_change,
        "degradation": degradation,
        "correlated": correlated,
    }
)
"""Each kind with the function that makes its values [n, C] of those of a healthy machine."""
