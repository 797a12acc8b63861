"""One head an incident, whoever writes at once, and one incident for what is near in time."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from sqlalchemy import select, text

from mesh.review.rules import MINUTE_MS
from mesh.review.tables import ItemRow
from tests.fakes.reviewing import ANN, BEN, NOW, Desk, candidate, key

HOUR = 60 * MINUTE_MS


@pytest.fixture
def desk(database) -> Desk:
    return Desk(database)


@pytest.fixture
def beside():
    """Something that is done while the test's own transaction is open."""
    with ThreadPoolExecutor(1) as pool:

        def begin(work: Callable[[], object]) -> Future:
            future = pool.submit(work)
            time.sleep(0.3)  # it is at the lock by now
            return future

        yield begin


def of_pump(n: int, **changed):
    """The n-th alert of one pump, a minute after the one before."""
    return candidate(n, asset="pump-1", row_time=NOW + n * MINUTE_MS, **changed)


def heads(desk: Desk) -> set[str]:
    with desk.database.read() as session:
        return set(session.scalars(select(ItemRow.id).where(ItemRow.head, ItemRow.state == "open")))


def incident(desk: Desk, n: int) -> str:
    with desk.database.read() as session:
        return str(session.scalar(select(ItemRow.incident).where(ItemRow.id == key(n))))


def plant_heads(desk: Desk) -> None:
    """As routers without a lock left them."""
    with desk.database.write() as session:
        session.execute(text("UPDATE review_items SET head = (1 = 1)"))


def test_heads_too_many_give_way_to_a_better_one(desk):
    desk.add(of_pump(1), of_pump(2), of_pump(3))
    plant_heads(desk)
    assert desk.add(of_pump(4, severity="critical")) == 1
    assert heads(desk) == {key(4)}


def test_of_heads_too_many_the_best_stays(desk):
    desk.add(of_pump(1, severity="critical"), of_pump(2), of_pump(3))
    plant_heads(desk)
    assert desk.add(of_pump(4, severity="info")) == 1
    assert heads(desk) == {key(1)}


def test_of_heads_too_many_the_one_that_somebody_holds_stays(desk):
    desk.add(of_pump(1, severity="info"), of_pump(2), of_pump(3))
    plant_heads(desk)
    desk.lease(key(1), ANN)
    assert desk.add(of_pump(4, severity="critical")) == 1
    assert heads(desk) == {key(1)}


def test_two_that_take_alerts_of_one_incident_at_once_leave_one_head(desk, beside):
    with desk.database.write() as session:
        desk.intake.add(session, [of_pump(1)], NOW)
        other = beside(lambda: desk.add(of_pump(2, severity="critical")))
    assert other.result(60) == 1
    assert heads(desk) == {key(2)}
    assert incident(desk, 2) == key(1)


def test_an_alert_that_is_taken_while_its_incidents_head_is_decided_leaves_one_head(desk, beside):
    desk.add(of_pump(1, severity="critical"), of_pump(2))
    desk.lease(key(1), ANN)
    with desk.database.write() as session:
        desk.intake.add(session, [of_pump(3)], NOW)
        other = beside(lambda: desk.decide(key(1), ANN))
    assert other.result(60).item.state == "decided"
    assert len(heads(desk)) == 1


def test_who_takes_an_item_and_what_outdoes_it_do_not_wait_for_each_other(desk, beside):
    desk.add(of_pump(1))
    with desk.database.write() as session:
        desk.intake.add(session, [candidate(9)], NOW)
        other = beside(lambda: desk.lease(key(1), BEN))
        desk.intake.add(session, [of_pump(2, severity="critical")], NOW)
    assert other.result(60).lease_by == "ben"
    assert heads(desk) == {key(2), key(9)}


def test_a_late_alert_does_not_draw_the_newest_into_its_incident(desk):
    desk.add(of_pump(1))
    desk.add(of_pump(2), candidate(3, asset="pump-1", row_time=NOW - 5 * HOUR))
    assert [incident(desk, n) for n in (1, 2, 3)] == [key(1), key(1), key(3)]
