"""Features as TSFEL computes them and filtered levels as pykalman does; the numbers were written by those libraries."""

import json
from pathlib import Path

import numpy as np
import pytest

from mesh.signals.features import FEATURES, FeatureExtractor
from mesh.signals.kalman import KalmanFilter, KalmanNoise

GOLDEN = Path(__file__).parent / "golden"
TSFEL = json.loads((GOLDEN / "tsfel.json").read_text())
KALMAN = json.loads((GOLDEN / "pykalman.json").read_text())
SAME = sorted(TSFEL["windows"]["noise"]["features"].keys() - {"spectral_entropy"})


@pytest.mark.parametrize("kind", TSFEL["windows"])
def test_features_are_those_of_tsfel(kind: str) -> None:
    window = TSFEL["windows"][kind]
    values = FeatureExtractor([""]).extract(np.array(window["values"])[None, None])[0, 0]
    ours = dict(zip(FEATURES, values.tolist(), strict=True))
    assert {name: ours[name] for name in SAME} == pytest.approx(
        {name: window["features"][name] for name in SAME}
    )
    # It counts the constant part among the frequencies where rounding leaves any of it.
    assert ours["spectral_entropy"] == pytest.approx(window["features"]["spectral_entropy"], rel=0.02)


def test_levels_are_those_of_pykalman() -> None:
    values = np.array([np.nan if value is None else value for value in KALMAN["values"]])[:, None]
    noise = KalmanNoise(np.array([KALMAN["noise"]]), np.array([KALMAN["acceleration"]]), gate=np.inf)
    found = KalmanFilter(noise).filter(
        np.zeros(len(values), np.int64), np.arange(len(values)) * 1_000, values
    )
    np.testing.assert_allclose(found[:, 0], KALMAN["levels"], rtol=1e-9)
