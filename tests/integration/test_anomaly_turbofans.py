"""The anomaly ensemble on real engines that it was not tuned on: what docs/detection-quality.md says."""

import os
from pathlib import Path

import pytest

from tests.fakes.machine import missing

pytest.importorskip("sklearn", reason="training needs the extra 'train'")
pytest.importorskip("onnx", reason="training needs the extra 'train'")

from mesh.learning.anomaly.turbofans import turbofan_study

ROOT = Path(__file__).resolve().parents[2]
SOURCE = Path(os.environ.get("MESH_SHARED") or ROOT.parent / "shared") / "data/cmapss_fd001/train_FD001.txt"


@pytest.mark.slow
def test_worn_engines_are_found_and_young_ones_left_alone() -> None:
    if not SOURCE.exists():
        missing(f"{SOURCE} is not there (set MESH_SHARED)")
    trained, report = turbofan_study(SOURCE)
    wear = report.quality.kinds["wear"]
    assert (wear.found.of, report.quality.false_assets.of) == (30, 30)
    assert wear.found.share >= 0.95
    assert wear.chance <= 0.1
    assert report.quality.false_windows.share <= 0.03
    assert report.flipped == 0
    assert len(trained.onnx) <= 200_000
