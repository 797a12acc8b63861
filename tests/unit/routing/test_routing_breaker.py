import pytest

from mesh.routing.breaker import Breaker, BreakerPolicy

POLICY = BreakerPolicy(
    failure_rate=0.5,
    slow_rate=0.8,
    slow_s=1.0,
    window_calls=10,
    window_s=60.0,
    min_calls=4,
    open_s=5.0,
    probes=2,
)


def fail(breaker, times, now=0.0):
    for _ in range(times):
        breaker.failed(now)


def test_opens_at_the_failure_rate_and_not_before_enough_calls():
    breaker = Breaker(POLICY)
    fail(breaker, 3)
    assert breaker.state == "closed"
    assert breaker.allow(0.0)
    breaker.succeeded(0.0, 0.1)
    assert breaker.state == "open"  # 3 of 4 failed
    assert not breaker.allow(4.9)
    assert breaker.retry_after_s(2.0) == 3.0


def test_stays_closed_below_the_rate():
    breaker = Breaker(POLICY)
    for _ in range(20):
        breaker.succeeded(0.0, 0.1)
        breaker.succeeded(0.0, 0.1)
        breaker.failed(0.0)
    assert breaker.state == "closed"
    assert breaker.retry_after_s(0.0) == 0.0


def test_opens_on_slow_calls():
    breaker = Breaker(POLICY)
    breaker.succeeded(0.0, 0.1)
    for _ in range(4):
        breaker.succeeded(0.0, 1.0)
    assert breaker.state == "open"


def test_old_calls_leave_the_window_by_number_and_by_age():
    breaker = Breaker(POLICY)
    for _ in range(20):
        breaker.succeeded(0.0, 0.1)
    fail(breaker, 4)
    assert breaker.state == "closed"
    fail(breaker, 1)
    assert breaker.state == "open"  # 5 of the last 10
    breaker = Breaker(POLICY)
    fail(breaker, 3, now=0.0)
    fail(breaker, 1, now=61.0)
    assert breaker.state == "closed"  # one call in the window


def opened():
    breaker = Breaker(POLICY)
    fail(breaker, 4)
    assert breaker.state == "open"
    return breaker


def test_half_open_lets_a_few_probes_through_and_closes_when_they_succeed():
    breaker = opened()
    assert [breaker.allow(5.0) for _ in range(3)] == [True, True, False]
    assert breaker.state == "half_open"
    breaker.succeeded(5.1, 0.1)
    assert breaker.state == "half_open"
    breaker.succeeded(5.2, 0.1)
    assert breaker.state == "closed"
    fail(breaker, 3, now=5.3)
    assert breaker.state == "closed"  # with an empty window


def test_half_open_opens_again_when_probes_fail():
    breaker = opened()
    assert breaker.allow(5.0)
    breaker.failed(5.1)
    breaker.succeeded(5.1, 0.1)
    assert breaker.state == "open"  # half of the probes failed
    assert not breaker.allow(10.0)
    assert breaker.allow(10.1)


def test_a_breaker_that_nobody_asks_any_more_is_not_seen_open_for_ever():
    breaker = opened()
    assert breaker.state_at(59.9) == "open"  # past its wait, but what rare calls found out is not forgotten
    assert breaker.state_at(60.0) == "half_open"
    assert breaker.state == "open"  # looking changes nothing
    assert breaker.allow(60.0)
    assert breaker.allow(60.0)
    assert not breaker.allow(60.0)  # nor gives away a probe
    assert Breaker(POLICY).state_at(1e9) == "closed"


def test_ends_of_calls_from_before_it_opened_do_not_count():
    breaker = opened()
    for _ in range(10):
        breaker.succeeded(1.0, 0.1)
    assert breaker.state == "open"


def test_probes_that_are_never_reported_do_not_block_it_for_ever():
    breaker = opened()
    assert breaker.allow(5.0)
    assert breaker.allow(5.0)
    assert not breaker.allow(9.9)
    assert breaker.allow(10.0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"failure_rate": 0},
        {"failure_rate": 1.1},
        {"slow_rate": float("nan")},
        {"slow_s": 0},
        {"open_s": -1},
        {"window_calls": 0},
        {"probes": 0},
        {"min_calls": 101},
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        BreakerPolicy(**wrong)
