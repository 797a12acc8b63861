"""What every book of rollouts promises: compare-and-set on (state, generation), one lease, each observation once."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import msgspec
import pytest

from mesh.errors import InvalidConfig, NotFound, StoreAway
from mesh.rollouts.memory import MemoryLease, MemoryRollouts
from mesh.rollouts.plan import AlertRule, Metric, Plan, Step
from mesh.rollouts.record import Evidence, looked
from mesh.rollouts.states import AliasBefore, Rollout, begun, moved, noted
from mesh.rollouts.statistics.quantiles import Histogram
from mesh.rollouts.tally import Counted, Observations, PairSeen, Value
from mesh.stores.rollouts import RedisFeed, RedisLease, RedisRollouts
from tests.fakes.redis_server import RedisServer

PLAN = Plan(
    "try", "default", "old", "new", AlertRule(0.8), (Step("shadow"), Step("promote")),
    (Metric("apart", "discordance", margin=0.1), Metric("slow", "latency", margin=0.2)),
)  # fmt: skip
SEEN = Observations(
    pairs=(PairSeen("pump-1", 5, True, False), PairSeen("pump-ü", 5, False, False)),
    latencies={"primary": Histogram({3: 4}), "candidate": Histogram({5: 1})},
    counted={"error_rate": {"candidate": Counted(1, 20)}},
    values={"cost": Value(1.5, 1.0)},
    rows={"candidate": 7},
    lost=2,
)

pytestmark = pytest.mark.redis


@pytest.fixture(params=["memory", "redis"])
async def book(request: pytest.FixtureRequest) -> AsyncIterator[MemoryRollouts | RedisRollouts]:
    if request.param == "memory":
        yield MemoryRollouts()
        return
    server: RedisServer = request.getfixturevalue("server")
    server.client.flushall()
    store = RedisRollouts(server.url)
    yield store
    await store.close()


async def test_a_rollout_is_kept_whole(book: MemoryRollouts | RedisRollouts) -> None:
    one = begun(PLAN, "ann", 5)
    assert await book.write(one, None)
    assert await book.get("try") == one
    two = moved(one, "shadow", now_ms=6, reason="started")
    assert await book.write(two, one)
    assert await book.get("try") == two
    assert list(await book.all()) == [two]


async def test_of_two_writers_who_saw_the_same_one_is_late(book: MemoryRollouts | RedisRollouts) -> None:
    one = begun(PLAN, "ann", 5)
    assert await book.write(one, None)
    assert not await book.write(one, None)
    two = moved(one, "shadow", now_ms=6)
    assert await book.write(two, one)
    assert not await book.write(moved(one, "abort", now_ms=6), one)
    assert not await book.write(moved(two, "pause", now_ms=7), replace(two, state="Paused"))
    assert await book.get("try") == two
    assert await book.write(replace(two, audited=2), two)


async def test_a_name_begins_anew_once_it_has_ended_and_cooled(book: MemoryRollouts | RedisRollouts) -> None:
    one = begun(PLAN, "ann", 5)
    assert await book.write(one, None)
    promoting = moved(moved(one, "shadow", now_ms=6), "promote", now_ms=7)
    assert await book.write(promoting, one)
    warm = moved(promoting, "finish", now_ms=8)
    assert await book.write(warm, promoting)
    again = begun(PLAN, "bob", 9)
    assert not await book.write(again, None)
    assert await book.write(replace(warm, warm=False), warm)
    assert await book.write(again, None)
    assert await book.get("try") == again


async def ended(book: MemoryRollouts | RedisRollouts, one: Rollout) -> Rollout:
    after = moved(one, "abort", now_ms=one.created_ms + 1)
    assert await book.write(after, one)
    return after


async def test_an_endpoint_has_one_rollout_at_a_time(book: MemoryRollouts | RedisRollouts) -> None:
    one, other = begun(PLAN, "ann", 5), begun(replace(PLAN, name="other"), "bob", 6)
    assert await book.write(one, None)
    assert not await book.write(other, None)
    assert await book.write(begun(replace(PLAN, name="elsewhere", endpoint="more"), "bob", 6), None)
    after = await ended(book, one)
    assert await book.write(other, None)
    assert not await book.write(one, None)
    # What is over is written without being in the way
    assert await book.write(replace(after, audited=2), after)
    assert not await book.write(one, None)
    await ended(book, other)
    assert await book.write(one, None)


async def test_a_warm_model_keeps_the_endpoint(book: MemoryRollouts | RedisRollouts) -> None:
    one, other = begun(PLAN, "ann", 5), begun(replace(PLAN, name="other"), "bob", 6)
    await book.write(one, None)
    promoting = moved(moved(one, "shadow", now_ms=6), "promote", now_ms=7)
    await book.write(promoting, one)
    warm = moved(promoting, "finish", now_ms=8)
    await book.write(warm, promoting)
    assert not await book.write(other, None)
    await book.write(replace(warm, warm=False), warm)
    assert await book.write(other, None)


async def test_of_many_who_begin_at_once_on_an_endpoint_one_does(
    book: MemoryRollouts | RedisRollouts,
) -> None:
    names = [f"try-{number}" for number in range(8)]
    began = await asyncio.gather(
        *(book.write(begun(replace(PLAN, name=name), "ann", 5), None) for name in names)
    )
    assert sorted(began) == [False] * 7 + [True]
    assert [one.name for one in await book.all()] == [names[began.index(True)]]


async def test_what_the_alias_stood_for_is_not_written_over_by_who_had_not_seen_it(
    book: MemoryRollouts | RedisRollouts,
) -> None:
    one = begun(PLAN, "ann", 5)
    await book.write(one, None)
    promoting = moved(moved(one, "shadow", now_ms=6), "promote", now_ms=7)
    await book.write(promoting, one)
    assert await book.write(noted(promoting, None), promoting)
    assert not await book.write(moved(promoting, "abort", now_ms=8), promoting)
    assert (await book.get("try")).alias == AliasBefore(None)


async def test_the_newest_come_first_and_an_unknown_one_is_not_found(
    book: MemoryRollouts | RedisRollouts,
) -> None:
    assert list(await book.all()) == []
    with pytest.raises(NotFound, match="none"):
        await book.get("try")
    for number, name in enumerate("abc"):
        await book.write(begun(replace(PLAN, name=name, endpoint=name), "ann", number), None)
    assert [one.name for one in await book.all()] == ["c", "b", "a"]


async def test_evidence_is_of_one_life_of_a_rollout(book: MemoryRollouts | RedisRollouts) -> None:
    one = begun(PLAN, "ann", 5)
    assert await book.evidence(one) == Evidence()
    kept = looked(PLAN, Evidence(), [SEEN], {"engines": "7-0"}, 1)
    await book.keep(one, kept)
    found = await book.evidence(one)
    assert (found.tally, found.cursors, found.looked_ms) == (kept.tally, kept.cursors, 1)
    assert [one.verdict for one in found.judgements] == [one.verdict for one in kept.judgements]
    assert await book.evidence(replace(one, created_ms=6)) == Evidence()


async def test_a_lease_has_one_holder_until_it_is_let_go_or_runs_out(server: RedisServer) -> None:
    server.client.flushall()
    holders: list[str] = []
    long, short = RedisLease(server.url, "one", life_s=60.0), RedisLease(server.url, "two", life_s=0.2)
    for one, two, wait in (
        (MemoryLease("one", holders), MemoryLease("two", holders), 0.0),
        (long, short, 0.3),
    ):
        assert await one.hold()
        assert await one.hold()
        assert not await two.hold()
        await two.release()
        assert not await two.hold()
        await one.release()
        assert await two.hold()
        if wait:
            await asyncio.sleep(wait)
            assert await one.hold()
    for lease in (long, short):
        await lease.close()


async def test_observations_come_once_and_in_order(server: RedisServer) -> None:
    server.client.flushall()
    feed = RedisFeed(server.url)
    await feed.write(PLAN, SEEN)  # of an earlier life
    nothing, cursor = await feed.read(PLAN, "")
    assert nothing == Observations()
    await feed.write(PLAN, SEEN)
    await feed.write(PLAN, replace(SEEN, values={"cost": Value(2.0)}))
    await feed.write(replace(PLAN, alpha=0.01), SEEN)  # another plan's
    both, after = await feed.read(PLAN, cursor)
    assert both == SEEN.plus(replace(SEEN, values={"cost": Value(2.0)}))
    assert both.rows == {"candidate": 14}
    assert both.latencies["primary"].counts == {3: 8}
    assert await feed.read(PLAN, after) == (Observations(), after)
    assert (await feed.read(PLAN, cursor))[1] == after
    await feed.close()


async def test_a_feed_that_has_more_says_how_far_it_came(server: RedisServer) -> None:
    server.client.flushall()
    feed = RedisFeed(server.url, per_read=2)
    _, cursor = await feed.read(PLAN, "")
    key = f"{{hyperstream:rollouts}}:seen:{PLAN.name}:{PLAN.digest}"
    for at_ms in (5_100, 5_200, 5_300):
        server.client.xadd(key, {"seen": msgspec.json.encode(SEEN)}, id=f"{at_ms}-0")
    seen, cursor = await feed.read(PLAN, cursor)
    assert (seen.rows, seen.upto_ms) == ({"candidate": 14}, 5_200)
    seen, cursor = await feed.read(PLAN, cursor)
    assert (seen.rows, seen.upto_ms) == ({"candidate": 7}, None)
    await feed.close()


async def test_a_redis_that_is_away_is_said_to_be() -> None:
    away = "redis://127.0.0.1:1/0"
    book, feed, lease = RedisRollouts(away), RedisFeed(away), RedisLease(away, "one")
    for call in (book.all(), book.get("try"), feed.read(PLAN, "1-0"), feed.write(PLAN, SEEN), lease.hold()):
        with pytest.raises(StoreAway, match="REDIS_URL"):
            await call
    for one in (book, feed, lease):
        await one.close()
    with pytest.raises(InvalidConfig, match="REDIS_URL"):
        RedisRollouts("http://x")


async def test_an_endpoint_whose_rollout_began_before_endpoints_were_kept_is_taken_at_its_next_write(
    server: RedisServer,
) -> None:
    server.client.flushall()
    book = RedisRollouts(server.url)
    one = begun(PLAN, "ann", 5)
    await book.write(one, None)
    server.client.delete("{hyperstream:rollouts}:endpoints")
    await book.write(replace(one, audited=1), one)
    assert not await book.write(begun(replace(PLAN, name="other"), "bob", 6), None)
    await book.close()


async def test_a_damaged_entry_is_said_to_be(server: RedisServer) -> None:
    server.client.flushall()
    book = RedisRollouts(server.url)
    await book.write(begun(PLAN, "ann", 5), None)
    server.client.hset("{hyperstream:rollouts}:rollout:try", "json", "{")
    with pytest.raises(StoreAway, match="damaged"):
        await book.get("try")
    server.client.set("{hyperstream:rollouts}:evidence:try:5", "[]")
    with pytest.raises(StoreAway, match="damaged"):
        await book.evidence(begun(PLAN, "ann", 5))
    await book.close()
