"""What the detector must find, forgive and refuse."""

import numpy as np
import pytest

from mesh.detection.detector import fixed_threshold, score_together, update
from mesh.detection.settings import Settings
from mesh.detection.state import begin, restore

SMALL = Settings(lags=200, memory=300, warmup=30, quiet=40, refit=50)


def daily(rows: int, seed: int = 0) -> np.ndarray:
    """A noisy wave with 48 values a day."""
    wave = np.sin(np.arange(rows) * 2 * np.pi / 48)
    return 10 + wave + np.random.default_rng(seed).normal(0, 0.05, rows)


def scores_of(values: np.ndarray, settings: Settings = SMALL) -> np.ndarray:
    return update(begin(1, settings), values[None], settings)[0]


def test_a_spike_is_the_strangest_value() -> None:
    values = daily(1000)
    values[800] += 5
    assert int(np.argmax(scores_of(values)[100:])) == 700


def test_a_shape_that_never_was_is_found_though_its_values_are_usual() -> None:
    values = daily(1500)
    values[1200:1230] = 10
    scores = scores_of(values, Settings(lags=1000, memory=1000, refit=50))
    assert scores[1200:1230].max() > scores[600:1200].max()


def test_nothing_scores_during_the_warm_up() -> None:
    scores = scores_of(daily(200))
    assert not scores[:30].any()
    assert scores[30:].any()


def test_the_same_news_is_told_once() -> None:
    values = daily(1000)
    values[800:820] += 5
    told = scores_of(values)[800:820]
    assert told[0] > 0.99
    assert np.count_nonzero(told > 0.99) < 5


def test_without_quiet_every_value_scores() -> None:
    settings = Settings(lags=200, memory=300, warmup=30, quiet=0, refit=50)
    values = daily(1000)
    values[800:803] += 5
    assert (scores_of(values, settings)[800:803] > 0.9).all()


def test_a_constant_series_is_never_strange_and_a_first_change_is() -> None:
    values = np.full(500, 7.0)
    values[400] = 7.5
    scores = scores_of(values)
    assert not scores[:400].any()
    assert scores[400] > 0.999


@pytest.mark.parametrize("missing", [np.nan, np.inf, -np.inf, 1e200])
def test_a_missing_value_scores_zero_and_leaves_no_trace(missing: float) -> None:
    values = daily(600)
    holes = np.insert(values, [100, 101, 400], missing)
    at = np.flatnonzero(~np.isfinite(holes) | (np.abs(holes) > 1e36))
    scores = scores_of(holes)
    assert not scores[at].any()
    assert np.array_equal(np.delete(scores, at), scores_of(values))


def test_a_series_of_nothing_scores_nothing() -> None:
    assert not scores_of(np.full(50, np.nan)).any()


def test_huge_values_overflow_nothing() -> None:
    values = daily(400) * 5e34
    with np.errstate(all="raise", under="ignore"):
        assert np.isfinite(scores_of(values)).all()


def test_the_scale_and_the_origin_of_a_series_do_not_matter() -> None:
    values = daily(800)
    values[700] += 3
    assert np.allclose(scores_of(values), scores_of(values * 1024), atol=1e-6)


def test_series_side_by_side_score_as_alone() -> None:
    series = [daily(700, 1), daily(400, 2), daily(700, 3), daily(0)]
    series[0][50:60] = np.nan
    together = score_together(series, SMALL)
    for one, scores in zip(series, together, strict=True):
        assert np.array_equal(scores, scores_of(one))


def test_a_restored_snapshot_goes_on_as_the_state_would_have() -> None:
    values = daily(900)[None]
    state = begin(1, SMALL)
    update(state, values[:, :500], SMALL)
    resumed = restore(state.arrays(), SMALL)
    expected = update(state, values[:, 500:], SMALL)
    assert np.array_equal(update(resumed, values[:, 500:], SMALL), expected)


def test_a_snapshot_is_a_copy() -> None:
    state = begin(1, SMALL)
    arrays = state.arrays()
    update(state, daily(10)[None], SMALL)
    assert arrays["seen"][0] == 0
    assert not arrays["history"].any()


def test_the_state_does_not_grow() -> None:
    state = begin(1, SMALL)
    update(state, daily(10)[None], SMALL)
    before = {name: array.nbytes for name, array in state.arrays().items()}
    update(state, daily(1000)[None], SMALL)
    assert {name: array.nbytes for name, array in state.arrays().items()} == before


def test_a_snapshot_of_other_settings_is_refused() -> None:
    arrays = begin(1, SMALL).arrays()
    with pytest.raises(ValueError, match="history: expected"):
        restore(arrays, Settings())
    with pytest.raises(ValueError, match="expected the arrays"):
        restore({}, SMALL)


@pytest.mark.parametrize("shape", [(3,), (2, 3), (1, 2, 3)])
def test_a_block_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected values of 1 series"):
        update(begin(1, SMALL), np.zeros(shape), SMALL)


@pytest.mark.parametrize(
    "wrong",
    [
        {"lags": 0},
        {"width": 4},
        {"refit": 5000},
        {"apart": 2001},
        {"quiet": -1},
        {"forget": 1.0},
        {"smoothing": 0.0},
        {"power": 0.0},
        {"weights": (0.0, 0.0, 0.0, 0.0)},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"must hold|at least|at most|above"):
        Settings(**wrong)  # type: ignore[arg-type]


def test_the_fixed_threshold_follows_from_the_settings() -> None:
    assert fixed_threshold(SMALL) == 1 - 1 / 40
    assert fixed_threshold(Settings(quiet=0)) == fixed_threshold(Settings(quiet=150))
