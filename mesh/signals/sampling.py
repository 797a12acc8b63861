"""Adaptive sampling at the sender: a reading is sent where it says something new, and at least once in a heartbeat.

Send-on-delta (M. Miskowicz, "Send-On-Delta Concept: An Event-Based Data Reporting Strategy", Sensors 6, 2006): a value is sent
once it is `delta` or more from the last one that was sent, so whoever holds the last value is never further off than that. An
asset that is watched, because an alert or a drift of it is open, sends everything, and goes on for a while after.
"""

from typing import Final

import numpy as np

from mesh.signals.sensors import Readings, SamplingRules, Sensor
from mesh.signals.slots import Column, SlotArrays

_NEVER: Final = -1
NOBODY: Final = np.empty(0, np.int64)
"""No asset is watched."""


class DeltaSampler:
    """Decides which values are sent. `state` holds for each asset what its sensors sent last, and until when it sends all."""

    def __init__(self, sensors: tuple[Sensor, ...], rules: SamplingRules, capacity: int = 16) -> None:
        self._delta = np.array([sensor.delta for sensor in sensors])
        tolerance = np.array([sensor.tolerance_ms for sensor in sensors], np.int64)
        self._silence = np.minimum(tolerance, rules.heartbeat_ms)
        self._period = np.array([sensor.period_ms for sensor in sensors], np.int64)
        self._hold_ms = rules.hold_ms
        width = len(sensors)
        self.state = SlotArrays(
            {
                "sent_time": Column(np.int64, (width,), _NEVER),
                "sent_value": Column(np.float64, (width,), np.nan),
                "full_until": Column(np.int64, (), _NEVER),
            },
            capacity,
        )

    def step(self, readings: Readings, watched: np.ndarray = NOBODY) -> np.ndarray:
        """Which values of these records [N, S] are to be sent, bool; a record without one need not be.

        `watched` int64 are the slots of assets that send everything from now on. Slots must lie below the state's capacity. The
        decisions do not depend on how the records are cut into batches.
        """
        keep = np.zeros(readings.values.shape, np.bool_)
        is_watched = np.isin(readings.slot, watched)
        for rows in _in_turn(readings.slot):
            keep[rows] = self._decide(readings.take(rows), is_watched[rows])
        return keep

    def _decide(self, readings: Readings, watched: np.ndarray) -> np.ndarray:
        """One record of each of these assets: what is sent of it, bool [n, S]."""
        state, slot, time = self.state, readings.slot, readings.time
        state["full_until"][slot] = np.where(watched, time + self._hold_ms, state["full_until"][slot])
        sent_time, sent_value = state["sent_time"][slot], state["sent_value"][slot]
        # A null says as much as a value does: one is sent when it begins, and the first value after it.
        moved = np.isnan(readings.values) != np.isnan(sent_value)
        moved |= (np.abs(readings.values - sent_value) >= self._delta) | (self._delta == 0)
        since = time[:, None] - sent_time
        # Quiet for another period would be too long; a clock that was set back begins anew.
        due = (since + self._period > self._silence) | (since < 0) | (sent_time == _NEVER)
        keep: np.ndarray = moved | due | (time <= state["full_until"][slot])[:, None]
        state["sent_time"][slot] = np.where(keep, time[:, None], sent_time)
        state["sent_value"][slot] = np.where(keep, readings.values, sent_value)
        return keep


def _in_turn(slot: np.ndarray) -> list[np.ndarray]:
    """Rows in parts in which each asset has at most one, so that every part follows from the state that those before it left."""
    if not len(slot):
        return []
    order = np.argsort(slot, kind="stable")
    begins = np.flatnonzero(np.r_[True, np.diff(slot[order]) != 0])
    lengths = np.diff(np.r_[begins, len(slot)])
    turn = np.arange(len(slot)) - np.repeat(begins, lengths)
    by_turn = order[np.argsort(turn, kind="stable")]
    return np.split(by_turn, np.cumsum(np.bincount(turn))[:-1])
