"""What ships: models, metrics and data that belong together, and a spread of confidence that makes routes fire."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from mesh.learning.sample import HEADER, read_sample
from mesh.learning.turbofan import CLASSES
from mesh.routing.types import Tensors
from mesh.runtimes import open_runtime
from mesh.runtimes.scorer import Scorer
from mesh.settings import Settings
from mesh.spec import load_mesh

ROOT = Path(__file__).resolve().parents[3]
SAMPLE = ROOT / "data/cmapss_fd001_sample.csv.gz"
MODELS = ("rules", "anomaly", "degrader")


def metrics_of(model: str) -> dict[str, dict[str, object]]:
    content: dict[str, dict[str, object]] = json.loads((ROOT / f"models/{model}.metrics.json").read_text())
    return content


@pytest.fixture(scope="module")
def sample() -> Tensors:
    _, _, features = read_sample(SAMPLE)
    return {"features": features}


@pytest.fixture(scope="module")
def truth() -> np.ndarray:
    unit, cycle, _ = read_sample(SAMPLE)
    last = {number: cycle[unit == number].max() for number in np.unique(unit)}
    return np.array([last[number] for number in unit]) - cycle <= 30


def scorer(model: str) -> Scorer:
    artifact = load_mesh(ROOT / "config", Settings()).models[model].artifact()
    return Scorer(open_runtime(artifact), artifact)


def test_the_sample_is_whole_and_small() -> None:
    unit, cycle, features = read_sample(SAMPLE)
    assert SAMPLE.stat().st_size <= 500_000
    assert len(set(HEADER)) == 26
    assert features.shape == (6022, 24)
    assert len(np.unique(unit)) == 30
    assert np.isfinite(features).all()
    for number in np.unique(unit):
        assert cycle[unit == number].tolist() == list(range(1, int((unit == number).sum()) + 1))


@pytest.mark.parametrize("model", ["anomaly", "degrader"])
def test_an_artifact_is_the_one_that_was_measured(model: str) -> None:
    content = (ROOT / f"models/{model}.onnx").read_bytes()
    assert len(content) <= 200_000
    assert metrics_of(model)["artifact"] == {
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def test_no_engine_of_the_sample_was_learned_from() -> None:
    unit, _, _ = read_sample(SAMPLE)
    for model in MODELS:
        held_out = metrics_of(model)["data"]["held_out"]
        assert isinstance(held_out, dict)
        assert held_out["engines"] == np.unique(unit).tolist()
        assert held_out["cycles"] == len(unit)


def test_the_rules_in_the_configuration_are_the_fitted_ones() -> None:
    configured = yaml.safe_load((ROOT / "config/models.yaml").read_text())["models"]["rules"]["options"]
    assert configured == metrics_of("rules")["options"]


@pytest.mark.parametrize("model", MODELS)
def test_recorded_quality_is_what_the_hosted_model_reaches(
    model: str, sample: Tensors, truth: np.ndarray
) -> None:
    scored = scorer(model).score(sample)
    probabilities = scored.outputs["probabilities"]
    assert probabilities.shape == (len(truth), len(CLASSES))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    said = probabilities[:, 1] > 0.5
    confusion = metrics_of(model)["metrics"]["confusion"]
    assert isinstance(confusion, dict)
    found = [(said & truth).sum(), (said & ~truth).sum(), (~said & truth).sum(), (~said & ~truth).sum()]
    recorded = [
        confusion[name] for name in ("true_degrading", "false_degrading", "missed_degrading", "true_normal")
    ]
    # A row on the edge may fall to either side with another build of the arithmetic.
    assert np.abs(np.array(found) - np.array(recorded)).max() <= 2
    auc = metrics_of(model)["metrics"]["roc_auc"]
    assert isinstance(auc, float)
    assert auc > 0.95


@pytest.mark.parametrize("model", MODELS)
def test_all_three_answer_alike(model: str) -> None:
    signature = scorer(model).signature
    declared = load_mesh(ROOT / "config", Settings()).facts[model].signature
    assert signature == declared
    assert [(spec.name, spec.datatype, spec.shape) for spec in signature.outputs] == [
        ("probabilities", "FP32", (-1, 2))
    ]


def test_the_confidence_of_the_rules_spreads_over_both_sides_of_the_route(sample: Tensors) -> None:
    confidence = scorer("rules").score(sample).confidence
    assert confidence is not None
    assert 0.3 <= (confidence >= 0.6).mean() <= 0.6
    counts, _ = np.histogram(confidence, bins=10, range=(0, 1))
    assert counts.min() > 0, counts
    assert counts.sum() == len(confidence)


def test_more_confident_rules_are_right_more_often(sample: Tensors, truth: np.ndarray) -> None:
    scored = scorer("rules").score(sample)
    assert scored.confidence is not None
    right = (scored.outputs["probabilities"][:, 1] > 0.5) == truth
    sure = scored.confidence >= 0.6
    assert right[sure].mean() > 0.99 > right[~sure].mean()
