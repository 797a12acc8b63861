"""One run of a scenario, from its parts to bytes. The same scenario, fleet, rate, seed and start give the same bytes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Final

import numpy as np

from mesh.signals.sensors import Sensor
from mesh.simulation.delivery import Delivery, Source
from mesh.simulation.encode import RawEncoder
from mesh.simulation.faults import SIGNAL_FAULTS, Fault
from mesh.simulation.machine import Fleet, typical
from mesh.simulation.recording import Playback, Recording
from mesh.simulation.scenario import Scenario, place
from mesh.simulation.stream import Simulation
from mesh.simulation.thinning import Sampling, Tally, Thinning
from mesh.simulation.transport import TRANSPORT_FAULTS
from mesh.simulation.truth import Truth

_RECORDED_DECIMALS: Final = 9
"""Recorded values stay as they are; only what faults make of them is cut here."""


@dataclass(frozen=True, slots=True)
class Sent:
    """One record: its JSON, its Kafka key, and when it leaves, in seconds since the beginning."""

    value: bytes
    key: bytes
    seconds: float


@dataclass(frozen=True)
class Run:
    """`scenario` on machines `assets` (names) with `sensors`, `hz` readings a second from each.

    Its first second is `start_ms` (since 1970) and it lasts `duration_s`. A `recording`, with the same assets and sensors,
    speaks instead of simulated machines; then `hz` only spaces the records of a flood. With `sampling`, machines spare
    readings, and `tally` counts them as records are made.
    """

    scenario: Scenario
    assets: tuple[str, ...]
    sensors: Sequence[Sensor]
    hz: float
    seed: int
    start_ms: int
    duration_s: float
    recording: Recording | None = None
    sampling: Sampling | None = None
    tally: Tally = field(default_factory=Tally, compare=False)

    @cached_property
    def faults(self) -> tuple[Fault, ...]:
        """What goes wrong. `InvalidInput` for a machine or sensor that this run does not have."""
        spoken = {name: at for at, name in enumerate(self._names)}
        if self.recording is not None:
            spoken = {name: at for name, at in spoken.items() if not self.recording.absent[at]}
        return place(self.scenario, self.assets, spoken, self.seed, self.duration_s)

    @property
    def truths(self) -> list[Truth]:
        """What was wrong, in the order of its beginning."""
        ends_ms = round(self.duration_s * 1e3)
        found = [
            Truth(
                asset=self.assets[fault.asset],
                kind=fault.kind,
                from_ms=self.start_ms + fault.begins_ms,
                to_ms=self.start_ms + min(fault.ends_ms, ends_ms),
                sensors=tuple(self._names[at] for at in fault.sensors),
                scenario=self.scenario.name,
                seed=self.seed,
            )
            for fault in self.faults
        ]
        return sorted(found, key=lambda truth: truth.from_ms)

    @property
    def expected(self) -> int | None:
        """About how many records there will be; None where machines spare some, and nobody knows which."""
        if self.sampling is not None:
            return None
        healthy = self.hz * len(self.assets) * self.duration_s
        if self.recording is not None:
            healthy = int(np.searchsorted(self.recording.seconds, self.duration_s))
        more = 0.0
        for fault in self.faults:
            readings = (min(fault.ends_s, self.duration_s) - fault.begins_s) * self.hz
            more += readings * (fault.size - 1) if fault.kind == "flood" else 0.0
            more += readings * fault.part if fault.kind == "duplicates" else 0.0
        return round(healthy + more)

    def records(self) -> Iterator[Sent]:
        """Every record in the order in which it leaves. `InvalidInput` where too many would be held at once."""
        source, decimals = self._source()
        encoder = RawEncoder(self.assets, self._names, self.start_ms, decimals, self.scenario.units())
        keys = [name.encode() for name in self.assets]
        for records in self._delivery(source).seconds():
            texts = encoder.encode(records)
            for text, asset, sent in zip(
                texts, records.asset.tolist(), records.sent_ms.tolist(), strict=True
            ):
                yield Sent(text, keys[asset], sent / 1e3)

    @property
    def _names(self) -> list[str]:
        return [sensor.name for sensor in self.sensors]

    def _of(self, kinds: Sequence[str]) -> list[Fault]:
        return [fault for fault in self.faults if fault.kind in kinds]

    def _source(self) -> tuple[Source, np.ndarray]:
        """Who speaks, and how many digits behind the point [S] its values keep."""
        faults = self._of([*SIGNAL_FAULTS])
        if self.recording is not None:
            playback = Playback(self.recording, faults, self.seed)
            return playback, np.full(len(self.sensors), _RECORDED_DECIMALS)
        behaviours = [typical(sensor, at) for at, sensor in enumerate(self.sensors)]
        fleet = Fleet(behaviours, len(self.assets), self.seed)
        return Simulation(fleet, faults, self.hz, self.seed), decimals_of(fleet.noise)

    def _delivery(self, source: Source) -> Delivery:
        absent, said = np.zeros(len(self.sensors), np.bool_), [""] * len(self.sensors)
        if self.recording is not None:
            absent, said = self.recording.absent, list(self.recording.units)
        units = self.scenario.units()
        return Delivery(
            source=source,
            faults=self._of([*TRANSPORT_FAULTS]),
            seed=self.seed,
            ends_ms=round(self.duration_s * 1e3),
            period_ms=1e3 / self.hz,
            absent=absent,
            units=np.array([units.index(unit) for unit in said], np.int16),
            thinned=None
            if self.sampling is None
            else partial(Thinning, self.sampling, self.assets, self.sensors, self.tally),
        )


def decimals_of(noise: np.ndarray) -> np.ndarray:
    """How many digits behind the point the values of simulated sensors keep: int64 [S], of the noise [S] of each.

    A digit or two finer than the noise: more of them would only be noise themselves.
    """
    decimals = np.clip(np.ceil(1 - np.log10(noise)), 0, _RECORDED_DECIMALS)
    return np.asarray(decimals.astype(np.int64))
