"""Training again gives the shipped bytes: the script, its seed and the artifacts belong together."""

import json
import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = Path(os.environ.get("MESH_SHARED") or ROOT.parent / "shared") / "data/cmapss_fd001/train_FD001.txt"


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project to train into."""
    pytest.importorskip("sklearn", reason="training needs the extra 'train'")
    pytest.importorskip("skl2onnx", reason="training needs the extra 'train'")
    if not SOURCE.exists():
        missing = f"{SOURCE} is not there (set MESH_SHARED)"
        pytest.fail(missing) if os.environ.get("CI") == "true" else pytest.skip(missing)
    from mesh.learning import train_samples

    monkeypatch.setattr(train_samples, "ROOT", tmp_path)
    monkeypatch.setenv("MESH_SHARED", str(SOURCE.parents[2]))
    for folder in ("models", "data"):
        (tmp_path / folder).mkdir()
    train_samples.main()
    return tmp_path


def test_training_again_gives_the_shipped_files(checkout: Path) -> None:
    from mesh.learning.train_samples import versions

    recorded = json.loads((ROOT / "models/anomaly.metrics.json").read_text())["versions"]
    sample = "data/cmapss_fd001_sample.csv.gz"
    assert (checkout / sample).read_bytes() == (ROOT / sample).read_bytes()
    rules = [
        json.loads((root / "models/rules.metrics.json").read_text())["options"] for root in (checkout, ROOT)
    ]
    assert rules[0] == rules[1]
    if versions() != recorded:
        pytest.skip(f"the shipped models were trained with {recorded}; here is {versions()}")
    for name in ("anomaly.onnx", "degrader.onnx"):
        assert (checkout / "models" / name).read_bytes() == (ROOT / "models" / name).read_bytes(), name
