"""The cheap detector: how far a window is from what is usual for its machine. Needs no model, so it runs when they cannot.

Some features of each sensor's windows are followed by exponentially weighted averages of the value and of its absolute
deviation. What is far out pulls them by a bounded step only (as Huber's M-estimator does), so
that a fault does not become usual at once.
"""

from typing import Final

import numpy as np

from ingest.stages.rows import Rows
from mesh.signals.sensors import Telemetry
from mesh.signals.slots import Column, SlotArrays

FOLLOWED: Final = ("mean", "std", "mean_abs_change", "autocorrelation", "band_1", "band_4", "coverage")
"""The features that are followed, of each sensor: where it is, how it moves, how fast, and how much of it comes."""
WARM_UP: Final = 16
"""Windows of an asset before anything is said of it."""
_FORGETS: Final = 0.02
_BOUND: Final = 4.0
_LEAST: Final = 1e-3
"""The least deviation, as a part of the level: a sensor that does not move at all is not infinitely far from usual."""
_LEAST_COVERAGE: Final = 0.02
"""The same for the share of steps at which something was known: one reading that is missing says nothing."""


class Detect:
    """Holds what is usual for each asset."""

    def __init__(self, telemetry: Telemetry) -> None:
        """Follows those of `FOLLOWED` that `telemetry` selects."""
        followed = [name for name in FOLLOWED if name in telemetry.features]
        self._columns = [telemetry.features.index(name) for name in followed]
        self._features = np.array([*followed, ""], object)
        self._least = np.array([_LEAST_COVERAGE if name == "coverage" else 0.0 for name in followed])
        self._sensors = np.array([sensor.name for sensor in telemetry.sensors], object)
        shape = (len(telemetry.sensors), len(self._columns))
        self._state = SlotArrays(
            {
                "seen": Column(np.int64),
                "level": Column(np.float64, shape),
                "spread": Column(np.float64, shape),
            }
        )
        self.states = (self._state,)

    def step(self, rows: Rows) -> Rows:
        """With the columns `z` float64 [M], deviations from usual where they are largest, and `sensor` and `feature`, of what.

        0 while an asset warms up.
        """
        z = np.zeros((len(rows), len(self._sensors), len(self._columns)))
        watched = rows.features[:, :, self._columns]
        turn = _turns(rows.slot)
        for each in range(int(turn.max(initial=-1)) + 1):
            chosen = np.flatnonzero(turn == each)
            z[chosen] = self._follow(rows.slot[chosen], watched[chosen])
        flat = z.reshape(len(rows), len(self._sensors) * len(self._columns))
        if not flat.size:
            none = np.zeros(len(rows))
            return rows.also(
                {
                    "z": none,
                    "sensor": self._sensors[:1].repeat(len(rows)),
                    "feature": self._features[-1:].repeat(len(rows)),
                }
            )
        furthest = flat.argmax(axis=1)
        sensor, feature = np.divmod(furthest, len(self._columns))
        return rows.also(
            {
                "z": flat[np.arange(len(rows)), furthest],
                "sensor": self._sensors[sensor],
                "feature": self._features[feature],
            }
        )

    def _follow(self, slot: np.ndarray, values: np.ndarray) -> np.ndarray:
        """One window of each of these assets [n, S, K]: its deviations, alike, then the windows count as seen.

        What is no number says nothing. An asset of which something usual is none begins anew: nothing would mend it.
        """
        state = self._state
        level, spread = state["level"][slot], state["spread"][slot]
        whole = (np.isfinite(level) & np.isfinite(spread)).all(axis=(1, 2))
        seen = np.where(whole, state["seen"][slot], 0)
        first = (seen == 0)[:, None, None]
        spread = np.where(first, 0.0, spread)
        values = np.where(np.isfinite(values), values, np.nan)
        level = np.where(first, values, level)
        values = np.where(np.isnan(values), level, values)
        distance = values - level
        usual = np.maximum(spread, _LEAST * np.abs(level) + self._least + 1e-12)
        deviations = np.abs(distance) / usual
        rate = np.maximum(_FORGETS, 1.0 / (seen + 1))[:, None, None]
        reach = np.where((seen < WARM_UP)[:, None, None], np.inf, _BOUND * usual)
        state["level"][slot] = level + rate * np.clip(distance, -reach, reach)
        state["spread"][slot] = spread + rate * (np.minimum(np.abs(distance), reach) - spread)
        state["seen"][slot] = seen + 1
        return np.where((seen < WARM_UP)[:, None, None], 0.0, deviations)


def _turns(slot: np.ndarray) -> np.ndarray:
    """How many rows of the same asset stand before each; rows of an asset stand together."""
    if not len(slot):
        return np.empty(0, np.int64)
    begins = np.flatnonzero(np.r_[True, slot[1:] != slot[:-1]])
    lengths = np.diff(np.r_[begins, len(slot)])
    return np.asarray(np.arange(len(slot)) - np.repeat(begins, lengths))
