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
AT_ONCE: Final = 10_000
"""Windows that are scored together: what is computed on the way is about 100 MB."""
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
    compared: dict[int, _Compared] = {}
    for one in (*trial.faulty, *trial.healthy):
        if id(one) not in compared:
            compared[id(one)] = _compare(trained, one)
            progress()
    faulty = [compared[id(one)].scored for one in trial.faulty]
    healthy = [compared[id(one)].scored for one in trial.healthy]
    every = list(compared.values())
    none = np.empty(0, np.float32)
    calm = [compared[id(one)] for one in trial.healthy]
    return Report(
        quality=measure(faulty, healthy, threshold),
        strict=measure(faulty, healthy, 1 - (1 - threshold) / 2),
        calibration=calibration(np.concatenate([none, *(one.score[one.windows.healthy] for one in healthy)])),
        confidence=spread(np.concatenate([none, *(one.calm_confidence for one in calm)])),
        windows=sum(len(one.scored.windows) for one in every),
        flipped=sum(one.flipped for one in every),
        largest_difference=max((one.largest for one in every), default=0.0),
    )


@dataclass(frozen=True, slots=True)
class _Compared:
    """What the file says of a set, and where float64 says otherwise."""

    scored: Scored
    calm_confidence: np.ndarray
    flipped: int
    largest: float


def _compare(trained: Trained, windows: WindowSet) -> _Compared:
    score, confidence = np.empty(len(windows), np.float32), np.empty(len(windows), np.float32)
    exact = np.empty(len(windows))
    for begin in range(0, len(windows), AT_ONCE):
        rows = slice(begin, begin + AT_ONCE)
        said = score_onnx(trained.onnx, windows.flat[rows])
        score[rows], confidence[rows] = said.score, said.confidence
        exact[rows] = trained.ensemble.judge(windows.values[rows]).score
    return _Compared(
        Scored(windows, score),
        confidence[windows.healthy],
        flips(score, exact, trained.ensemble.threshold),
        float(np.abs(score - exact).max(initial=0.0)),
    )


def _of(scenario: Scenario) -> Machines:
    return Machines(FAULTY, int(scenario.duration_s))
