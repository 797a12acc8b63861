"""Training end to end on small engines: the file says what was fitted, the card says how."""

import hashlib
import json

import numpy as np
import pytest

from mesh.learning.degradation import Fleet, Trained, model_card, score_onnx, train, window_features
from mesh.learning.degradation.card import measure_test, parity
from mesh.learning.degradation.learner import Recipe
from mesh.learning.degradation.truncate import folds_by_unit, truncations
from tests.unit.learning.degradation_fleet import worn_fleet

RECIPE = Recipe(cap=80, alert=20, trees=30, readings_per_leaf=20)


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    return worn_fleet()


@pytest.fixture(scope="module")
def trained(fleet: Fleet) -> Trained:
    return train(fleet, 3, RECIPE)


def test_the_file_says_what_was_fitted(fleet: Fleet, trained: Trained) -> None:
    features = window_features(trained.windows, fleet)
    ours, file = trained.estimate(features), score_onnx(trained.onnx, features)
    for name in ("rul", "rul_low", "rul_high", "score", "confidence"):
        said = getattr(file, name)
        assert said.dtype == np.float32
        assert said.shape == (len(fleet),)
        np.testing.assert_allclose(said, getattr(ours, name), atol=1e-3, err_msg=name)
    assert parity(trained, fleet)["alerts_flipped"] == 0


def test_outputs_are_in_range_and_agree(fleet: Fleet, trained: Trained) -> None:
    said = score_onnx(trained.onnx, window_features(trained.windows, fleet))
    assert (said.rul_low >= 0).all()
    assert (said.rul_low <= said.rul).all()
    assert (said.rul <= said.rul_high).all()
    assert ((said.score >= 0) & (said.score <= 1)).all()
    assert ((said.confidence >= 0.5) & (said.confidence <= 1)).all()
    order = np.argsort(said.rul)
    assert (np.diff(said.score[order]) <= 1e-6).all()


def test_a_file_takes_one_row(fleet: Fleet, trained: Trained) -> None:
    row = window_features(trained.windows, fleet)[:1]
    assert score_onnx(trained.onnx, row).rul.shape == (1,)


def test_wear_is_learned(trained: Trained) -> None:
    unseen = worn_fleet(units=30, seed=2)
    cut = truncations(unseen, 1, 5)
    left = unseen.remaining()[cut]
    kept = np.isin(np.arange(len(unseen)), cut) | _before(unseen, cut)
    test = Fleet(unseen.columns, unseen.unit[kept], unseen.cycle[kept], unseen.values[kept])
    assert measure_test(trained, test, left).rmse < 0.75 * left.std()


def _before(fleet: Fleet, cut: np.ndarray) -> np.ndarray:
    length = np.diff(np.append(fleet.first_rows(), len(fleet)))
    return np.arange(len(fleet)) < np.repeat(cut, length)


def test_the_same_seed_gives_the_same_bytes(fleet: Fleet, trained: Trained) -> None:
    assert train(fleet, 3, RECIPE).onnx == trained.onnx
    assert train(fleet, 4, RECIPE).onnx != trained.onnx


def test_the_card_is_json_and_names_its_artifact(fleet: Fleet, trained: Trained) -> None:
    card = json.loads(json.dumps(model_card(trained, fleet, {"train.csv": b"abc"})))
    assert card["columns"] == ["heat", "noise"]
    assert card["data"] == {"train.csv": hashlib.sha256(b"abc").hexdigest()}
    assert card["artifact"]["sha256"] == hashlib.sha256(trained.onnx).hexdigest()
    assert card["metrics"]["test"] is None
    assert len(card["features"]) == len(trained.windows.names)


def test_no_asset_is_in_two_folds(fleet: Fleet) -> None:
    fold = folds_by_unit(fleet, 5, 1)
    assert all(len(np.unique(fold[fleet.unit == unit])) == 1 for unit in np.unique(fleet.unit))
    assert len(np.unique(fold)) == 5


def test_cuts_leave_a_history_and_a_future(fleet: Fleet) -> None:
    rows = truncations(fleet, 50, 1)
    assert fleet.cycle[rows].min() >= 30
    assert fleet.remaining()[rows].min() >= 1
    assert np.bincount(fleet.unit[rows])[1:].tolist() == [50] * 12


def test_too_few_assets_are_refused() -> None:
    with pytest.raises(ValueError, match="5 folds need as many assets, got 4"):
        train(worn_fleet(units=4), 1, RECIPE)
