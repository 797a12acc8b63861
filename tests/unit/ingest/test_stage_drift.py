"""Rows that change for good give one alert each, which names the record, moves metrics and promotes nothing."""

from dataclasses import replace
from math import inf

import numpy as np
import pytest
from telemetry_made import TELEMETRY as MADE

from ingest.record import Polled
from ingest.stages.drift import FLEET, Drift
from ingest.stages.rows import Rows
from mesh.drift import DriftPolicy
from mesh.telemetry import names
from mesh.telemetry.recorder import Recorder

POLICY = DriftPolicy(period_ms=1_000, threshold=0.3, quiet_ms=1_000_000)
TELEMETRY = replace(
    MADE,
    sensors=(replace(MADE.sensors[0], low=-5.0, high=15.0), replace(MADE.sensors[1], low=-inf, high=inf)),
)
SENSOR = TELEMETRY.sensors[0]


def rows(begin: int, count: int, score: float, level: float) -> Rows:
    """`count` seconds of four windows each; the first sensor's mean stands at `level` of its range."""
    seconds = np.repeat(np.arange(begin, begin + count), 4)
    size = len(seconds)
    features = np.zeros((size, len(TELEMETRY.sensors), len(TELEMETRY.features)))
    mean = TELEMETRY.features.index("mean")
    for at, sensor in enumerate(TELEMETRY.sensors):
        part = level if at == 0 else 0.5
        features[:, at, mean] = sensor.low + part * (sensor.high - sensor.low) if at == 0 else 0.0
    noise = np.random.default_rng(begin).normal(0, 0.01, size)
    return Rows(
        np.zeros(size, np.int64),
        ["a"] * size,
        seconds * 1_000,
        np.zeros(size, np.int64),
        features,
        {"score": score + noise},
    )


@pytest.fixture
def place() -> Polled:
    class One:
        topic, partitions, offsets = "raw", [3], [41]

    return One()  # type: ignore[return-value]


def test_a_changed_score_and_a_changed_input_alert_once_each(place) -> None:
    recorder = Recorder()
    drift = Drift(TELEMETRY, POLICY, recorder)
    events = [*drift.step(rows(0, 60, 0.2, 0.4), place)]
    assert events == []
    for begin in range(60, 120, 5):
        events += drift.step(rows(begin, 5, 0.5, 0.6), place)
    assert sorted(one.key for one in events) == [f"input.{SENSOR.name}", "score"]
    event = next(one for one in events if one.key == "score")
    assert (event.rule, event.asset, event.severity) == ("drift", FLEET, "warning")
    assert str(event.record) == "raw-3-41"
    assert "training is proposed" in event.summary
    assert event.values["before"] < 0.3 < event.values["now"]
    assert 60_000 < event.at < 80_000
    counted = recorder.snapshot()
    assert counted.counters[names.DRIFT_ALARMS.name][("score", "page-hinkley")] == 1
    assert counted.gauges[names.DRIFT_MEAN.name][("score",)] == pytest.approx(0.5, abs=0.02)


def test_rows_without_a_score_and_no_rows_are_fine(place) -> None:
    drift = Drift(TELEMETRY, POLICY, Recorder())
    some = rows(0, 3, 0.2, 0.4)
    bare = Rows(some.slot, some.assets, some.time, some.cause, some.features)
    assert drift.step(bare, place) == []
    none = np.empty(0, np.int64)
    assert drift.step(Rows(none, [], none, none, some.features[:0]), place) == []
