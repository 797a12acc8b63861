"""Machines that spare readings: what adaptive sampling leaves of records before they go on their way."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mesh.signals.sampling import DeltaSampler
from mesh.signals.sensors import Readings, SamplingRules, Sensor
from mesh.simulation.records import Records


def _nobody() -> Collection[str]:
    return ()


@dataclass(slots=True)
class Tally:
    """How many values machines read, and how many they sent."""

    read: int = 0
    sent: int = 0

    @property
    def kept(self) -> float:
        """The share that was sent; 1 where nothing was read."""
        return self.sent / self.read if self.read else 1.0


@dataclass(frozen=True, slots=True)
class Sampling:
    """How machines spare readings. `watched` names those that send everything now; it is asked once a second of the run."""

    rules: SamplingRules
    watched: Callable[[], Collection[str]] = _nobody


class Thinning:
    """Takes the values out of records that are not sent, and the records of which nothing is left."""

    def __init__(
        self, sampling: Sampling, assets: Sequence[str], sensors: Sequence[Sensor], tally: Tally
    ) -> None:
        self._watched = sampling.watched
        self._slots = {name: at for at, name in enumerate(assets)}
        self._sampler = DeltaSampler(tuple(sensors), sampling.rules, len(assets))
        self._tally = tally

    def __call__(self, records: Records) -> Records:
        """What is sent of these records, in the order in which they were read."""
        slots = [self._slots[name] for name in self._watched() if name in self._slots]
        readings = Readings(records.asset, records.read_ms, records.values)
        keep = self._sampler.step(readings, np.array(slots, np.int64)) & ~records.absent
        self._tally.read += records.absent.size - int(records.absent.sum())
        self._tally.sent += int(keep.sum())
        return replace(records, absent=~keep).take(np.flatnonzero(keep.any(axis=1)))
