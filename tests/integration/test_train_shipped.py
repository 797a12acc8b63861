"""The shipped telemetry models: training again gives them, they are what their cards say, and do what they promise."""

import hashlib
import json
import os
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.fakes.machine import missing

pytest.importorskip("sklearn", reason="training needs the extra 'train'")
pytest.importorskip("skl2onnx", reason="training needs the extra 'train'")

from mesh.cli.train import SEED
from mesh.learning.anomaly import Layout, WindowSet, score_onnx, train
from mesh.learning.anomaly.evaluate import Scored, flips, measure
from mesh.learning.anomaly.simulated import Machines, faulty_windows, healthy_windows
from mesh.learning.anomaly.study import TRAINING
from mesh.learning.degradation import read_fleet
from mesh.learning.degradation import train as train_rul
from mesh.signals.sensors import Telemetry
from mesh.spec import load_scenarios, load_telemetry

ROOT = Path(__file__).resolve().parents[2]
TURBOFANS = Path(os.environ.get("MESH_SHARED") or ROOT.parent / "shared") / "data/cmapss_fd001"
UNSEEN_SEED = 301
"""Neither trained nor tuned nor reported on."""


def shipped(name: str) -> bytes:
    return (ROOT / f"models/{name}.onnx").read_bytes()


def card_of(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / f"models/{name}.metrics.json").read_text())
    return found


def skip_other_versions(name: str) -> None:
    made_with = card_of(name)["versions"]
    here = {library: version(library) for library in made_with}
    if made_with != here:
        pytest.skip(f"the shipped {name} was trained with {made_with}; here is {here}")


@pytest.fixture(scope="module")
def telemetry() -> Telemetry:
    return load_telemetry(ROOT / "config")


@pytest.fixture(scope="module")
def windows(telemetry: Telemetry) -> WindowSet:
    return healthy_windows(telemetry, TRAINING, SEED)


@pytest.mark.parametrize("name", ["telemetry-anomaly", "rul"])
def test_a_shipped_model_is_the_one_that_was_measured(name: str) -> None:
    model, card = shipped(name), card_of(name)
    assert card["artifact"] == {"bytes": len(model), "sha256": hashlib.sha256(model).hexdigest()}
    assert card["artifact"]["sha256"] in (ROOT / f"models/{name}.md").read_text()
    assert len(model) <= 200_000


def test_the_shipped_anomaly_model_fits_the_shipped_telemetry(telemetry: Telemetry) -> None:
    layout, card = Layout.of(telemetry), card_of("telemetry-anomaly")
    assert card["features_digest"] == layout.digest, "telemetry.yaml has changed: hyperstream train anomaly"
    assert score_onnx(
        shipped("telemetry-anomaly"), np.zeros((1, len(layout.names)), np.float32)
    ).score.shape == (1,)


@pytest.mark.slow
def test_training_the_anomaly_model_again_gives_the_shipped_bytes(windows: WindowSet) -> None:
    """Or, on another kind of processor, where sums are made in another order, the same decisions."""
    skip_other_versions("telemetry-anomaly")
    again, once_more = train(windows, SEED), train(windows, SEED)
    assert again.onnx == once_more.onnx
    if again.onnx != shipped("telemetry-anomaly"):
        first, second = (
            score_onnx(model, windows.flat).score for model in (again.onnx, shipped("telemetry-anomaly"))
        )
        assert flips(first, second, again.ensemble.threshold) <= len(windows) / 10_000


@pytest.mark.slow
def test_training_the_degradation_model_again_gives_the_shipped_bytes() -> None:
    """Or, on another kind of processor, a file of the same size within a hundredth."""
    if not (TURBOFANS / "train_FD001.txt").exists():
        missing(f"C-MAPSS FD001 is not in {TURBOFANS} (set MESH_SHARED)")
    skip_other_versions("rul")
    again = train_rul(read_fleet(TURBOFANS / "train_FD001.txt"), card_of("rul")["seed"]).onnx
    assert again == shipped("rul") or len(again) == pytest.approx(len(shipped("rul")), rel=0.01)


@pytest.mark.slow
def test_the_shipped_anomaly_model_finds_faults_and_keeps_still_on_machines_it_never_saw(
    telemetry: Telemetry,
) -> None:
    model, scenarios = shipped("telemetry-anomaly"), load_scenarios(ROOT / "config/scenarios", telemetry)
    threshold = card_of("telemetry-anomaly")["threshold"]
    faulty = [
        faulty_windows(telemetry, scenarios[name], Machines(20, 900), UNSEEN_SEED)
        for name in ("level-shift", "noise-burst", "sensor-stuck")
    ]
    calm = healthy_windows(telemetry, Machines(60, 600), UNSEEN_SEED)
    found = measure(
        [Scored(one, score_onnx(model, one.flat).score) for one in faulty],
        [Scored(calm, score_onnx(model, calm.flat).score)],
        threshold,
    )
    assert found.false_windows.share <= 0.006
    for kind in ("level_shift", "noise_burst", "stuck"):
        assert found.kinds[kind].found.share >= 0.9, kind
