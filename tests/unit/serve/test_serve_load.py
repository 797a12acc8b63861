import pytest

from serve.load import DirectLoad, TimeMean
from serve.pace import INLINE_BELOW_S, INLINE_ROWS, Pace


def test_mean_weighs_a_level_by_how_long_it_stood() -> None:
    mean = TimeMean(now=0.0)
    mean.set(10, now=1.0)
    mean.set(0, now=2.0)
    assert mean.read(now=4.0) == pytest.approx(10 / 4)
    assert mean.read(now=5.0) == 0.0


def test_reading_twice_at_once_gives_the_level() -> None:
    mean = TimeMean(now=0.0)
    mean.set(3, now=1.0)
    mean.read(now=2.0)
    assert mean.read(now=2.0) == 3


def test_direct_load_counts_rows_and_forgets_queues_when_idle() -> None:
    load = DirectLoad(now=0.0)
    load.began(5, queued_rows=20, now=0.0)
    load.began(5, queued_rows=10, now=1.0)
    assert load.read(now=2.0) == (pytest.approx(7.5), pytest.approx(15.0))
    load.ended(5, now=2.0)
    load.ended(5, now=2.0)
    assert load.read(now=3.0) == (0.0, 0.0)


def test_a_long_call_keeps_the_queue_behind_it_in_view() -> None:
    load = DirectLoad(now=0.0)
    load.began(1, queued_rows=40, now=0.0)
    load.read(now=1.0)
    assert load.read(now=10.0) == (1.0, 40.0)


def test_quick_small_calls_stay_on_the_loop() -> None:
    pace = Pace(20e-6)
    assert pace.inline(1)
    assert pace.inline(INLINE_ROWS)
    assert not pace.inline(INLINE_ROWS + 1)
    assert not Pace(INLINE_BELOW_S).inline(1)


def test_pace_follows_small_calls_only_and_forgives_one_hiccup() -> None:
    pace = Pace(20e-6)
    pace.observe(5000, 1.0)
    pace.observe(1, 300e-6)
    assert pace.inline(1)
    for _ in range(40):
        pace.observe(1, 300e-6)
    assert not pace.inline(1)


def test_an_interrupted_call_now_and_then_does_not_make_a_model_slow_but_slow_calls_soon_do() -> None:
    pace = Pace(0.0)
    for turn in range(1000):
        pace.observe(1, 5e-3 if turn % 50 == 0 else 30e-6)
        assert pace.inline(1)
    slow = 0
    while pace.inline(1):
        pace.observe(1, 0.1)
        slow += 1
    assert slow <= 3
