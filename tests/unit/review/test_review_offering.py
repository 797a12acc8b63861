"""A candidate waits for what shadows say of its row, and is then offered; an alert only where there is something to add."""

import asyncio

import numpy as np
import pytest

from mesh.cluster.review_watch import ReviewWatch
from mesh.engine.compared import Compared, ShadowKey
from mesh.engine.ports import Silent
from mesh.errors import StoreAway
from mesh.review.feed import MemoryCandidates
from mesh.review.offering import WAITING, Offering
from mesh.routing.shadow import Comparison
from mesh.routing.types import Origin
from mesh.telemetry import names
from mesh.telemetry.recorder import Recorder
from tests.fakes.reviewing import candidate

KEY = ShadowKey("default", "main", "anomaly", "degrader")


def compared(ids, mine, theirs) -> Compared:
    return Compared(
        KEY, Origin("anomaly", "3", "main", "primary"), ids, ids, ([None] * len(ids),) * 2,
        (np.array(mine), np.array(theirs)), np.zeros(len(ids), np.bool_), None, None,
        Comparison(len(ids), 0, 0.0, 0.0, 0, 0), "1",
    )  # fmt: skip


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


async def taken(sink: MemoryCandidates):
    return [one for _, one in await sink.take(10_000, 0)]


async def test_shadows_that_come_later_or_came_before_are_joined():
    sink, clock, recorder = MemoryCandidates(), Clock(), Recorder()
    offering = Offering(sink, recorder, held_s=2.0, clock=clock)
    watch = ReviewWatch(Silent(), offering)
    watch.shadowed("degrader", "compared", 2, compared(["b", "c"], [0.5, 0.1], [0.9, np.nan]))
    offering.put(candidate(1, "audit"), "a")
    offering.put(candidate(2, "audit"), "b")
    offering.put(candidate(2, "unsure"), "b")
    watch.shadowed("degrader", "compared", 2, compared(["x", "a"], [0.4, 0.2], [0.4, 0.7]))
    watch.shadowed("degrader", "dropped", 2, KEY)
    await offering.flush()
    assert await taken(sink) == []
    clock.now = 2.0
    await offering.flush()
    voices = [dict(one.prediction.voices) for one in await taken(sink)]
    both = {"anomaly": 0.5, "degrader": 0.9}
    assert voices == [{"anomaly": 0.2, "degrader": 0.7}, both, both]
    told = recorder.snapshot().counters[names.REVIEW_OFFERED.name]
    assert told == {("audit", "offered"): 2, ("unsure", "offered"): 1}


async def test_an_alert_is_offered_only_where_a_shadow_spoke():
    sink = MemoryCandidates()
    offering = Offering(sink)
    offering.put(candidate(1), "a")
    offering.put(candidate(2), "b")
    offering.heard(["b"], [("anomaly", np.array([0.9])), ("degrader", np.array([0.1]))])
    await offering.stop()
    assert [one.subject for one in await taken(sink)] == ["alert-2"]


class AwayOnce(MemoryCandidates):
    away = True

    async def offer(self, candidates):
        if self.away:
            self.away = False
            raise StoreAway("the review feed", "Redis: refused")
        await super().offer(candidates)


async def test_nothing_is_lost_while_redis_is_away_and_the_oldest_make_room():
    sink, recorder = AwayOnce(), Recorder()
    offering = Offering(sink, recorder, held_s=0.0)
    for n in range(WAITING + 5):
        offering.put(candidate(n, "audit"), str(n))
    with pytest.raises(StoreAway):
        await offering.flush()
    offering.put(candidate(5_000, "audit"), "new")
    await offering.stop()
    found = await taken(sink)
    assert (len(found), found[0].subject, found[-1].subject) == (WAITING, "audit-6", "audit-5000")
    assert recorder.snapshot().counters[names.REVIEW_OFFERED.name][("audit", "dropped")] == 6


class Slow(MemoryCandidates):
    """The first call does not come back."""

    asked = False

    async def offer(self, candidates):
        if not self.asked:
            self.asked = True
            await asyncio.Event().wait()
        await super().offer(candidates)


async def test_what_is_on_its_way_at_the_end_is_offered_once_more(monkeypatch):
    monkeypatch.setattr("mesh.review.offering.FLUSH_S", 0.0)
    sink = Slow()
    offering = Offering(sink, held_s=0.0)
    offering.start()
    offering.put(candidate(1, "audit"), "a")
    async with asyncio.timeout(20):
        while not sink.asked:  # noqa: ASYNC110 - an event would have to be in the sink
            await asyncio.sleep(0)
    await offering.stop()
    assert [one.subject for one in await taken(sink)] == ["audit-1"]


async def test_it_ticks_while_it_runs(monkeypatch):
    monkeypatch.setattr("mesh.review.offering.FLUSH_S", 0.01)
    sink, ticks = MemoryCandidates(), []
    offering = Offering(sink, held_s=0.0)
    offering.at_each_flush(ticks.append)
    offering.start()
    offering.put(candidate(1, "audit"), "a")
    async with asyncio.timeout(20):
        while not (ticks and await taken(sink)):  # noqa: ASYNC110 - an event would have to be in the sink
            await asyncio.sleep(0.01)
    await offering.stop()
    assert [one.subject for one in await taken(sink)] == ["audit-1"]


class Refusing(MemoryCandidates):
    """Cannot write the first."""

    refused = 0

    async def offer(self, candidates):
        if not self.refused:
            self.refused = len(candidates)
            raise UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates")
        await super().offer(candidates)


async def test_what_cannot_be_offered_is_lost_and_the_next_is_tried(monkeypatch, caplog):
    monkeypatch.setattr("mesh.review.offering.FLUSH_S", 0.01)
    sink = Refusing()
    offering = Offering(sink, held_s=0.0)
    offering.start()
    offering.put(candidate(1, "audit"), "a")
    async with asyncio.timeout(20):
        while not sink.refused:  # noqa: ASYNC110 - an event would have to be in the sink
            await asyncio.sleep(0.01)
    offering.put(candidate(2, "audit"), "b")
    await offering.stop()
    assert [one.subject for one in await taken(sink)] == ["audit-2"]
    assert "were not offered" in caplog.text
