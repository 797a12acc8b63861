"""The figures, worked out by hand: what is found, how soon, by chance; what cries wolf."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("onnx", reason="training needs the extra 'train'")

from mesh.learning.anomaly.evaluate import Scored, Share, calibration, flips, measure, spread
from mesh.learning.anomaly.windows import Episode, WindowSet, touched
from tests.unit.learning.anomaly_windows import LAYOUT, healthy


def two_assets(*episodes: Episode) -> WindowSet:
    """Twenty windows each, one every 8 s from 0 s on."""
    windows = healthy(assets=2, each=20)
    well = np.ones(40, np.bool_)
    for one in episodes:
        well &= ~touched(one, windows.asset, windows.time, LAYOUT.window_ms)
    return replace(windows, healthy=well, episodes=episodes)


def scored(windows: WindowSet, *above: tuple[int, int]) -> Scored:
    score = np.zeros(len(windows))
    for asset, second in above:
        score[(windows.asset == asset) & (windows.time == second * 1_000)] = 1.0
    return Scored(windows, score)


SHIFT = Episode("shift", 0, 16_000, 32_000)


@pytest.mark.parametrize(("second", "delay"), [(16, 0), (24, 8), (88, 72)])
def test_a_window_in_a_fault_or_one_length_after_it_finds_it(second: int, delay: float) -> None:
    quality = measure([scored(two_assets(SHIFT), (0, second))], [], 0.5)
    assert quality.kinds["shift"].found == Share(1, 1)
    assert quality.kinds["shift"].delay_s == delay


@pytest.mark.parametrize(("asset", "second"), [(0, 8), (0, 96), (1, 24)])
def test_before_later_and_elsewhere_do_not_count_and_a_miss_costs_its_length(asset: int, second: int) -> None:
    one = measure([scored(two_assets(SHIFT), (asset, second))], [], 0.5).kinds["shift"]
    assert (one.found, one.delay_s, one.delay_missed_s) == (Share(0, 1), None, 80.0)


def test_false_alarms_are_counted_in_windows_alerts_and_assets() -> None:
    calm = scored(two_assets(), (0, 8), (0, 16), (0, 40), (1, 0))
    quality = measure([], [calm], 0.5)
    assert quality.false_windows == Share(4, 40)
    assert quality.false_assets == Share(2, 2)
    assert quality.false_alerts == 3
    assert quality.asset_days == pytest.approx(40 * 8 / 86_400)
    assert quality.alerts_per_asset_day == pytest.approx(3 / (40 * 8 / 86_400))


def test_windows_that_a_fault_touches_are_no_false_alarms() -> None:
    both = scored(two_assets(SHIFT), (0, 24), (0, 88), (0, 104))
    assert measure([both], [both], 0.5).false_windows == Share(1, 30)


def test_chance_is_the_share_of_healthy_stretches_with_an_alert() -> None:
    calm = scored(two_assets(), (0, 0))
    fault = scored(two_assets(SHIFT))
    # A fault of 16 s and a window after it last ten windows; of eleven stretches of each asset one holds the alert.
    assert measure([fault], [calm], 0.5).kinds["shift"].chance == pytest.approx(1 / 22)


def test_wilson_s_interval() -> None:
    low, high = Share(1, 10).bounds
    assert (low, high) == (pytest.approx(0.0179, abs=1e-4), pytest.approx(0.4042, abs=1e-4))
    assert Share(0, 50).bounds[0] == 0
    assert Share(0, 0).bounds == (0.0, 1.0)


def test_nothing_to_measure_on_gives_zeros() -> None:
    quality = measure([], [], 0.5)
    assert (quality.alerts_per_asset_day, quality.false_windows.share, quality.kinds) == (0.0, 0.0, {})


def test_calibration_spread_and_flips() -> None:
    score = np.linspace(0.0005, 0.9995, 1_000)
    assert calibration(score)["0.99"] == pytest.approx(0.01)
    assert spread(score)["windows_per_tenth"] == [100] * 10
    assert flips(np.array([0.1, 0.6, 0.9]), np.array([0.1, 0.4, 0.8]), 0.5) == 1
