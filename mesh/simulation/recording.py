"""Readings that were recorded once, played back: the same faults can be put into them as into simulated ones."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mesh.simulation.faults import Fault
from mesh.simulation.stream import Block, apply_faults


@dataclass(frozen=True, slots=True)
class Recording:
    """N readings of A machines in the order of their times.

    `assets` [A] are names; `asset` int64 [N] places in them, `seconds` float64 [N] since the beginning, `values` float64
    [N, S] with NaN for what is missing. `units` [S] are what the values are in, "" where the records say nothing of it.
    `absent` bool [S] marks sensors that the recording does not have.
    """

    assets: tuple[str, ...]
    asset: np.ndarray
    seconds: np.ndarray
    values: np.ndarray
    units: tuple[str, ...]
    absent: np.ndarray

    @property
    def lasts_s(self) -> float:
        """Seconds until the first millisecond after the last reading; there is at least one."""
        return float(np.floor(self.seconds[-1] * 1e3 + 1e-6) + 1) / 1e3

    @property
    def period_s(self) -> float:
        """The median time between two readings of a machine; 1 where none has two."""
        apart = np.concatenate([np.diff(self.seconds[rows]) for rows in self.rows_of_each()] or [np.empty(0)])
        apart = apart[apart > 0]
        return float(np.median(apart)) if len(apart) else 1.0

    def rows_of_each(self) -> list[np.ndarray]:
        """The places of every machine's readings, in the order of time."""
        order = np.argsort(self.asset, kind="stable")
        return np.split(order, np.searchsorted(self.asset[order], np.arange(1, len(self.assets))))


class Playback:
    """A recording with `faults` of signals by `seed`, a second at a time."""

    def __init__(self, recording: Recording, faults: Sequence[Fault], seed: int) -> None:
        self._recording, self._faults, self._seed = recording, tuple(faults), seed
        self._rows = recording.rows_of_each()
        self.noise = _noise(recording.values, self._rows)

    def second(self, n: int) -> Block:
        """The readings of the `n`-th second: those at or after `n` and before `n` + 1."""
        begin, end = np.searchsorted(self._recording.seconds, [n, n + 1])
        part = slice(int(begin), int(end))
        recorded = self._recording
        block = Block(recorded.asset[part], recorded.seconds[part], recorded.values[part].copy())
        apply_faults(block, self._faults, self, self._seed, n)
        return block

    def next_second(self, n: int) -> int | None:
        """The first second from `n` on that has readings; None where there are no more."""
        at = int(np.searchsorted(self._recording.seconds, n))
        return None if at == len(self._recording.seconds) else int(self._recording.seconds[at])

    def clean(self, asset: np.ndarray, seconds: np.ndarray, cycles: np.ndarray | None = None) -> np.ndarray:
        """The newest recorded values [N, S] of machines [N] at `seconds` [N] + `cycles` [N]; before the first, the first."""
        wanted = seconds if cycles is None else seconds + cycles
        found = np.empty((len(asset), self._recording.values.shape[1]))
        for one in np.unique(asset):
            rows, mine = self._rows[one], asset == one
            at = np.searchsorted(self._recording.seconds[rows], wanted[mine], "right") - 1
            found[mine] = self._recording.values[rows[np.maximum(at, 0)]]
        return found


def _noise(values: np.ndarray, rows: Sequence[np.ndarray]) -> np.ndarray:
    """Of each sensor [S]: the deviation of a reading that explains the median step between two; 1 for one that never moves.

    Steps leave out level and trend; 0.6745 is the median of |x| for a normal x, and a step holds the noise of two readings.
    """
    steps = [np.abs(np.diff(values[mine], axis=0)) for mine in rows if len(mine) > 1]
    of_each = np.concatenate([np.zeros((1, values.shape[1])), *steps]).T
    known = [one[1:][~np.isnan(one[1:])] for one in of_each]
    median = np.array([np.median(one) if len(one) else 0.0 for one in known])
    return np.where(median > 0, median / 0.6745 / np.sqrt(2.0), 1.0)
