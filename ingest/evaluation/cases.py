"""What is played: a scenario with a seed, or a file whose faults are known."""

import csv
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ingest.evaluation.labels import labelled_rows, labelled_windows
from ingest.evaluation.scoring import Fault
from ingest.evaluation.truth import faults_of
from mesh.cli.recorded import RecordedTable
from mesh.cli.simulating import Wanted, run_of
from mesh.cli.table import header_of, opened
from mesh.errors import InvalidInput
from mesh.signals.sensors import Telemetry
from mesh.simulation.run import Run
from mesh.simulation.scenario import RecordedFile, Scenario

START: Final = "2026-01-01"
"""When simulated runs begin: the same bytes every day."""


@dataclass(frozen=True, slots=True)
class Case:
    """A run and what is wrong in it."""

    run: Run
    faults: tuple[Fault, ...]

    @property
    def name(self) -> str:
        """The scenario's, or the file's."""
        return self.run.scenario.name


@dataclass(frozen=True, slots=True)
class LabelledFile:
    """A CSV file of readings with columns for the asset and the time, and its `labels`: a column of it, or a file of windows."""

    path: Path
    labels: str
    asset_column: str
    time_column: str


def simulated(scenario: Scenario, telemetry: Telemetry, root: Path, assets: int | None, seed: int) -> Case:
    """A scenario's run. `assets` is how many machines are simulated; a recording always has its own."""
    machines = assets if scenario.source is None else None
    wanted = Wanted(seed, math.inf, assets=machines, start=START)
    run = run_of(scenario, telemetry, root, wanted, time.time())
    return Case(run, faults_of(run))


def recorded(file: LabelledFile, telemetry: Telemetry) -> Case:
    """The file's rows at their own times. `InvalidInput` names the file, column or line that is wrong."""
    with opened(file.path) as text:
        header = header_of(file.path, csv.reader(text))
    asset = file.asset_column if file.asset_column in header else None
    source = RecordedFile(str(file.path), asset, file.time_column)
    table = RecordedTable(source, Path(), [sensor.name for sensor in telemetry.sensors])
    recording = table.recording(None, None)
    if table.skipped.count:
        raise InvalidInput(
            str(file.path), f"{table.skipped.count:,} lines are no readings; {table.skipped.first}"
        )
    rows = labelled_rows(file.path, asset, file.time_column, None if _is_windows(file) else file.labels)
    run = Run(
        scenario=Scenario(file.path.name, "", recording.lasts_s, (), source),
        assets=recording.assets,
        sensors=telemetry.sensors,
        hz=1 / recording.period_s,
        seed=0,
        start_ms=rows.begins_ms,
        duration_s=recording.lasts_s,
        recording=recording,
    )
    if not _is_windows(file):
        return Case(run, rows.faults)
    return Case(run, labelled_windows(Path(file.labels), run.assets))


def _is_windows(file: LabelledFile) -> bool:
    return Path(file.labels).is_file()
