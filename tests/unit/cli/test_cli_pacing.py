import pytest

from mesh.cli.pacing import Allowance, AtOnce, AtRate, ByTimestamp, pace_of
from mesh.errors import InvalidInput


def test_the_speed_says_how_the_time_in_the_data_passes():
    pace = pace_of("50x", None, has_time=True)
    assert [pace.due(row, time) for row, time in enumerate((100.0, 150.0, 350.0))] == [0.0, 1.0, 5.0]


def test_a_step_back_in_time_takes_none():
    pace = ByTimestamp(1.0)
    assert [pace.due(0, time) for time in (100.0, 110.0, 100.0, 105.0, None)] == [0.0, 10.0, 10.0, 15.0, 15.0]


def test_a_rate_and_none():
    assert AtRate(4.0).due(8, None) == 2.0
    assert AtOnce().due(8, None) == 0.0
    assert isinstance(pace_of(None, None, has_time=False), AtOnce)
    assert isinstance(pace_of("max", None, has_time=False), AtOnce)
    assert pace_of(None, 7.0, has_time=False) == AtRate(7.0)


@pytest.mark.parametrize(
    ("speed", "rate", "message"),
    [("fast", None, "none of 1x, 50x, max"), ("0x", None, "none of"), ("2x", None, "needs --timestamp"), ("max", 1.0, "--rate")],
)  # fmt: skip
def test_wrong_speeds_say_what_there_is(speed, rate, message):
    with pytest.raises(InvalidInput, match=message):
        pace_of(speed, rate, has_time=False)


def test_what_lies_unread_never_passes_the_limit():
    allowance, unread = Allowance(limit_bytes=1000), 0
    assert allowance.left == 0
    assert allowance.renew(0)
    most = 0
    for _ in range(500):
        if allowance.left < 100 and not allowance.renew(unread):
            unread = max(0, unread - 3)  # the reader takes some
            continue
        allowance.spend(100)
        unread += 1
        most = max(most, unread)
    assert 5 < most <= 10


def test_a_reader_far_behind_stops_everything():
    allowance = Allowance(limit_bytes=1000)
    allowance.renew(0)
    allowance.spend(100)
    assert not allowance.renew(9)
    assert allowance.left == 0
    assert allowance.renew(2)
