"""When a silent replica is pinged, and when it is given up."""

from mesh.engine.direct.limits import LinkLimits
from mesh.engine.direct.watch import Watch

LIMITS = LinkLimits(ping_s=4.0, pong_timeout_s=10.0, idle_ping_s=60.0)


def _looks(watch: Watch, until: float, *, busy: bool = True, unsent: int = 0) -> list[tuple[float, str]]:
    """Look every period without ever hearing anything; what was decided, and when."""
    decided = []
    for step in range(1, int(until / watch.period_s) + 1):
        now = step * watch.period_s
        verdict = watch.look(now, heard=False, unsent=unsent, busy=busy)
        if verdict != "fine":
            decided.append((now, verdict))
        if verdict == "give up":
            break
    return decided


def test_a_hung_replica_is_pinged_once_and_given_up_in_time() -> None:
    assert _looks(Watch(LIMITS, 0.0), 100.0) == [(4.0, "ping"), (14.0, "give up")]


def test_an_idle_link_is_pinged_rarely() -> None:
    assert _looks(Watch(LIMITS, 0.0), 65.0, busy=False) == [(60.0, "ping")]


def test_whatever_is_heard_is_a_sign_of_life() -> None:
    watch = Watch(LIMITS, 0.0)
    assert watch.look(4.0, heard=False, unsent=0, busy=True) == "ping"
    assert watch.look(6.0, heard=True, unsent=0, busy=True) == "fine"
    assert watch.look(8.0, heard=False, unsent=0, busy=True) == "fine"
    assert watch.look(10.0, heard=False, unsent=0, busy=True) == "ping"


def test_a_replica_that_still_reads_is_alive() -> None:
    watch = Watch(LIMITS, 0.0)
    for step in range(1, 30):
        assert watch.look(step * 2.0, heard=False, unsent=10_000 - step, busy=True) == "fine" or step == 1


def test_a_process_that_stood_still_looks_again_before_it_judges() -> None:
    watch = Watch(LIMITS, 0.0)
    assert watch.look(2.0, heard=False, unsent=0, busy=True) == "fine"
    assert watch.look(4.0, heard=False, unsent=0, busy=True) == "ping"
    assert watch.look(60.0, heard=False, unsent=0, busy=True) == "fine"
    assert watch.look(62.0, heard=False, unsent=0, busy=True) == "give up"
