"""Training end to end on small machines: the file says what was fitted, is calibrated, and knows what it does not know."""

import hashlib
import json
import sys
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("onnx", reason="training needs the extra 'train'")

from mesh.learning.anomaly import Ensemble, Trained, card_text, model_card, score_onnx, train
from mesh.learning.anomaly.card import Source
from mesh.learning.anomaly.evaluate import flips
from mesh.learning.anomaly.study import Trial, examine, hold_out
from mesh.learning.anomaly.train import Recipe, split
from tests.unit.learning.anomaly_windows import LAYOUT, LOAD, healthy

RECIPE = Recipe(false_share=0.02, kept=100, clusters=4)
SOURCE = Source("made", "none", {"a.csv": "00"})


@pytest.fixture(scope="module")
def trained() -> Trained:
    return train(healthy(), 3, RECIPE)


def flat(values: np.ndarray) -> np.ndarray:
    return values.reshape(len(values), -1)


def odd_values() -> np.ndarray:
    """Windows with missing sensors, missing values, infinite and huge ones, and nothing at all."""
    values = healthy(assets=7, each=10, seed=9).values.copy()
    values[:10, 2] = np.nan
    values[10:20, 1] = 0.0
    values[20:30, 0, 1] = np.inf
    values[30:40, 3, 2] = -3e38
    values[40:50] = np.nan
    values[50:60] = 0.0
    return values


def test_the_file_says_what_was_fitted(trained: Trained) -> None:
    values = np.concatenate([healthy(seed=2).values, odd_values()])
    values[::7, 1, 0] += 4.0
    ours, file = trained.ensemble.judge(values), score_onnx(trained.onnx, flat(values))
    for name in ("score", "confidence", "contribution"):
        said = getattr(file, name)
        assert said.dtype == np.float32
        np.testing.assert_allclose(said, getattr(ours, name), atol=2e-4, rtol=2e-4, err_msg=name)
    assert flips(ours.score, file.score, trained.ensemble.threshold) == 0


def test_no_answer_is_ever_nan_or_out_of_range(trained: Trained) -> None:
    said = score_onnx(trained.onnx, flat(odd_values()))
    for name in ("score", "confidence"):
        values = getattr(said, name)
        assert ((values >= 0) & (values <= 1)).all(), name
    assert said.contribution.shape == (70, 4)
    assert np.isfinite(said.contribution).all()


def test_healthy_machines_of_another_seed_are_as_strange_as_the_score_says(trained: Trained) -> None:
    score = score_onnx(trained.onnx, healthy(assets=100, seed=4).flat).score
    for level in (0.5, 0.9, 0.95):
        assert float((score > level).mean()) == pytest.approx(1 - level, abs=0.03 + 0.2 * (1 - level))


def test_a_shift_that_load_does_not_explain_is_found_and_its_sensor_named(trained: Trained) -> None:
    values = healthy(seed=5).values.copy()
    values[:, 2, 0] += 3.0
    said = score_onnx(trained.onnx, flat(values))
    assert (said.score > trained.ensemble.threshold).mean() > 0.95
    assert (said.contribution.argmax(axis=1) == 2).mean() > 0.95
    assert np.median(said.confidence) > 0.6


def test_a_shift_with_the_load_is_none(trained: Trained) -> None:
    values = healthy(seed=5).values.copy()
    values[:, :, 0] = 50 + 1.5 * LOAD
    assert (score_onnx(trained.onnx, flat(values)).score > trained.ensemble.threshold).mean() < 0.1


def test_a_missing_sensor_is_left_out_and_makes_it_less_sure(trained: Trained) -> None:
    values = healthy(seed=6).values.copy()
    whole = score_onnx(trained.onnx, flat(values))
    values[:, 1] = np.nan
    without = score_onnx(trained.onnx, flat(values))
    values[:, 1] = 0.0
    uncovered = score_onnx(trained.onnx, flat(values))
    np.testing.assert_array_equal(without.score, uncovered.score)
    assert (without.contribution[:, 1] == 0).all()
    assert (without.score > trained.ensemble.threshold).mean() < 0.04
    assert without.confidence.max() <= 0.75 < whole.confidence.max()


def test_who_knows_nothing_is_not_sure_and_does_not_alarm(trained: Trained) -> None:
    said = score_onnx(trained.onnx, np.full((2, 16), np.nan, np.float32))
    assert (said.confidence == 0).all()
    assert (said.score < 0.5).all()


def test_confidence_fills_0_to_1_on_healthy_windows(trained: Trained) -> None:
    confidence = score_onnx(trained.onnx, healthy(assets=100, seed=7).flat).confidence
    counts, _ = np.histogram(confidence, bins=10, range=(0, 1))
    assert counts.min() > 0.04 * len(confidence)


@pytest.mark.parametrize("rows", [0, 1])
def test_a_file_takes_any_number_of_rows(trained: Trained, rows: int) -> None:
    said = score_onnx(trained.onnx, np.full((rows, 16), 5.0, np.float32))
    assert said.score.shape == said.confidence.shape == (rows,)
    assert said.contribution.shape == (rows, 4)


def test_the_same_seed_gives_the_same_bytes(trained: Trained) -> None:
    assert train(healthy(), 3, RECIPE).onnx == trained.onnx
    assert train(healthy(), 4, RECIPE).onnx != trained.onnx


def test_only_healthy_windows_are_learned_from(trained: Trained) -> None:
    spoilt = healthy()
    values, well = spoilt.values.copy(), spoilt.healthy.copy()
    values[5::40], well[5::40] = 1e4, False
    kept = train(spoilt.take(well), 3, RECIPE)
    assert train(replace(spoilt, values=values, healthy=well), 3, RECIPE).onnx == kept.onnx


def test_assets_are_fitted_on_or_calibrated_on_and_one_asset_is_split_by_time() -> None:
    fit, calibrate = split(healthy(), 0.4, np.random.default_rng(1))
    assert not set(fit.asset) & set(calibrate.asset)
    assert len(np.unique(calibrate.asset)) == 16
    first, second = split(healthy(assets=1, each=100), 0.4, np.random.default_rng(1))
    assert (len(first), len(second)) == (60, 40)
    assert first.time.max() < second.time.min()


def test_what_is_held_out_is_not_learned_from() -> None:
    training, trial = hold_out(healthy(), 1)
    assert not set(training.asset) & set(trial.healthy[0].asset)
    alone = healthy(assets=1, each=100)
    well = np.arange(100) >= 10
    training, trial = hold_out(replace(alone, healthy=well), 1)
    assert training.healthy.all()
    assert len(training) + len(trial.healthy[0]) == 100
    assert (~trial.faulty[0].healthy).sum() == 10


def test_of_very_many_windows_a_bounded_number_is_learned_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[train.__module__], "MOST_WINDOWS", 300)
    bounded = train(healthy(), 3, RECIPE)
    assert (bounded.fitted[0], bounded.calibrated[0]) == (300, 300)
    assert bounded.fitted[1] == 24, "all assets have a part in it"


def test_too_little_and_silent_telemetry_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="24 healthy windows to fit on are too few, 200 are the least"):
        train(healthy(assets=2, each=24), 1, RECIPE)
    silent = healthy()
    values = silent.values.copy()
    values[:, 1] = np.nan
    with pytest.raises(ValueError, match="the sensor 'flow' has no value in any healthy window"):
        train(replace(silent, values=values), 1, RECIPE)


def test_the_card_is_json_and_names_its_artifact(trained: Trained) -> None:
    report = examine(trained, Trial((), (healthy(seed=8),)))
    assert (report.windows, report.flipped) == (1_600, 0)
    card = json.loads(json.dumps(model_card(trained, SOURCE, "2026-01-02", report)))
    assert card["artifact"]["sha256"] == hashlib.sha256(trained.onnx).hexdigest()
    assert card["features_digest"] == LAYOUT.digest
    assert card["threshold"] == pytest.approx(0.98)
    assert card["fitted_on"] == {"windows": 960, "assets": 24}
    text = card_text(trained, SOURCE, "2026-01-02", report)
    assert card["artifact"]["sha256"] in text
    assert "0 of 1,600 decisions differ" in text


def test_a_trial_without_healthy_windows_gives_a_card_without_nan(trained: Trained) -> None:
    never = replace(healthy(seed=8), healthy=np.zeros(1_600, np.bool_))
    report = examine(trained, Trial((never,), (never,)))
    json.dumps(model_card(trained, SOURCE, "2026-01-02", report), allow_nan=False)
    assert report.quality.false_windows.of == 0


def test_an_ensemble_survives_features_without_coverage() -> None:
    layout = replace(LAYOUT, features=("mean", "std", "slope", "rms"))
    without = train(healthy(layout=layout), 3, RECIPE)
    ensemble: Ensemble = without.ensemble
    assert ensemble.standard.coverage is None
    assert np.isfinite(score_onnx(without.onnx, np.zeros((1, 16), np.float32)).score).all()
