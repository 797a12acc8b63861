"""What every feed of candidates promises, and what the follower makes of it and of alerts."""

import asyncio
import time
from dataclasses import replace

import numpy as np
import pytest

from mesh.alerts import Budget, Place, Policy
from mesh.errors import StoreAway
from mesh.records.transactions import Transactions
from mesh.review import follow
from mesh.review.feed import MemoryCandidates, RedisCandidates
from mesh.review.follow import ReviewFollower
from mesh.review.from_alerts import AlertReading
from mesh.review.origin import Origin
from mesh.review.view import QueueQuery
from mesh.stores.alerts import MemoryAlerts
from mesh.stores.online import MemoryOnlineStore
from mesh.stores.rows import FeatureBatch
from mesh.stores.views import FeatureView
from tests.fakes.alert_events import BEGAN, opened
from tests.fakes.reviewing import ANN, Desk, candidate, key


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.redis)])
async def feed(request: pytest.FixtureRequest):
    if request.param == "memory":
        yield MemoryCandidates(kept=100)
        return
    server = request.getfixturevalue("server")
    server.client.flushall()
    feed = RedisCandidates(server.url, "one", kept=100)
    await feed.take(1, 0.01)  # makes the group
    yield feed
    await feed.close()


async def test_what_was_offered_comes_until_it_is_done(feed):
    sent = [candidate(1, place=Place("raw", 1, 2), names=("a",), features=(1.5,)), candidate(2, "audit")]
    await feed.offer(sent)
    found = await feed.take(10, 0.05)
    assert [(one.subject, one.prediction, one.place, list(one.features)) for _, one in found] == [
        (one.subject, one.prediction, one.place, list(one.features)) for one in sent
    ]
    await feed.done([ticket for ticket, _ in found])
    assert await feed.take(10, 0.05) == []


async def test_the_feed_is_bounded(feed):
    await feed.offer([candidate(n) for n in range(400)])
    count = 0
    while found := await feed.take(200, 0.05):
        count += len(found)
        await feed.done([ticket for ticket, _ in found])
    assert 100 <= count <= 220  # Redis trims whole nodes of a hundred


@pytest.mark.redis
async def test_what_is_no_candidate_is_dropped(server):
    server.client.flushall()
    feed = RedisCandidates(server.url, "one", key="{r}:c")
    server.client.xadd("{r}:c", {"c": b"{}"})
    await feed.offer([candidate(1)])
    assert await feed.take(10, 0.01) == []  # the first call makes the group
    assert [one.subject for _, one in await feed.take(10, 0.05)] == ["alert-1"]
    assert server.client.xpending("{r}:c", "review")["pending"] == 1
    await feed.close()


async def test_a_server_that_is_away_is_named():
    feed = RedisCandidates("redis://127.0.0.1:1/0", "one")
    with pytest.raises(StoreAway, match="the review feed"):
        await feed.offer([candidate(1)])
    await feed.close()


VIEW = FeatureView("telemetry", ("temp.mean", "flow.mean"), "5f1c", "features")


async def waited(condition, seconds: float = 20.0):
    """Its first true value."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        found = condition()
        if found:
            return found
        await asyncio.sleep(0.05)
    raise AssertionError("it did not come to pass")


async def test_the_follower_fills_the_queue_from_alerts_and_candidates(database):
    desk = Desk(database)
    alerts, online = MemoryAlerts(Policy(budget=Budget(600_000, 3))), MemoryOnlineStore()
    await online.write(
        VIEW, FeatureBatch(["pump-1"], np.array([BEGAN]), np.array([BEGAN]), np.array([[7.0, 2.0]]))
    )
    source = MemoryCandidates()
    reading = AlertReading({"hot": "score >= 0.8"}, Origin("m", "7", "5f1c"), {"pump-1": 4.0}, VIEW.columns)
    transactions = Transactions(database)
    follower = ReviewFollower(transactions, desk.intake, alerts, alerts, reading, source, (VIEW, online))
    first = opened(1)
    await alerts.write([replace(first, values={**first.values, "model": "m@8", "version": "8"})])
    follower.start()
    try:
        await source.offer([candidate(5, "audit")])
        await waited(lambda: len(desk.view.page(QueueQuery()).items) == 2)
        # The budget lets two stand alone; a digest is no item
        await alerts.write([opened(n) for n in range(2, 7)])
        items = await waited(lambda: len(found := desk.view.page(QueueQuery()).items) == 4 and found)
        (mine,) = [item for item in items if item.alert == opened(1).id]
        assert (mine.asset, mine.criticality, mine.prediction.model) == ("pump-1", 4.0, "m@8")
        assert {item.prediction.version for item in items if item.source == "alert"} == {"8", "7"}
        assert (mine.prediction.score, mine.prediction.threshold) == (0.9, 0.8)
        assert desk.cases.get(mine.id, ANN).features.tolist() == [7.0, 2.0]
        await alerts.act(opened(1).id, "acknowledge", "ann", BEGAN + 5_000)
        await alerts.act(opened(1).id, "resolve", "ann", BEGAN + 9_000)
        item = await waited(lambda: (one := desk.cases.get(mine.id, ANN).item).resolved_at and one)
        assert (item.acknowledged_at, item.resolved_at) == (BEGAN + 5_000, BEGAN + 9_000)
    finally:
        await follower.stop()
        await transactions.close()
    assert key(5, "audit") in {item.id for item in items}


class Picky:
    """An intake over a database that refuses rows of one asset."""

    def __init__(self, intake) -> None:
        self._intake = intake

    def add(self, session, candidates, now):
        if any(one.asset == "pump-3" for one in candidates):
            raise ValueError("no such text")
        return self._intake.add(session, candidates, now)

    def __getattr__(self, name):
        return getattr(self._intake, name)


async def test_one_that_the_database_refuses_keeps_no_other_waiting(database):
    desk, source, alerts = Desk(database), MemoryCandidates(), MemoryAlerts()
    transactions = Transactions(database)
    reading = AlertReading({}, Origin("m", "7", "5f1c"), {}, VIEW.columns)
    follower = ReviewFollower(transactions, Picky(desk.intake), alerts, alerts, reading, source, None)
    offered = [candidate(n, "audit") for n in (1, 2)] + [replace(candidate(3, "audit"), asset="pump-3")]
    await source.offer([*offered, candidate(4, "audit")])
    follower.start()
    try:
        items = await waited(lambda: len(found := desk.view.page(QueueQuery()).items) == 3 and found)
        assert {item.id for item in items} == {key(n, "audit") for n in (1, 2, 4)}
        await waited(lambda: not source._waiting)
    finally:
        await follower.stop()
        await transactions.close()


async def test_an_alert_that_the_database_refuses_keeps_no_other_waiting(database):
    desk, alerts, transactions = Desk(database), MemoryAlerts(), Transactions(database)
    reading = AlertReading({}, Origin("m", "7", "5f1c"), {}, VIEW.columns)
    intake = Picky(desk.intake)
    follower = ReviewFollower(transactions, intake, alerts, alerts, reading, MemoryCandidates())
    await alerts.write([opened(n, "critical") for n in (1, 2, 3, 4)])
    follower.start()
    try:
        items = await waited(lambda: len(found := desk.view.page(QueueQuery()).items) == 3 and found)
        assert {item.alert for item in items} == {opened(n).id for n in (1, 2, 4)}
        await alerts.act(opened(1).id, "acknowledge", "ann", BEGAN + 5_000)
        (mine,) = [item.id for item in items if item.alert == opened(1).id]
        await waited(lambda: desk.cases.get(mine, ANN).item.acknowledged_at)
    finally:
        await follower.stop()
        await transactions.close()


@pytest.mark.redis
async def test_two_that_begin_at_once_are_both_heard(server):
    server.client.flushall()
    feeds = [RedisCandidates(server.url, name, kept=100) for name in ("one", "two")]
    for feed in feeds:
        await feed._begin()
    assert await feeds[1].take(1, 0.01) == []
    for feed in feeds:
        await feed.close()


class Unheard:
    """Changes of which none arrives."""

    async def changes(self):
        await asyncio.Event().wait()
        yield


async def test_what_became_of_an_alert_is_noted_though_nobody_told_of_it(database, monkeypatch):
    monkeypatch.setattr(follow, "LOOK_S", 0.1)
    monkeypatch.setattr(follow, "WHOLE_S", 0.2)
    monkeypatch.setattr(follow, "MAX_LIMIT", 1)  # the alert is not on the newest page
    desk, alerts, transactions = Desk(database), MemoryAlerts(), Transactions(database)
    reading = AlertReading({}, Origin("m", "7", "5f1c"), {}, VIEW.columns)
    follower = ReviewFollower(transactions, desk.intake, alerts, Unheard(), reading, MemoryCandidates())
    await alerts.write([opened(n, "critical") for n in (1, 2, 3)])
    follower.start()
    try:
        items = await waited(lambda: len(found := desk.view.page(QueueQuery()).items) == 3 and found)
        (mine,) = [item.id for item in items if item.alert == opened(1).id]
        await alerts.act(opened(1).id, "acknowledge", "ann", BEGAN + 5_000)
        item = await waited(lambda: (one := desk.cases.get(mine, ANN).item).acknowledged_at and one)
        assert (item.acknowledged_at, item.resolved_at) == (BEGAN + 5_000, None)
    finally:
        await follower.stop()
        await transactions.close()
