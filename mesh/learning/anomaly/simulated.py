"""Windows of simulated machines: healthy ones to learn from, and those of the scenarios' faults to measure on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from mesh.learning.anomaly.windows import Episode, WindowCollector, WindowSet
from mesh.signals.sensors import Telemetry
from mesh.simulation.faults import SIGNAL_FAULTS, Fault
from mesh.simulation.machine import Fleet, typical
from mesh.simulation.run import decimals_of
from mesh.simulation.scenario import Scenario, place
from mesh.simulation.stream import Simulation

START_MS: Final = 1_700_000_000_000
_SECONDS_AT_ONCE: Final = 30
_SHARE: Final = 0.5
"""The share of the machines of a scenario that a fault is put on: the others are its healthy neighbours."""


@dataclass(frozen=True, slots=True)
class Machines:
    """How many machines are simulated and for how many seconds."""

    count: int
    seconds: int


def healthy_windows(
    telemetry: Telemetry, machines: Machines, seed: int, progress: Callable[[], None] = lambda: None
) -> WindowSet:
    """A fleet in good health. `progress` is called after each part of `machines.seconds`."""
    return _windows(telemetry, machines, (), seed, progress)


def faulty_windows(
    telemetry: Telemetry,
    scenario: Scenario,
    machines: Machines,
    seed: int,
    progress: Callable[[], None] = lambda: None,
) -> WindowSet:
    """A fleet in a scenario, each of its faults on half of the machines. Raises `InvalidInput` as `place` does."""
    spread = replace(
        scenario,
        injections=tuple(replace(one, share=_SHARE, assets=()) for one in scenario.injections),
    )
    places = {sensor.name: at for at, sensor in enumerate(telemetry.sensors)}
    faults = place(spread, _names(machines.count), places, seed, machines.seconds)
    return _windows(telemetry, machines, faults, seed, progress)


def signal_scenarios(scenarios: Mapping[str, Scenario]) -> tuple[Scenario, ...]:
    """The scenarios of simulated machines all whose faults change values, without what the chain itself repairs.

    A change of unit that the records name is converted before any model sees it.
    """
    found = []
    for scenario in scenarios.values():
        kinds = {one.kind for one in scenario.injections}
        unsaid = tuple(one for one in scenario.injections if one.unit is None)
        if scenario.source is None and unsaid and kinds <= SIGNAL_FAULTS.keys():
            found.append(replace(scenario, injections=unsaid))
    return tuple(found)


def parts(machines: Machines) -> int:
    """How often `progress` is called for a run."""
    return -(-machines.seconds // _SECONDS_AT_ONCE)


def _windows(
    telemetry: Telemetry,
    machines: Machines,
    faults: Sequence[Fault],
    seed: int,
    progress: Callable[[], None],
) -> WindowSet:
    behaviours = [typical(sensor, at) for at, sensor in enumerate(telemetry.sensors)]
    fleet = Fleet(behaviours, machines.count, seed)
    simulation = Simulation(fleet, faults, 1e3 / telemetry.grid.period_ms, seed)
    collector = WindowCollector(
        replace(telemetry, max_assets=max(telemetry.max_assets, machines.count)), _names(machines.count)
    )
    decimals = decimals_of(fleet.noise).tolist()
    for begin in range(0, machines.seconds, _SECONDS_AT_ONCE):
        end = min(begin + _SECONDS_AT_ONCE, machines.seconds)
        blocks = [simulation.second(n) for n in range(begin, end)]
        collector.add(
            np.concatenate([block.asset for block in blocks]),
            np.concatenate([block.time_ms for block in blocks]) + START_MS,
            rounded(np.concatenate([block.values for block in blocks]), decimals),
        )
        progress()
    ends_ms = 1_000 * machines.seconds
    return collector.windows(
        [
            Episode(one.kind, one.asset, START_MS + one.begins_ms, START_MS + min(one.ends_ms, ends_ms))
            for one in faults
        ]
    )


def rounded(values: np.ndarray, decimals: Sequence[int]) -> np.ndarray:
    """Values [N, S] with as many digits as a record has, one number a sensor: rounding shows in the features of still ones."""
    columns = zip(values.T, decimals, strict=True)
    return np.stack([np.round(column, digits) for column, digits in columns], axis=1)


def _names(count: int) -> tuple[str, ...]:
    return tuple(f"pump-{number}" for number in range(1, count + 1))
