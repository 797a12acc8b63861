"""Remaining life of NASA's turbofans: what the README promises, on engines that no choice was made on."""

import os
from pathlib import Path

import numpy as np
import pytest

from tests.fakes.machine import missing

pytest.importorskip("sklearn", reason="training needs the extra 'train'")
pytest.importorskip("skl2onnx", reason="training needs the extra 'train'")

from mesh.learning.degradation import (
    Fleet,
    Trained,
    read_fleet,
    read_remaining,
    score_onnx,
    train,
    window_features,
)
from mesh.learning.degradation.card import measure_test, parity

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(os.environ.get("MESH_SHARED") or ROOT.parent / "shared") / "data/cmapss_fd001"
SEED = 20261123


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    if not (FOLDER / "test_FD001.txt").exists():
        missing(f"C-MAPSS FD001 is not in {FOLDER} (set MESH_SHARED)")
    return read_fleet(FOLDER / "train_FD001.txt")


@pytest.fixture(scope="module")
def trained(fleet: Fleet) -> Trained:
    return train(fleet, SEED)


@pytest.fixture(scope="module")
def test_engines(fleet: Fleet) -> Fleet:
    return read_fleet(FOLDER / "test_FD001.txt")


def test_error_and_coverage_on_the_test_engines(trained: Trained, test_engines: Fleet) -> None:
    remaining = read_remaining(FOLDER / "RUL_FD001.txt", test_engines)
    quality = measure_test(trained, test_engines, remaining)
    print(quality)
    assert quality.assets == 100
    assert quality.rmse <= 17.5
    assert 0.85 <= quality.coverage <= 0.95


def test_cross_validation_on_the_training_engines_agrees(trained: Trained) -> None:
    assert trained.unseen_capped.rmse <= 11
    assert 0.85 <= trained.unseen.coverage <= 0.95


def test_an_engine_said_to_fail_soon_with_probability_p_does_so_p_of_the_time(
    trained: Trained, test_engines: Fleet
) -> None:
    soon = read_remaining(FOLDER / "RUL_FD001.txt", test_engines) <= trained.recipe.alert
    features = window_features(trained.windows, test_engines)[test_engines.last_rows()]
    score = score_onnx(trained.onnx, features).score
    assert float(np.mean((score - soon) ** 2)) <= 0.05
    assert abs(float(score.sum()) - int(soon.sum())) <= 5


def test_the_file_takes_the_decisions_of_scikit_learn(trained: Trained, test_engines: Fleet) -> None:
    compared = parity(trained, test_engines)
    assert compared["rows"] == 13_096
    assert compared["alerts_flipped"] == 0
    assert compared["largest_difference_cycles"] <= 1e-2


def test_the_file_is_small(trained: Trained) -> None:
    assert len(trained.onnx) <= 1_000_000
