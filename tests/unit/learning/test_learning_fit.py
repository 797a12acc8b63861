"""The parts of training that have an answer one can work out: labels, the split by engine, the fit of the rules."""

import math
from pathlib import Path

import numpy as np
import pytest

from mesh.learning.fit_rules import WATCHED, Rules, fit_rules
from mesh.learning.sample import read_sample, write_sample
from mesh.learning.turbofan import FEATURES, Telemetry, read_run_to_failure, split_by_unit


def telemetry(rows: int, seed: int = 1) -> Telemetry:
    """Ten engines whose watched sensors leave the normal range when they degrade."""
    draw = np.random.default_rng(seed)
    degrading = np.arange(rows) % 5 == 0
    features = draw.normal(0, 1, (rows, 24)).astype(np.float32)
    for name, side in WATCHED.items():
        features[degrading, FEATURES.index(name)] += 6 if side == "above" else -6
    return Telemetry(np.arange(rows) % 10, np.arange(rows) // 10, features, degrading)


def test_a_cycle_is_degrading_within_thirty_of_the_last(tmp_path: Path) -> None:
    lines = [
        f"{unit} {cycle} " + "0 " * 24 for unit, last in ((1, 40), (2, 35)) for cycle in range(1, last + 1)
    ]
    path = tmp_path / "train.txt"
    path.write_text("\n".join(lines))
    read = read_run_to_failure(path)
    assert read.features.shape == (75, 24)
    assert read.degrading[read.unit == 1].tolist() == [False] * 9 + [True] * 31
    assert read.degrading[read.unit == 2].sum() == 31


def test_a_file_of_other_columns_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "train.txt"
    path.write_text("1 2 3\n")
    with pytest.raises(ValueError, match="expected 26 columns, got 3"):
        read_run_to_failure(path)


def test_no_engine_is_in_both_parts_and_the_seed_decides() -> None:
    whole = telemetry(200)
    training, held_out = split_by_unit(whole, 3, seed=7)
    assert len(np.unique(held_out.unit)) == 3
    assert not set(training.unit) & set(held_out.unit)
    assert len(training) + len(held_out) == len(whole)
    again, _ = split_by_unit(whole, 3, seed=7)
    other, _ = split_by_unit(whole, 3, seed=8)
    assert np.array_equal(training.unit, again.unit)
    assert set(training.unit) != set(other.unit)


def test_fitted_rules_find_what_is_there() -> None:
    data = telemetry(2000)
    rules = fit_rules(data)
    fires = rules.margin(data) > 0
    assert (fires == data.degrading).mean() > 0.98
    assert (rules.confidence(data) >= 0.6).mean() == pytest.approx(0.55, abs=0.01)
    assert fit_rules(data) == rules


def test_margin_probability_and_confidence_by_hand() -> None:
    rules = Rules(
        thresholds=dict.fromkeys(WATCHED, 0.0),
        scale=dict.fromkeys(WATCHED, 2.0),
        steepness=3.0,
        calibration=1.5,
    )
    features = np.zeros((1, 24), np.float32)
    for name, side in WATCHED.items():
        features[0, FEATURES.index(name)] = -5 if side == "above" else 5
    features[0, FEATURES.index("sensor_4")] = (
        1.0  # half a scale past its threshold; all others are far from theirs
    )
    one = Telemetry(np.array([1]), np.array([1]), features, np.array([False]))
    assert rules.margin(one)[0] == pytest.approx(0.5)
    assert rules.probability(one)[0] == pytest.approx(1 / (1 + math.exp(-1.5)))
    assert rules.confidence(one)[0] == pytest.approx(1 - math.exp(-0.5 / 1.5))


def test_the_sample_keeps_the_numbers_of_its_source_and_its_bytes(tmp_path: Path) -> None:
    source = tmp_path / "train.txt"
    source.write_text("".join(f"{unit} 1 -0.0007 100.0 " + "5.25 " * 22 + "\n" for unit in (1, 2, 3)))
    for name in ("a.gz", "b.gz"):
        write_sample(source, np.array([1, 3]), tmp_path / name)
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()
    unit, cycle, features = read_sample(tmp_path / "a.gz")
    assert (unit.tolist(), cycle.tolist()) == ([1, 3], [1, 1])
    assert features[0, :2].tolist() == [np.float32(-0.0007), 100.0]
