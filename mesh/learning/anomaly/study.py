"""What is learned from and what is measured on, kept apart: simulated machines by seed, recorded ones by asset."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from mesh.learning.anomaly.evaluate import Quality, Scored, calibration, flips, measure, spread
from mesh.learning.anomaly.export import score_onnx
from mesh.learning.anomaly.simulated import (
    Machines,
    faulty_windows,
    healthy_windows,
    parts,
)
from mesh.learning.anomaly.train import Trained, split
from mesh.learning.anomaly.windows import WindowSet
from mesh.signals.sensors import Telemetry
from mesh.simulation.scenario import Scenario

TRAINING: Final = Machines(1000, 300)
"""Many machines for a short while: what differs between machines is harder to learn than what differs over time."""
FAULTY: Final = 40
"""Machines of each scenario, half of them with the fault."""
HEALTHY: Final = Machines(100, 1800)
HELD_OUT: Final = 0.25
"""The share of recorded assets that is only measured on; of a single asset, its latest healthy windows."""


@dataclass(frozen=True, slots=True)
class Trial:
    """Sets that nothing was learned from: `faulty` gives what is found, `healthy` the false alarms."""

    faulty: tuple[WindowSet, ...]
    healthy: tuple[WindowSet, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """What the file does in a trial, and how its float32 compares with float64 over every window of it."""

    quality: Quality
    strict: Quality
    calibration: dict[str, float]
    confidence: dict[str, object]
    windows: int
    flipped: int
    largest_difference: float

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {
            "at_threshold": self.quality.as_dict(),
            "at_half_the_false_share": self.strict.as_dict(),
            "healthy_windows_above": self.calibration,
            "confidence_of_healthy_windows": self.confidence,
            "parity": {
                "windows": self.windows,
                "decisions_flipped": self.flipped,
                "largest_difference_score": self.largest_difference,
            },
        }


def simulated_trial(
    telemetry: Telemetry,
    scenarios: Sequence[Scenario],
    seeds: Sequence[int],
    progress: Callable[[], None] = lambda: None,
) -> Trial:
    """Every scenario and a healthy fleet by each seed. `progress` is called `trial_parts` times."""
    faulty, healthy = [], []
    for seed in seeds:
        healthy.append(healthy_windows(telemetry, HEALTHY, seed, progress))
        faulty += [
            faulty_windows(telemetry, scenario, _of(scenario), seed, progress) for scenario in scenarios
        ]
    return Trial(tuple(faulty), tuple(healthy))


def trial_parts(scenarios: Sequence[Scenario], seeds: Sequence[int]) -> int:
    """How often `progress` is called for a trial."""
    return len(seeds) * (parts(HEALTHY) + sum(parts(_of(scenario)) for scenario in scenarios))


def hold_out(windows: WindowSet, seed: int) -> tuple[WindowSet, Trial]:
    """What to learn from and a trial of recorded windows: assets apart or, of a single one, its later time and its faults."""
    draw = np.random.default_rng([seed, 7])
    if len(np.unique(windows.asset)) > 1:
        training, test = split(windows, HELD_OUT, draw)
    else:
        early = np.cumsum(windows.healthy) <= round((1 - HELD_OUT) * windows.healthy.sum())
        training = windows.take(early & windows.healthy)
        test = windows.take(~(early & windows.healthy))
    return training, Trial((test,), (test,))


def examine(trained: Trained, trial: Trial, progress: Callable[[], None] = lambda: None) -> Report:
    """Measure the file, not its origin. `progress` is called for each set."""
    threshold = trained.ensemble.threshold
    scored: dict[int, Scored] = {}
    confidence, flipped, largest, windows = [np.empty(0, np.float32)], 0, 0.0, 0
    for one in {id(one): one for one in (*trial.faulty, *trial.healthy)}.values():
        said, exact = score_onnx(trained.onnx, one.flat), trained.ensemble.judge(one.values)
        scored[id(one)] = Scored(one, said.score)
        confidence.append(said.confidence[one.healthy])
        flipped += flips(said.score, exact.score, threshold)
        largest = max(largest, float(np.abs(said.score - exact.score).max(initial=0.0)))
        windows += len(one)
        progress()
    faulty = [scored[id(one)] for one in trial.faulty]
    healthy = [scored[id(one)] for one in trial.healthy]
    return Report(
        quality=measure(faulty, healthy, threshold),
        strict=measure(faulty, healthy, 1 - (1 - threshold) / 2),
        calibration=calibration(np.concatenate([one.score[one.windows.healthy] for one in healthy])),
        confidence=spread(np.concatenate(confidence)),
        windows=windows,
        flipped=flipped,
        largest_difference=largest,
    )


def _of(scenario: Scenario) -> Machines:
    return Machines(FAULTY, int(scenario.duration_s))
