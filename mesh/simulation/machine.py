"""Healthy machines: every sensor follows its level, a cycle of its own, the load of the machine, and noise."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mesh.signals.sensors import Sensor


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How a sensor behaves on a healthy machine, in its own unit.

    `level` is its mean; `spread` how far the levels of machines are apart (a standard deviation); `swing` and `cycle_s` are
    those of its own cycle; `load` is what a change of the machine's load by 1 adds; `noise` is a standard deviation.
    """

    level: float
    spread: float
    swing: float
    cycle_s: float
    load: float
    noise: float


def typical(sensor: Sensor, place: int) -> Behaviour:
    """A behaviour that fits a sensor's declared range; `place` makes sensors differ in their cycles."""
    low = sensor.low if np.isfinite(sensor.low) else min(0.0, sensor.high - 100.0)
    high = sensor.high if np.isfinite(sensor.high) else low + 100.0
    width = high - low
    return Behaviour(
        level=low + 0.45 * width,
        spread=0.01 * width,
        swing=0.02 * width,
        cycle_s=8.0 + 5.0 * (place % 7),
        load=(0.04 if place % 3 else -0.03) * width,
        noise=0.004 * width,
    )


class Fleet:
    """Machines that differ by seed. Signals are functions of time, so any moment can be asked for."""

    def __init__(self, behaviours: Sequence[Behaviour], assets: int, seed: int) -> None:
        rng = np.random.default_rng([seed, 0])
        shape = (assets, len(behaviours))
        of = {name: np.array([getattr(one, name) for one in behaviours]) for name in Behaviour.__slots__}
        self.level = of["level"] + of["spread"] * rng.standard_normal(shape)
        self.swing = of["swing"] * rng.uniform(0.8, 1.2, shape)
        self.cycle_s = of["cycle_s"] * rng.uniform(0.9, 1.1, shape)
        self.load, self.noise = of["load"], of["noise"]
        self._phase = rng.uniform(0, 2 * np.pi, shape)
        self._load_phase = rng.uniform(0, 2 * np.pi, (assets, 2))
        self._load_period_s = np.array([97.0, 311.0]) * rng.uniform(0.8, 1.2, (assets, 2))

    def clean(self, asset: np.ndarray, seconds: np.ndarray, cycles: np.ndarray | None = None) -> np.ndarray:
        """Values [N, S] of machines [N] at `seconds` [N] since the beginning, without noise.

        `cycles` [N] are seconds to be added for the sensors' own cycles alone: they shift their phase.
        """
        turned = seconds if cycles is None else seconds + cycles
        own = self.swing[asset] * np.sin(
            2 * np.pi * turned[:, None] / self.cycle_s[asset] + self._phase[asset]
        )
        waves = np.sin(2 * np.pi * seconds[:, None] / self._load_period_s[asset] + self._load_phase[asset])
        return np.asarray(self.level[asset] + own + waves.mean(axis=1, keepdims=True) * self.load)
