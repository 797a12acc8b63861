"""Windows over the grid: the last `window` steps of an asset at every `hop`-th step, while none is missing between them."""

from dataclasses import dataclass

import numpy as np

from mesh.signals.arrivals import segments
from mesh.signals.sensors import Grid, Steps
from mesh.signals.slots import Column, SlotArrays


@dataclass(frozen=True, slots=True)
class Windows:
    """M windows of W steps over S sensors, by asset and time.

    `slot` int64 [M], `time` int64 [M] of the last step, `values` float64 [M, S, W] with NaN where nothing was known, `cause`
    int64 [M] the batch's record that closed the last step.
    """

    slot: np.ndarray
    time: np.ndarray
    values: np.ndarray
    cause: np.ndarray

    def __len__(self) -> int:
        return len(self.slot)


class WindowCutter:
    """Keeps the last `window` - 1 steps of every asset."""

    def __init__(self, sensors: int, grid: Grid, capacity: int = 16) -> None:
        self._grid = grid
        self._before = grid.window - 1
        self.state = SlotArrays(
            {
                "history": Column(np.float64, (self._before, sensors), np.nan),
                "run": Column(np.int64),
                "time": Column(np.int64, (), -1),
            },
            capacity,
        )

    def cut(self, steps: Steps) -> Windows:
        """The windows that end at these steps.

        A window ends where the number of its step counts `hop` full, so windows fall on the same times whoever reads them, and
        where the `window` steps up to it follow each other without a gap.
        """
        state, grid, before = self.state, self._grid, self._before
        if not len(steps):
            return self._none(steps)
        begins = np.flatnonzero(np.r_[True, steps.slot[1:] != steps.slot[:-1]])
        slots, segment = steps.slot[begins], segments(begins, len(steps))
        run = self._runs(steps, begins, segment)

        lengths = np.diff(np.r_[begins, len(steps)])
        rows = np.empty((len(steps) + before * len(slots), steps.values.shape[1]))
        place = np.arange(len(steps)) + (segment + 1) * before
        rows[place] = steps.values
        ends = np.cumsum(lengths + before)
        past = (ends - lengths)[:, None] - before + np.arange(before)
        rows[past] = state["history"][slots]

        full = (run >= grid.window) & ((steps.time // grid.period_ms + 1) % grid.hop == 0)
        chosen = np.flatnonzero(full)
        views = np.lib.stride_tricks.sliding_window_view(rows, grid.window, axis=0)
        values = views[place[chosen] - before]

        state["history"][slots] = rows[ends[:, None] - before + np.arange(before)]
        last = np.r_[begins[1:], len(steps)] - 1
        state["run"][slots] = run[last]
        state["time"][slots] = steps.time[last]
        return Windows(steps.slot[chosen], steps.time[chosen], values, steps.cause[chosen])

    def _none(self, steps: Steps) -> Windows:
        empty = np.empty((0, steps.values.shape[1], self._grid.window))
        return Windows(steps.slot, steps.time, empty, steps.cause)

    def _runs(self, steps: Steps, begins: np.ndarray, segment: np.ndarray) -> np.ndarray:
        """How many steps up to each follow one another without a gap."""
        previous = np.empty_like(steps.time)
        previous[1:] = steps.time[:-1]
        previous[begins] = self.state["time"][steps.slot[begins]]
        goes_on = (steps.time - previous == self._grid.period_ms) & (previous >= 0)
        at = np.arange(len(steps))
        broken = np.maximum.accumulate(np.where(goes_on, -1, at))
        begin = begins[segment]
        carried = self.state["run"][steps.slot]
        return np.where(broken < begin, at - begin + 1 + carried, at - broken + 1)
