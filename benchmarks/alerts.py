"""`telemetry-alerts-*`: what five rules cost a row, in batches of 1,000 rows of as many assets.

Quiet: no condition holds. Few: an alert is open on 1 % of the assets. All: one is open on every asset, and a second is held.
"""

from collections.abc import Callable
from functools import partial
from typing import Final

import numpy as np

from benchmarks.results import Row, at_most
from benchmarks.routing import REPEATS, microseconds
from mesh.alerts import AlertStage, Rule, ScoredRows
from mesh.alerts.summary import read_summary
from mesh.routing.when import compile_when

ASSETS: Final = 1_000
CONDITIONS: Final = (
    ("anomaly-critical", "score >= 0.95 && confidence >= 0.6 && criticality >= 2", "score < 0.7"),
    ("anomaly", "score >= 0.8 && confidence >= 0.6", "score < 0.6"),
    ("failure-near", "rul <= 20", "rul > 30"),
    ("unsure", "confidence < 0.2", "confidence >= 0.4"),
    ("hot", "temp.mean > 90 || has(vibration.rms) && vibration.rms > 9", None),
)


def rules() -> list[Rule]:
    """The shipped conditions and one over features."""
    summary = read_summary("{asset}: {score:.2f}")
    return [
        Rule(
            name,
            compile_when(when),
            "warning",
            summary,
            5_000,
            600_000,
            300_000,
            clear and compile_when(clear),
            60_000,
        )
        for name, when, clear in CONDITIONS
    ]


class Stream:
    """Batches a second apart, in which every `alarming`-th asset has a high score."""

    def __init__(self, alarming: int | None) -> None:
        self._stage = AlertStage(rules())
        score = np.full(ASSETS, 0.1, np.float32)
        if alarming is not None:
            score[::alarming] = 0.99
        self._columns = {
            "score": score,
            "confidence": np.full(ASSETS, 0.9, np.float32),
            "criticality": np.full(ASSETS, 2.0),
            "rul": np.full(ASSETS, 100, np.float32),
            "temp.mean": np.full(ASSETS, 70.0),
            "vibration.rms": np.full(ASSETS, 2.0),
        }
        self._assets = [f"pump-{number}" for number in range(ASSETS)]
        self._seconds = 0
        for _ in range(10):  # past the hold: what opens is open
            self.judge()

    def judge(self) -> None:
        """The next batch."""
        time = np.full(ASSETS, 1_764_000_000_000 + 1_000 * self._seconds)
        offset = np.arange(ASSETS) + ASSETS * self._seconds
        self._seconds += 1
        self._stage.take(
            ScoredRows(self._assets, time, "raw", np.zeros(ASSETS, np.int64), offset, self._columns)
        )


def rows() -> list[Row]:
    """The three rows of the table."""
    measured: dict[str, tuple[Callable[[], Stream], float]] = {
        "quiet": (partial(Stream, None), 0.5),
        "few": (partial(Stream, 100), 1.0),
        "all": (partial(Stream, 1), 10.0),
    }
    return [
        at_most(
            f"telemetry-alerts-{name}",
            "us/row",
            microseconds(make().judge, ASSETS),
            target,
            f"5 rules, {REPEATS} times",
        )
        for name, (make, target) in measured.items()
    ]
