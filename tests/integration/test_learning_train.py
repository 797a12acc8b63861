"""Training again gives the shipped models: the script, its seed and the artifacts belong together."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from mesh.learning.turbofan import read_run_to_failure
from tests.fakes.machine import missing

ROOT = Path(__file__).resolve().parents[2]
SOURCE = Path(os.environ.get("MESH_SHARED") or ROOT.parent / "shared") / "data/cmapss_fd001/train_FD001.txt"


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project to train into."""
    pytest.importorskip("sklearn", reason="training needs the extra 'train'")
    pytest.importorskip("skl2onnx", reason="training needs the extra 'train'")
    if not SOURCE.exists():
        missing(f"{SOURCE} is not there (set MESH_SHARED)")
    from mesh.learning import train_samples

    monkeypatch.setattr(train_samples, "ROOT", tmp_path)
    monkeypatch.setenv("MESH_SHARED", str(SOURCE.parents[2]))
    for folder in ("models", "data"):
        (tmp_path / folder).mkdir()
    train_samples.main()
    return tmp_path


def test_training_again_gives_the_shipped_models(checkout: Path) -> None:
    """Sample and rules to the byte; networks to rounding: BLAS adds up in another order on another processor."""
    from mesh.learning.train_samples import versions

    sample = "data/cmapss_fd001_sample.csv.gz"
    assert (checkout / sample).read_bytes() == (ROOT / sample).read_bytes()
    rules, shipped_rules = metrics(checkout, "rules"), metrics(ROOT, "rules")
    assert rules["options"] == shipped_rules["options"]
    assert rules["metrics"] == shipped_rules["metrics"]
    if versions() != shipped_rules["versions"]:
        pytest.skip(f"the shipped models were trained with {shipped_rules['versions']}; here is {versions()}")
    features = read_run_to_failure(SOURCE).features
    for name in ("anomaly", "degrader"):
        again, shipped = (score(root / f"models/{name}.onnx", features) for root in (checkout, ROOT))
        np.testing.assert_allclose(again, shipped, atol=1e-4, err_msg=name)
        flipped = int(((again[:, 1] > 0.5) != (shipped[:, 1] > 0.5)).sum())
        assert flipped <= len(features) / 10_000, f"{name}: {flipped} decisions differ"


@pytest.mark.parametrize("name", ["anomaly", "degrader"])
def test_a_shipped_model_is_the_one_that_was_measured(name: str) -> None:
    artifact = (ROOT / f"models/{name}.onnx").read_bytes()
    recorded = metrics(ROOT, name)["artifact"]
    assert recorded == {"bytes": len(artifact), "sha256": hashlib.sha256(artifact).hexdigest()}
    assert len(artifact) <= 200_000


def metrics(root: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((root / f"models/{name}.metrics.json").read_text())
    return found


def score(path: Path, features: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    probabilities: np.ndarray = session.run(["probabilities"], {"features": features})[0]
    return probabilities
