"""One run of a simulation: what the command's options make of a scenario, and the truth on its way beside the records."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mesh.cli.recorded import RecordedTable
from mesh.cli.table import Record, seconds
from mesh.errors import InvalidInput
from mesh.signals.sensors import Telemetry
from mesh.simulation.run import Run
from mesh.simulation.scenario import Scenario
from mesh.simulation.thinning import Sampling
from mesh.simulation.truth import Truth

ASSETS: Final = 50
_LAST_S: Final = 4_398_046_511
"""2109: the last time that the chain takes, in seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the options say; None is what the scenario and the fleet make of it."""

    seed: int
    factor: float
    assets: int | None = None
    rate: float | None = None
    duration_s: float | None = None
    start: str | None = None
    sampling: Sampling | None = None


def run_of(scenario: Scenario, telemetry: Telemetry, root: Path, wanted: Wanted, now_s: float) -> Run:
    """The run; `now_s` is seconds since 1970. `InvalidInput` names the option, file or column that is wrong."""
    if not telemetry.sensors:
        raise InvalidInput("telemetry.yaml", "declares no sensors: there is nothing to simulate")
    duration, recording = wanted.duration_s or scenario.duration_s, None
    if scenario.source is None:
        assets = _names(telemetry, wanted.assets)
        hz = (wanted.rate or len(assets) * 1e3 / telemetry.grid.period_ms) / len(assets)
    else:
        names = [sensor.name for sensor in telemetry.sensors]
        table = RecordedTable(scenario.source, root, names)
        recording = table.recording(wanted.assets, wanted.rate)
        if table.skipped.count:
            raise InvalidInput(
                str(table.path), f"{table.skipped.count:,} lines are no readings; {table.skipped.first}"
            )
        assets, hz = recording.assets, 1 / recording.period_s
        duration = min(duration, recording.lasts_s)
    return Run(
        scenario=scenario,
        assets=assets,
        sensors=telemetry.sensors,
        hz=hz,
        seed=wanted.seed,
        start_ms=_start_ms(wanted, now_s, duration),
        duration_s=duration,
        recording=recording,
        sampling=wanted.sampling,
    )


def begins_at(now_s: float, duration_s: float, factor: float) -> float:
    """The start at which no reading is ahead of the clock: now, or, `factor` times as fast, as much before as it gains."""
    return now_s - max(0.0, duration_s * (1.0 - (0.0 if math.isinf(factor) else 1.0 / factor)))


def with_truth(run: Run, tell: Sequence[Callable[[Truth], None]]) -> Iterator[Record]:
    """The run's records; each fault is told before the first record that leaves after its beginning."""
    truths = run.truths
    told = 0
    for sent in run.records():
        while told < len(truths) and truths[told].from_ms <= run.start_ms + sent.seconds * 1e3:
            for one in tell:
                one(truths[told])
            told += 1
        yield Record(sent.value, sent.key, sent.seconds)


def _names(telemetry: Telemetry, assets: int | None) -> tuple[str, ...]:
    known = sorted(telemetry.known_assets)
    if not known:
        return tuple(f"pump-{number}" for number in range(1, (assets or ASSETS) + 1))
    if assets is not None and assets > len(known):
        raise InvalidInput(
            "--assets", f"telemetry.yaml's assets.known has {len(known)} machines, not {assets}"
        )
    return tuple(known[:assets])


def _start_ms(wanted: Wanted, now_s: float, duration_s: float) -> int:
    if wanted.start is None:
        return math.floor(begins_at(now_s, duration_s, wanted.factor) * 1e3)
    try:
        start = seconds(wanted.start)
    except ValueError as error:
        raise InvalidInput("--start", str(error)) from None
    if not 0 <= start <= _LAST_S - duration_s:
        raise InvalidInput("--start", f"'{wanted.start}' is no time between 1970 and 2109")
    return round(start * 1e3)
