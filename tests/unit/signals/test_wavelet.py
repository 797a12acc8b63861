"""Shrinkage removes noise, keeps level shifts, never looks ahead and does not depend on how steps are cut into batches."""

import numpy as np
import pywt

from mesh.signals.wavelet import Shrinkage, WaveletFilter, shrink

RNG = np.random.default_rng(5)


def run(z, shrinkage=None):
    n = len(z)
    return WaveletFilter(z.shape[1], shrinkage).filter(np.zeros(n, np.int64), np.arange(n) * 1_000, z)


def test_it_is_pywavelets_own_soft_threshold():
    window = RNG.normal(0, 1, 32)
    approximation, *details = pywt.wavedec(window, "sym4", mode="symmetric", level=2)
    threshold = np.median(np.abs(details[-1])) / 0.6745 * np.sqrt(2 * np.log(32))
    expected = pywt.waverec(
        [approximation, *(pywt.threshold(c, threshold, "soft") for c in details)], "sym4", mode="symmetric"
    )
    np.testing.assert_allclose(shrink(window[None], Shrinkage())[0], expected, rtol=1e-9, atol=1e-12)


def test_noise_shrinks_more_with_a_delay_than_at_the_edge():
    truth = np.sin(np.arange(600) / 40)[:, None]
    noisy = truth + RNG.normal(0, 0.3, truth.shape)
    prompt, late = run(noisy), run(noisy, Shrinkage(delay=8))
    before = np.std(noisy - truth)
    assert np.std(prompt[50:] - truth[50:]) < 0.8 * before
    assert np.std(late[50:] - truth[42:-8]) < 0.6 * before


def test_a_level_shift_stays():
    z = np.r_[np.zeros(100), np.full(100, 5.0)][:, None] + RNG.normal(0, 0.05, (200, 1))
    assert abs(run(z)[100:110].mean() - 5.0) < 0.3


def test_later_values_change_nothing_before_them():
    z = RNG.normal(0, 1, (120, 2))
    other = z.copy()
    other[80:] += 50.0
    np.testing.assert_array_equal(run(z)[:80], run(other)[:80])


def test_batches_and_assets_do_not_mix():
    slot, time = np.repeat([1, 4], 60), np.tile(np.arange(60) * 1_000, 2)
    z = RNG.normal(0, 1, (120, 1))
    whole, parted = WaveletFilter(1).filter(slot, time, z), WaveletFilter(1)
    for chosen in (time < 31_000, time >= 31_000):
        np.testing.assert_array_equal(parted.filter(slot[chosen], time[chosen], z[chosen]), whole[chosen])


def test_missing_values_stay_missing_and_the_first_ones_pass():
    z = RNG.normal(0, 1, (50, 1))
    z[40] = np.nan
    cleaned = run(z)
    np.testing.assert_array_equal(cleaned[:31], z[:31])
    assert np.isnan(cleaned[40, 0])
    assert np.isfinite(cleaned[41:]).all()
