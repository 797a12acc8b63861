"""A Kalman filter of constant velocity for every sensor of every asset at once.

State: level and velocity; process noise is white acceleration (Bar-Shalom, Li and Kirubarajan, "Estimation with Applications to
Tracking and Navigation", 2001, 6.3.2); the covariance is updated in Joseph's form, so that it stays positive. A value whose
normalised innovation squared is past the gate is not believed, until so many in a row disagree that the filter must be wrong: it
then starts anew. A missing value is a prediction only. No delay: the level at a step uses that step's value.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from mesh.signals.slots import Column, SlotArrays

_RESTART_VARIANCE: Final = 100.0
"""Velocity's first variance, in units of the measurement's variance per second squared."""


@dataclass(frozen=True, slots=True)
class KalmanNoise:
    """Per sensor, float64 [S]: `measurement` and `acceleration` are standard deviations, in the unit and the unit per s².

    `gate` is the largest normalised innovation squared that is believed (chi-squared, one degree: 16 is four sigma);
    `patience` is how many in a row may be refused.
    """

    measurement: np.ndarray
    acceleration: np.ndarray
    gate: float = 16.0
    patience: int = 3


class KalmanFilter:
    """Filters the columns it is given; state per asset is 7 numbers a sensor."""

    def __init__(self, noise: KalmanNoise, capacity: int = 16) -> None:
        self._r = np.square(np.asarray(noise.measurement, np.float64))
        self._q = np.square(np.asarray(noise.acceleration, np.float64))
        self._gate = noise.gate
        self._patience = noise.patience
        sensors = (len(self._r),)
        numbers = Column(np.float64, sensors)
        self.state = SlotArrays(
            {
                "level": Column(np.float64, sensors, np.nan),
                "velocity": numbers,
                "p00": numbers,
                "p01": numbers,
                "p11": numbers,
                "refused": Column(np.int64, sensors),
                "time": Column(np.int64, (), -1),
            },
            capacity,
        )

    def filter(self, slot: np.ndarray, time: np.ndarray, values: np.ndarray) -> np.ndarray:
        """The filtered level of every step: float64 [K, S], NaN before a sensor's first value.

        Steps are sorted by slot, and by time within each; `values` [K, S] holds NaN where there is none.
        """
        levels = np.empty_like(values)
        for rows in rounds(slot):
            levels[rows] = self._advance(slot[rows], time[rows], values[rows])
        return levels

    def _advance(self, slot: np.ndarray, time: np.ndarray, z: np.ndarray) -> np.ndarray:
        """One step of assets that are all different."""
        state = self.state
        before = state["time"][slot]
        anew = (before < 0) | (time <= before)
        dt = (np.where(anew, 0, time - before) / 1e3)[:, None]
        velocity = state["velocity"][slot]
        level = np.where(anew[:, None], np.nan, state["level"][slot] + dt * velocity)
        p00, p01, p11 = self._predicted(slot, dt)

        innovation = z - level
        total = p00 + self._r
        known = np.isfinite(z)
        fresh = known & np.isnan(level)
        refused = state["refused"][slot]
        odd = known & ~fresh & (np.square(innovation) > self._gate * total)
        refused = np.where(odd, refused + 1, np.where(known, 0, refused))
        fresh |= refused > self._patience
        believed = known & ~odd

        with np.errstate(invalid="ignore"):  # lanes without a level yet are replaced below
            k0, k1 = np.where(believed, p00 / total, 0.0), np.where(believed, p01 / total, 0.0)
            step = np.where(believed, innovation, 0.0)
        level, velocity = level + k0 * step, velocity + k1 * step
        p11 = p11 - 2 * k1 * p01 + k1 * k1 * total
        p01 = (1 - k0) * (p01 - k1 * p00) + k0 * k1 * self._r
        p00 = np.square(1 - k0) * p00 + k0 * k0 * self._r

        level, velocity = np.where(fresh, z, level), np.where(fresh, 0.0, velocity)
        state["level"][slot], state["velocity"][slot] = level, velocity
        state["p00"][slot] = np.where(fresh, self._r, p00)
        state["p01"][slot] = np.where(fresh, 0.0, p01)
        state["p11"][slot] = np.where(fresh, _RESTART_VARIANCE * self._r, p11)
        state["refused"][slot] = np.where(fresh, 0, refused)
        state["time"][slot] = time
        return level

    def _predicted(self, slot: np.ndarray, dt: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The covariance after `dt` [a, 1] seconds without a measurement."""
        state = self.state
        p00, p01, p11 = state["p00"][slot], state["p01"][slot], state["p11"][slot]
        square = dt * dt
        return (
            p00 + 2 * dt * p01 + square * p11 + square * square / 4 * self._q,
            p01 + dt * p11 + square * dt / 2 * self._q,
            p11 + square * self._q,
        )


def rounds(slot: np.ndarray) -> list[np.ndarray]:
    """Rows of a sorted `slot` [K] in rounds: the first of every asset, then the second of every asset, and so on."""
    if not len(slot):
        return []
    begins = np.flatnonzero(np.r_[True, slot[1:] != slot[:-1]])
    lengths = np.diff(np.r_[begins, len(slot)])
    rank = np.arange(len(slot)) - np.repeat(begins, lengths)
    order = np.argsort(rank, kind="stable")
    return np.split(order, np.cumsum(np.bincount(rank))[:-1])
