"""One training of the anomaly model: its readings, the training, the trial, and what is written and said."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import Progress

from mesh.cli import environment
from mesh.cli.artifacts import Output, models_entry, tell, write_artifacts
from mesh.cli.labelled import Labelled, LabelledColumns, csv_files, read_labelled
from mesh.errors import InvalidInput
from mesh.learning.anomaly import Episode, Trained, WindowCollector, WindowSet, card_text, model_card, train
from mesh.learning.anomaly.card import Source, digests, quality_lines
from mesh.learning.anomaly.simulated import healthy_windows, parts, signal_scenarios
from mesh.learning.anomaly.study import (
    TRAINING,
    Report,
    Trial,
    examine,
    hold_out,
    simulated_trial,
    trial_parts,
)
from mesh.learning.anomaly.train import STEPS
from mesh.signals.sensors import Telemetry
from mesh.spec import load_scenarios, read_telemetry, scenarios_folder

__all__ = ["LabelledColumns", "train_anomaly"]


@dataclass(frozen=True, slots=True)
class _Studied:
    trained: Trained
    report: Report
    source: Source


def train_anomaly(
    telemetry_file: Path | None,
    data: Sequence[Path],
    columns: LabelledColumns,
    seed: int,
    scenario_seeds: Sequence[int],
    output: Path,
) -> None:
    """Train, measure, write and tell. `InvalidInput` says which option, file or column is wrong."""
    path = telemetry_file or Path(environment.settings().config_dir) / "telemetry.yaml"
    telemetry = read_telemetry(path)
    if not telemetry.sensors:
        raise InvalidInput(str(path), "declares no sensors: there is nothing to learn")
    console = Console(stderr=True)
    with Progress(console=console) as bar:
        if data:
            studied = _recorded(telemetry, data, columns, seed, bar)
        else:
            studied = _simulated(telemetry, path, seed, scenario_seeds, bar)
    trained, report, date = studied.trained, studied.report, datetime.now(UTC).date().isoformat()
    card = model_card(trained, studied.source, date, report)
    text = card_text(trained, studied.source, date, report)
    written = write_artifacts(output, trained.onnx, card, text)
    console.print("\n".join(quality_lines(report.quality)), highlight=False, soft_wrap=True)
    layout = trained.layout
    outputs = (Output("score"), Output("confidence"), Output("contribution", len(layout.sensors)))
    tell(Console(), written, models_entry(output, len(layout.names), outputs))


def _simulated(
    telemetry: Telemetry, path: Path, seed: int, scenario_seeds: Sequence[int], bar: Progress
) -> _Studied:
    folder = scenarios_folder(path.parent, environment.settings())
    scenarios = signal_scenarios(load_scenarios(folder, telemetry))
    if not scenarios:
        raise InvalidInput(
            str(folder),
            "has no scenario whose faults change values: nothing to measure on",
        )
    learning = bar.add_task("simulating healthy machines", total=parts(TRAINING))
    windows = healthy_windows(telemetry, TRAINING, seed, lambda: bar.advance(learning))
    trained = _trained(windows, seed, bar)
    making = bar.add_task("simulating faults", total=trial_parts(scenarios, scenario_seeds))
    trial = simulated_trial(telemetry, scenarios, scenario_seeds, lambda: bar.advance(making))
    seeds = ", ".join(map(str, scenario_seeds))
    source = Source(
        description=f"{TRAINING.count:,} simulated healthy machines of {TRAINING.seconds} s, seed {seed}; measured on "
        f"the scenarios with machines of the seeds {seeds}",
        licence="that of this project: simulated",
        files=digests({path.name: path.read_bytes()}),
    )
    return _Studied(trained, _examined(trained, trial, bar), source)


def _recorded(
    telemetry: Telemetry, data: Sequence[Path], columns: LabelledColumns, seed: int, bar: Progress
) -> _Studied:
    files = csv_files(data)
    reading = bar.add_task("reading", total=None)
    labelled = read_labelled(files, columns, [sensor.name for sensor in telemetry.sensors])
    windows = recorded_windows(telemetry, labelled)
    bar.update(reading, total=1, completed=1)
    training, trial = hold_out(windows, seed)
    source = Source(
        description=f"recorded readings of {len(labelled.assets):,} assets; measured on windows held out by the seed",
        licence="not stated: that of the files",
        files=digests({str(file): file.read_bytes() for file in files}),
    )
    trained = _trained(training, seed, bar)
    return _Studied(trained, _examined(trained, trial, bar), source)


def recorded_windows(telemetry: Telemetry, labelled: Labelled) -> WindowSet:
    """The windows of labelled readings; an episode is a run of readings with the same label."""
    collector = WindowCollector(
        replace(telemetry, max_assets=max(telemetry.max_assets, len(labelled.assets))), labelled.assets
    )
    collector.add(labelled.asset, labelled.time, labelled.values)
    changes = (np.diff(labelled.asset) != 0) | (np.diff(labelled.kind) != 0)
    begins = np.flatnonzero(np.append(True, changes))
    ends = np.append(begins[1:], len(labelled.time)) - 1
    return collector.windows(
        [
            Episode(
                labelled.kinds[labelled.kind[begin]],
                int(labelled.asset[begin]),
                int(labelled.time[begin]),
                int(labelled.time[end]) + 1,
            )
            for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)
            if labelled.kind[begin]
        ]
    )


def _trained(windows: WindowSet, seed: int, bar: Progress) -> Trained:
    task = bar.add_task("learning", total=STEPS)
    try:
        return train(windows, seed, progress=lambda: bar.advance(task))
    except ValueError as error:
        raise InvalidInput("--data", str(error)) from None


def _examined(trained: Trained, trial: Trial, bar: Progress) -> Report:
    task = bar.add_task("measuring", total=len({id(one) for one in (*trial.faulty, *trial.healthy)}))
    return examine(trained, trial, lambda: bar.advance(task))
