"""Readings of a fleet with its faults, a second at a time: any second can be made without those before it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mesh.simulation.faults import SIGNAL_FAULTS, Fault, Rows, Signals
from mesh.simulation.machine import Fleet


@dataclass(frozen=True, slots=True)
class Block:
    """N readings in the order of their times: `asset` int64 [N], `seconds` float64 [N] since the beginning, `values` [N, S]."""

    asset: np.ndarray
    seconds: np.ndarray
    values: np.ndarray

    def __len__(self) -> int:
        return len(self.asset)

    @property
    def time_ms(self) -> np.ndarray:
        """The same times in whole milliseconds, int64 [N]: what records say, and what decides whether a fault has begun."""
        # A rate's multiples come out a little below the millisecond that they mean.
        return np.floor(self.seconds * 1e3 + 1e-6).astype(np.int64)


class Simulation:
    """What `fleet` says at `rate_hz` readings a second from each machine, with `faults`, by `seed`."""

    def __init__(self, fleet: Fleet, faults: Sequence[Fault], rate_hz: float, seed: int) -> None:
        """Raises `ValueError` for a kind of fault that there is not."""
        unknown = sorted({fault.kind for fault in faults} - SIGNAL_FAULTS.keys())
        if unknown:
            raise ValueError(f"no fault {', '.join(unknown)}; there are: {', '.join(SIGNAL_FAULTS)}")
        self._fleet, self._faults = fleet, tuple(faults)
        self._rate_hz, self._seed = rate_hz, seed
        assets = len(fleet.level)
        # Machines report one after the other, so that a fleet's readings are spread over time.
        self._lag = np.arange(assets) / assets / rate_hz

    def second(self, n: int) -> Block:
        """The readings of the `n`-th second: those at or after `n` and before `n` + 1."""
        asset, seconds = self._moments(n)
        noise = np.random.default_rng([self._seed, 1, n]).standard_normal(
            (len(asset), self._fleet.level.shape[1])
        )
        values = self._fleet.clean(asset, seconds) + noise * self._fleet.noise
        block = Block(asset, seconds, values)
        apply_faults(block, self._faults, self._fleet, self._seed, n)
        return block

    def next_second(self, n: int) -> int:
        """The first second from `n` on that may have readings: it itself, for machines never rest."""
        return n

    def _moments(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        first = np.ceil((n - self._lag) * self._rate_hz).astype(np.int64)
        count = np.ceil((n + 1 - self._lag) * self._rate_hz).astype(np.int64) - first
        asset = np.repeat(np.arange(len(count)), count)
        tick = np.repeat(first, count) + np.arange(len(asset)) - np.repeat(np.cumsum(count) - count, count)
        seconds = tick / self._rate_hz + self._lag[asset]
        order = np.argsort(seconds, kind="stable")
        return asset[order], seconds[order]


def apply_faults(block: Block, faults: Sequence[Fault], signals: Signals, seed: int, n: int) -> None:
    """Change the values of the `n`-th second's `block`, in place, to what they are with `faults` of signals."""
    time_ms = block.time_ms
    for number, fault in enumerate(faults):
        if fault.begins_ms > 1_000 * (n + 1) or fault.ends_ms <= 1_000 * n:
            continue
        rows = fault.rows(block.asset, time_ms)
        rng = np.random.default_rng([seed, 2, number, n])
        place = np.ix_(rows, np.array(fault.sensors))
        touched = Rows(fault, signals, block.seconds[rows], block.values[place], rng)
        block.values[place] = SIGNAL_FAULTS[fault.kind](touched)
