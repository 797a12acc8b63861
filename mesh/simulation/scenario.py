"""What is to happen: faults by share of the fleet and names of sensors, and how the seed places them on machines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from mesh.errors import InvalidInput
from mesh.simulation.faults import Fault
from mesh.simulation.kinds import FaultKind


@dataclass(frozen=True, slots=True)
class Injection:
    """One fault of one or many machines.

    `assets` names them; else the seed chooses the share `share`, or one where it is None. `sensors` empty means all. It begins
    at `begins_s`, on each machine up to `spread_s` later, and lasts `lasts_s`. `size` and `part` are as in `Fault`, `scale`,
    `offset` and `unit` (None: the record says nothing) belong to a change of unit.
    """

    kind: FaultKind
    begins_s: float
    lasts_s: float
    assets: tuple[str, ...] = ()
    share: float | None = None
    sensors: tuple[str, ...] = ()
    spread_s: float = 0.0
    size: float = 0.0
    part: float = 1.0
    scale: float = 1.8
    offset: float = 32.0
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class SensorColumn:
    """The column of a file that holds a sensor, and the unit that its records say; None: nothing."""

    column: str
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class RecordedFile:
    """A CSV file to be played back. Without `asset` it is one machine's; without `time` its rows are evenly apart.

    `sensors` maps names to columns; where it is empty, columns that have a sensor's name are taken.
    """

    path: str
    asset: str | None = None
    time: str | None = None
    sensors: Mapping[str, SensorColumn] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scenario:
    """A name, what it shows in a sentence or two, how long it runs, and what goes wrong. `source` stands for machines."""

    name: str
    description: str
    duration_s: float
    injections: tuple[Injection, ...] = ()
    source: RecordedFile | None = None

    def units(self) -> tuple[str, ...]:
        """Every unit that its records say, behind "" at place 0."""
        said = {one.unit for one in self.injections}
        if self.source is not None:
            said |= {column.unit for column in self.source.sensors.values()}
        return ("", *sorted(unit for unit in said if unit))


def place(
    scenario: Scenario, assets: Sequence[str], sensors: Mapping[str, int], seed: int, ends_s: float
) -> tuple[Fault, ...]:
    """The faults of a run of these machines: those that begin before `ends_s`.

    `sensors` maps the names of those that the machines have to their places. `InvalidInput` for another one, or for a machine
    that there is not.
    """
    faults: list[Fault] = []
    # Each fault takes the next machines of one shuffled row, so that none meets another as long as there are enough.
    shuffled = np.random.default_rng([seed, 4]).permutation(len(assets))
    for number, injection in enumerate(scenario.injections):
        chosen = _machines(injection, assets, shuffled)
        if not injection.assets:
            shuffled = np.roll(shuffled, -len(chosen))
        unit = scenario.units().index(injection.unit or "")
        later = np.random.default_rng([seed, 5, number]).random(len(chosen)) * injection.spread_s
        begins = np.round(injection.begins_s + later, 3).tolist()
        places = _places(injection, sensors)
        faults += [
            _fault(injection, asset, places, begin, unit)
            for asset, begin in zip(chosen, begins, strict=True)
            if begin < ends_s
        ]
    return tuple(faults)


def _fault(injection: Injection, asset: int, sensors: tuple[int, ...], begins_s: float, unit: int) -> Fault:
    return Fault(
        kind=injection.kind,
        asset=asset,
        sensors=sensors,
        begins_s=begins_s,
        ends_s=begins_s + injection.lasts_s,
        size=injection.size,
        part=injection.part,
        scale=injection.scale,
        offset=injection.offset,
        unit=unit,
    )


def _places(injection: Injection, sensors: Mapping[str, int]) -> tuple[int, ...]:
    missing = [name for name in injection.sensors if name not in sensors]
    if missing:
        raise InvalidInput(
            "--scenario",
            f"{injection.kind} is put on the sensor '{missing[0]}', which the machines do not have: they have "
            f"{', '.join(sensors)}",
        )
    return tuple(sensors[name] for name in injection.sensors or sensors)


def _machines(injection: Injection, assets: Sequence[str], shuffled: np.ndarray) -> list[int]:
    """Places of the machines that a fault is put on, in order: those it names, or the first of `shuffled` [A]."""
    if not injection.assets:
        count = 1 if injection.share is None else max(1, round(injection.share * len(assets)))
        return sorted(shuffled[:count].tolist())
    unknown = [name for name in injection.assets if name not in assets]
    if unknown:
        raise InvalidInput(
            "--assets",
            f"the scenario's {injection.kind} is put on '{unknown[0]}', which is not among the {len(assets)} machines of "
            f"this run ({assets[0]} to {assets[-1]}): simulate more of them, or change the scenario",
        )
    return [assets.index(name) for name in injection.assets]
