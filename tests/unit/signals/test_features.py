"""Features against scipy's and numpy's own, and what is said of windows with gaps or without any movement."""

import numpy as np
import pytest
from scipy import stats

from mesh.signals import FEATURES, FeatureExtractor, feature_names

RNG = np.random.default_rng(3)
NOISE = RNG.normal(20, 3, (5, 3, 64))
GROUPS = ("a", "a", "")


def feature(name, windows, groups=GROUPS):
    return FeatureExtractor(groups, [name]).extract(windows)[..., 0]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mean", NOISE.mean(-1)),
        ("std", NOISE.std(-1)),
        ("rms", np.sqrt((NOISE**2).mean(-1))),
        ("minimum", NOISE.min(-1)),
        ("maximum", NOISE.max(-1)),
        ("peak_to_peak", np.ptp(NOISE, axis=-1)),
        ("crest", np.abs(NOISE).max(-1) / np.sqrt((NOISE**2).mean(-1))),
        ("skewness", stats.skew(NOISE, axis=-1)),
        ("kurtosis", stats.kurtosis(NOISE, axis=-1)),
        ("slope", np.apply_along_axis(lambda x: np.polyfit(np.arange(64), x, 1)[0], -1, NOISE)),
        ("mean_abs_change", np.abs(np.diff(NOISE)).mean(-1)),
        ("coverage", np.ones((5, 3))),
    ],
)
def test_a_feature_is_what_its_name_says(name, expected):
    np.testing.assert_allclose(feature(name, NOISE), expected, rtol=1e-9, atol=1e-12)


def test_crossings_count_how_often_the_mean_is_passed():
    wave = np.tile([1.0, 1.0, -1.0, -1.0], 16)[None, None, :]
    assert feature("mean_crossings", wave, ("",)).item() == 31


def test_autocorrelation_tells_smooth_from_rough():
    t = np.arange(64)
    smooth, rough = np.sin(2 * np.pi * t / 64), np.cos(np.pi * t)
    found = feature("autocorrelation", np.stack([smooth, rough])[None], ("", ""))[0]
    assert found[0] > 0.9
    assert found[1] < -0.9


@pytest.mark.parametrize(("cycles", "band"), [(2, 1), (6, 2), (12, 3), (24, 4)])
def test_a_tone_lies_in_its_own_octave(cycles, band):
    tone = np.sin(2 * np.pi * cycles * np.arange(64) / 64)[None, None]
    assert feature("spectral_centroid", tone, ("",)).item() == pytest.approx(cycles / 64)
    assert feature(f"band_{band}", tone, ("",)).item() == pytest.approx(1.0)
    assert feature("spectral_entropy", tone, ("",)).item() == pytest.approx(0.0, abs=1e-6)


def test_bands_share_all_power_and_noise_is_near_full_entropy():
    bands = sum(feature(f"band_{n}", NOISE) for n in range(1, 5))
    np.testing.assert_allclose(bands, 1.0)
    assert feature("spectral_entropy", NOISE).min() > 0.8


def test_group_correlation_is_pearsons_with_the_mates():
    found = feature("group_correlation", NOISE)
    for m in range(len(NOISE)):
        r = np.corrcoef(NOISE[m, 0], NOISE[m, 1])[0, 1]
        np.testing.assert_allclose(found[m], [r, r, 0.0], atol=1e-12)


def test_a_window_that_does_not_move_gives_finite_numbers():
    still = np.full((1, 1, 64), 7.25)
    found = dict(zip(FEATURES, FeatureExtractor(("g",)).extract(still)[0, 0], strict=True))
    assert np.isfinite(list(found.values())).all()
    assert found["mean"] == found["rms"] == 7.25
    assert found["std"] == found["kurtosis"] == found["spectral_entropy"] == found["autocorrelation"] == 0


def test_gaps_are_held_and_counted():
    window = np.array([[np.nan, np.nan, 2.0, 4.0, np.nan, np.nan, np.nan, 8.0], [np.nan] * 8])[None]
    extractor = FeatureExtractor(("", ""))
    found = extractor.extract(window)[0]
    held = extractor.extract(np.array([[2.0, 2, 2, 4, 4, 4, 4, 8], [0.0] * 8])[None])[0]
    at = extractor.names.index("coverage")
    np.testing.assert_array_equal(found[:, at], [3 / 8, 0.0])
    np.testing.assert_array_equal(np.delete(found, at, 1), np.delete(held, at, 1))


def test_an_unknown_feature_is_named():
    with pytest.raises(ValueError, match="no feature median; there are: mean"):
        FeatureExtractor(("",), ["mean", "median"])


def test_no_window_gives_no_row():
    assert FeatureExtractor(GROUPS).extract(np.empty((0, 3, 64))).shape == (0, 3, len(FEATURES))


def test_columns_are_named_by_sensor_and_feature():
    assert feature_names(["temp", "flow"], ["mean", "std"]) == (
        "temp.mean",
        "temp.std",
        "flow.mean",
        "flow.std",
    )
