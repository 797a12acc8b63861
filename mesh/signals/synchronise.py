"""Readings of any rate and order onto one grid per asset: a backward as-of join with tolerance, closed by event time.

The value of a sensor at a step is the newest one read at or before it, unless that is older than the sensor's tolerance. A step
is closed by the asset's own clock alone, never by ours, and what comes later is late: so the steps are the same however
the records are cut into batches, and whenever they are read again.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from mesh.signals.arrivals import Arrivals, observe, segments, step_of
from mesh.signals.sensors import Grid, Readings, Sensor, Steps
from mesh.signals.slots import Column, SlotArrays

_RANK_BITS: Final = 21
_RANK_MASK: Final = (1 << _RANK_BITS) - 1
MAX_TIME_MS: Final = 1 << 42
"""Times must lie in [0, MAX_TIME_MS), until the year 2109: a time and a row share 63 bits."""
_CARRY: Final = -MAX_TIME_MS
"""The step of a row that holds what was known before the batch's first open step; before every step that can be closed, also of a
clock that began in 1970."""


@dataclass(frozen=True, slots=True)
class Synchronised:
    """What a batch closed. `late` int64: its rows that came too late; `restarted` int64: slots whose clock was set back."""

    steps: Steps
    late: np.ndarray
    restarted: np.ndarray


@dataclass(frozen=True, slots=True)
class _Cells:
    """Per asset and step, what each sensor said last: `key` int64 [C, S] is time and row, -1 for none; `values` [R, S] by row."""

    slot: np.ndarray
    step: np.ndarray
    key: np.ndarray
    values: np.ndarray

    @property
    def time(self) -> np.ndarray:
        return np.where(self.key < 0, -1, self.key >> _RANK_BITS)

    def value(self, key: np.ndarray) -> np.ndarray:
        """The values that these keys [n, S] name."""
        found = self.values[np.where(key < 0, 0, key & _RANK_MASK), np.arange(key.shape[1])]
        return np.where(key < 0, np.nan, found)


class Synchroniser:
    """The grid of many assets. `state` holds for each what is not closed yet and what its sensors said last."""

    def __init__(self, sensors: tuple[Sensor, ...], grid: Grid, capacity: int = 16) -> None:
        self._grid = grid
        self._tolerance = np.array([sensor.tolerance_ms for sensor in sensors], np.int64)
        self._open = -(-grid.lateness_ms // grid.period_ms) + 2
        width = len(sensors)
        self.state = SlotArrays(
            {
                "watermark": Column(np.int64, (), -1),
                "late_run": Column(np.int64),
                "last_time": Column(np.int64, (width,), -1),
                "last_value": Column(np.float64, (width,), np.nan),
                "open_step": Column(np.int64, (self._open,), -1),
                "open_time": Column(np.int64, (self._open, width), -1),
                "open_value": Column(np.float64, (self._open, width), np.nan),
            },
            capacity,
        )

    def step(self, readings: Readings) -> Synchronised:
        """Take records [N] in their order of arrival; returns the steps that they closed.

        Times must lie in [0, MAX_TIME_MS), slots below the state's capacity, and N below 2^20.
        """
        closed: list[Steps] = []
        late: list[np.ndarray] = []
        restarted: list[np.ndarray] = []
        rows = np.arange(len(readings))
        while len(rows):
            part = readings if len(rows) == len(readings) else readings.take(rows)
            arrivals, now, rest = self._observe(part), rows, rows[:0]
            shows = arrivals.run >= self._grid.restart_after
            if shows.any():
                after = _at_or_after(shows, arrivals)
                now, rest = np.sort(rows[arrivals.order[~after]]), np.sort(rows[arrivals.order[after]])
                part = readings.take(now)
            if len(now):
                arrivals = self._observe(part) if len(rest) else arrivals
                late.append(now[arrivals.order[arrivals.late]])
                closed.append(self._close(part, arrivals, now))
            again = np.unique(readings.slot[rest])
            self.state.clear(again)
            restarted.append(again)
            rows = rest
        return Synchronised(self._in_order(closed), np.sort(_joined(late)), np.unique(_joined(restarted)))

    def _observe(self, readings: Readings) -> Arrivals:
        return observe(
            readings.slot, readings.time, self.state["watermark"], self.state["late_run"], self._grid
        )

    def _close(self, readings: Readings, arrivals: Arrivals, rows: np.ndarray) -> Steps:
        ends = np.r_[arrivals.begins[1:], len(arrivals.slot)] - 1
        slots, closed = arrivals.slot[arrivals.begins], arrivals.closed[ends]
        cells = self._cells(readings.take(np.sort(arrivals.order[~arrivals.late])), slots)
        begins = np.flatnonzero(cells.step == _CARRY)
        segment = segments(begins, len(cells.step))
        newest = _carried_on(cells.key, begins)
        steps = self._expand(cells, newest, closed, segment, arrivals, rows)
        self._keep(cells, newest, begins, closed)
        self.state["watermark"][slots] = np.maximum(
            self.state["watermark"][slots], np.maximum.reduceat(arrivals.time, arrivals.begins)
        )
        self.state["late_run"][slots] = arrivals.run[ends]
        return steps

    def _cells(self, readings: Readings, slots: np.ndarray) -> _Cells:
        """What was carried, what was open and what came, by asset and step; an asset's first row is what was carried."""
        state = self.state
        at, place = np.nonzero(state["open_step"][slots] >= 0)
        held = slots[at]
        slot = np.concatenate([slots, held, readings.slot])
        step = np.concatenate(
            [
                np.full(len(slots), _CARRY),
                state["open_step"][held, place],
                step_of(readings.time, self._grid),
            ]
        )
        values = np.concatenate(
            [state["last_value"][slots], state["open_value"][held, place], readings.values]
        )
        came = np.where(np.isnan(readings.values), -1, readings.time[:, None])
        time = np.concatenate([state["last_time"][slots], state["open_time"][held, place], came])
        order = np.lexsort((step, slot))
        slot, step, time, values = slot[order], step[order], time[order], values[order]
        key = np.where(time < 0, -1, time << _RANK_BITS | np.arange(len(slot))[:, None])
        begins = np.flatnonzero(np.r_[True, (slot[1:] != slot[:-1]) | (step[1:] != step[:-1])])
        return _Cells(slot[begins], step[begins], np.maximum.reduceat(key, begins, axis=0), values)

    def _expand(
        self,
        cells: _Cells,
        newest: np.ndarray,
        closed: np.ndarray,
        segment: np.ndarray,
        arrivals: Arrivals,
        rows: np.ndarray,
    ) -> Steps:
        """Every closed step at which some sensor's value is within tolerance. `newest` [C, S] are keys."""
        period = self._grid.period_ms
        time = np.where(newest < 0, -1, newest >> _RANK_BITS)
        was_closed = (self.state["watermark"][cells.slot] - self._grid.lateness_ms) // period
        first = np.where(cells.step == _CARRY, was_closed + 1, cells.step)
        upto = np.r_[np.where(cells.step[1:] == _CARRY, MAX_TIME_MS, cells.step[1:] - 1), MAX_TIME_MS]
        known_until = np.where(time < 0, -MAX_TIME_MS, (time + self._tolerance) // period).max(axis=1)
        last = np.minimum(np.minimum(upto, known_until), closed[segment])
        count = np.maximum(last - first + 1, 0)
        cell = np.repeat(np.arange(len(count)), count)
        step = first[cell] + np.arange(len(cell)) - np.repeat(np.cumsum(count) - count, count)
        age = step[:, None] * period - time[cell]
        known = (time[cell] >= 0) & (age <= self._tolerance)
        return Steps(
            cells.slot[cell],
            step * period,
            np.where(known, cells.value(newest[cell]), np.nan),
            np.where(known, age, np.nan),
            rows[arrivals.closers(segment[cell], step)],
        )

    def _keep(self, cells: _Cells, newest: np.ndarray, begins: np.ndarray, closed: np.ndarray) -> None:
        """Remember what is open, and what was last said at the last closed step."""
        state, slots = self.state, cells.slot[begins]
        segment = segments(begins, len(cells.step))
        is_open = cells.step > closed[segment]
        ends = np.r_[begins[1:], len(cells.step)]
        carry = ends - 1 - np.add.reduceat(is_open.astype(np.int64), begins)
        state["last_time"][slots] = np.where(newest[carry] < 0, -1, newest[carry] >> _RANK_BITS)
        state["last_value"][slots] = cells.value(newest[carry])
        state["open_step"][slots] = -1
        chosen = np.flatnonzero(is_open)
        place = chosen - carry[segment[chosen]] - 1
        slot = cells.slot[chosen]
        state["open_step"][slot, place] = cells.step[chosen]
        state["open_time"][slot, place] = cells.time[chosen]
        state["open_value"][slot, place] = cells.value(cells.key[chosen])

    def _in_order(self, parts: list[Steps]) -> Steps:
        if len(parts) == 1:
            return parts[0]
        width = len(self._tolerance)
        none, empty = np.empty(0, np.int64), np.empty((0, width))
        whole = [Steps(none, none, empty, empty, none), *parts]
        slot = np.concatenate([part.slot for part in whole])
        order = np.argsort(slot, kind="stable")
        return Steps(
            slot[order],
            np.concatenate([part.time for part in whole])[order],
            np.concatenate([part.values for part in whole])[order],
            np.concatenate([part.age for part in whole])[order],
            np.concatenate([part.cause for part in whole])[order],
        )


def _carried_on(key: np.ndarray, begins: np.ndarray) -> np.ndarray:
    """Each cell's newest key [C, S]: its own, else that of the cell before it; `begins` are the assets' first cells.

    Keys grow from cell to cell of an asset, as their times do, so the newest is the last that is there.
    """
    at = np.where(key >= 0, np.arange(len(key))[:, None], 0)
    at[begins] = begins[:, None]
    return np.take_along_axis(key, np.maximum.accumulate(at, axis=0), axis=0)


def _at_or_after(backward: np.ndarray, arrivals: Arrivals) -> np.ndarray:
    """Rows at or after the first row of their asset that shows its clock was set back."""
    seen = np.cumsum(backward)
    before = (seen - backward)[arrivals.begins]
    return np.asarray(seen > before[arrivals.segment])


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts) if parts else np.empty(0, np.int64)
