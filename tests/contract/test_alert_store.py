"""What every alert store promises: idempotent by id, states by compare-and-set, pages, a shared budget, bounds."""

import asyncio
import random
from dataclasses import asdict, replace

import pytest

from mesh.alerts import Budget, Policy, Retention
from mesh.alerts.lifecycle import MESH
from mesh.errors import InvalidInput, NotFound, StoreAway, WrongState
from mesh.stores.alerts import AlertQuery, MemoryAlerts, RedisAlerts
from mesh.stores.alerts.redis_alerts import PREFIX
from tests.fakes.alert_events import BEGAN, opened

MINUTE = 60_000
ROOMY = Policy(budget=Budget(10 * MINUTE, 1_000))
TIGHT = Policy(budget=Budget(10 * MINUTE, 1))


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.redis)])
async def make(request: pytest.FixtureRequest):
    """A function from a policy to an empty store."""
    if request.param == "memory":
        yield MemoryAlerts
        return
    server = request.getfixturevalue("server")
    server.client.flushall()
    stores = []

    def redis_alerts(policy: Policy) -> RedisAlerts:
        stores.append(RedisAlerts(server.url, policy))
        return stores[-1]

    yield redis_alerts
    for store in stores:
        await store.close()


def follow(event, kind, at, count=1):
    return replace(event, kind=kind, at=BEGAN + at, count=count)


async def ids(store, **filters) -> list[str]:
    return [alert.id for alert in (await store.page(AlertQuery(**filters))).alerts]


async def test_what_was_written_is_read_as_it_was(make):
    store, event = make(ROOMY), opened(1)
    written = await store.write([event])
    assert written.publish == written.opened == (event,)
    alert = await store.get(event.id)
    assert alert.opened == event
    assert (alert.state, alert.count, alert.last_at) == ("open", 1, event.at)
    assert (alert.acknowledged, alert.resolved, alert.cleared_at, alert.groups) == (None, None, None, ())


async def test_an_update_counts_and_a_clear_resolves_in_the_meshs_name(make):
    store, event = make(ROOMY), opened(1)
    written = await store.write([event, follow(event, "updated", 500, 7), follow(event, "cleared", 900, 9)])
    assert [one.kind for one in written.publish] == ["opened", "updated", "cleared"]
    assert len(written.updated) == len(written.cleared) == 1
    alert = await store.get(event.id)
    assert (alert.state, alert.count, alert.last_at, alert.cleared_at) == (
        "resolved",
        9,
        BEGAN + 900,
        BEGAN + 900,
    )
    assert (alert.resolved.actor, alert.resolved.at) == (MESH, BEGAN + 900)


async def test_the_stream_read_again_changes_nothing_and_is_published_again(make):
    store, event = make(ROOMY), opened(1)
    events = [event, follow(event, "updated", 500, 7), follow(event, "cleared", 900, 9)]
    await store.write(events)
    before = await store.get(event.id)
    again = await store.write(events)
    assert again.publish == tuple(events)
    assert again.opened == again.updated == again.cleared == ()
    assert await store.get(event.id) == before


async def test_people_acknowledge_and_resolve_each_with_actor_time_and_note(make):
    store, event = make(ROOMY), opened(1)
    await store.write([event])
    seen = await store.act(event.id, "acknowledge", "ann", BEGAN + 5, "looking")
    assert seen.state == "acknowledged"
    assert (seen.acknowledged.actor, seen.acknowledged.at, seen.acknowledged.note) == (
        "ann",
        BEGAN + 5,
        "looking",
    )
    done = await store.act(event.id, "resolve", "bob", BEGAN + 9)
    assert (done.state, done.resolved.actor, done.acknowledged.actor) == ("resolved", "bob", "ann")
    assert await store.get(event.id) == done


async def test_the_same_act_of_the_same_actor_is_done_once(make):
    store, event = make(ROOMY), opened(1)
    await store.write([event])
    first = await store.act(event.id, "acknowledge", "ann", BEGAN + 5)
    assert await store.act(event.id, "acknowledge", "ann", BEGAN + 50, "again") == first
    with pytest.raises(WrongState, match="is acknowledged"):
        await store.act(event.id, "acknowledge", "bob", BEGAN + 60)


async def test_of_two_who_act_at_once_one_is_told_the_state(make):
    store, event = make(ROOMY), opened(1)
    await store.write([event])
    acts = [store.act(event.id, "resolve", actor, BEGAN) for actor in ("ann", "bob", "cleo")]
    done = await asyncio.gather(*acts, return_exceptions=True)
    assert sum(isinstance(one, WrongState) for one in done) == 2


async def test_nothing_reopens_what_is_resolved(make):
    store, event = make(ROOMY), opened(1)
    await store.write([event])
    await store.act(event.id, "resolve", "ann", BEGAN + 5)
    for late in (event, follow(event, "updated", 500, 7), follow(event, "cleared", 900, 9)):
        await store.write([late])
    with pytest.raises(WrongState, match="resolved"):
        await store.act(event.id, "acknowledge", "ann", BEGAN + 5)
    alert = await store.get(event.id)
    assert (alert.state, alert.resolved.actor, alert.cleared_at) == ("resolved", "ann", BEGAN + 900)


async def test_an_alert_that_is_not_there_is_named(make):
    store = make(ROOMY)
    with pytest.raises(NotFound, match="'nope'"):
        await store.get("nope")
    with pytest.raises(NotFound, match="'nope'"):
        await store.act("nope", "resolve", "ann", BEGAN)


async def test_pages_are_newest_first_and_hold_each_alert_once(make):
    store = make(ROOMY)
    events = [opened(n, at=1_000 * (n // 3)) for n in range(23)]  # three of each time
    await store.write(events)
    expected = [one.id for one in sorted(events, key=lambda one: (one.opened_at, one.id), reverse=True)]
    found, cursor = [], None
    for _ in range(6):
        page = await store.page(AlertQuery(limit=5, cursor=cursor))
        found += [alert.id for alert in page.alerts]
        cursor = page.cursor
        if cursor is None:
            break
        # What comes meanwhile is newer: not in later pages
        await store.write([opened(100 + len(found), at=90_000)])
    assert found == expected


async def test_a_page_that_ends_with_the_last_alert_has_no_cursor(make):
    store = make(ROOMY)
    await store.write([opened(n, at=n) for n in range(4)])
    assert (await store.page(AlertQuery(limit=4))).cursor is None
    assert (await store.page(AlertQuery(limit=3))).cursor is not None
    assert (await store.page(AlertQuery(asset="none"))).alerts == ()


async def test_filters_fit_all_at_once(make):
    store = make(ROOMY)
    a = opened(1, "critical", rule="hot", at=1_000)
    b = opened(2, "warning", rule="hot", at=2_000)
    c = opened(3, "critical", rule="dry", asset="pump-1", at=3_000)
    await store.write([a, b, c])
    await store.act(c.id, "acknowledge", "ann", BEGAN)
    assert await ids(store, rule="hot") == [b.id, a.id]
    assert await ids(store, severity="critical") == [c.id, a.id]
    assert await ids(store, severity="critical", asset="pump-1", state="open") == [a.id]
    assert await ids(store, state="acknowledged") == [c.id]
    assert await ids(store, since=BEGAN + 2_000) == [c.id, b.id]
    assert await ids(store, state="resolved") == []
    assert await ids(store, rule="hot", limit=1) == [b.id]


@pytest.mark.parametrize("cursor", ["", "x", "12:34", "0000000000000000:", "000000000000000x:a"])
async def test_a_cursor_that_no_page_gave_is_refused(make, cursor):
    with pytest.raises(InvalidInput, match="cursor"):
        await make(ROOMY).page(AlertQuery(cursor=cursor))


async def test_past_the_budget_low_severities_go_into_one_digest(make):
    store = make(TIGHT)
    events = [
        opened(0),
        opened(1, "info", at=1_000),
        opened(2, "warning", rule="dry", at=2_000),
        opened(3, at=3_000),
    ]
    written = await store.write(events)
    assert written.opened == (events[0],)
    assert written.grouped == tuple(events[1:])
    assert [one.id for one in written.publish] == [events[0].id, *[one.id for one in written.digests]]
    (told,) = written.digests
    assert (told.rule, told.severity, told.count, told.kind) == ("digest", "warning", 3, "opened")
    assert told.values == {"count.dry": 1, "count.hot": 2}
    digest = await store.get(told.id)
    assert [(group.rule, group.count, dict(group.keys)) for group in digest.groups] == [
        ("dry", 1, {"pump-2": 1}),
        ("hot", 2, {"pump-1": 1, "pump-3": 1}),
    ]
    assert digest.opened.summary == (
        "3 alerts past the budget of 1 in 10m: dry: 1 (pump-2); hot: 2 (pump-1, pump-3)"
    )
    assert await ids(store) == [told.id, events[0].id]
    assert await ids(store, severity="warning") == [told.id, events[0].id]
    assert await ids(store, severity="info") == []


async def test_critical_alerts_are_never_grouped_and_use_the_budget(make):
    store = make(TIGHT)
    written = await store.write([opened(n, "critical") for n in range(5)])
    assert len(written.opened) == 5
    assert await store.budget_left(BEGAN) == 0
    assert len((await store.write([opened(9)])).grouped) == 1


async def test_the_budget_is_by_the_alerts_own_time_and_comes_back_with_its_next_window(make):
    store = make(replace(TIGHT, budget=Budget(10 * MINUTE, 2, analysts=2)))
    assert await store.budget_left(BEGAN) == 4
    await store.write([opened(n) for n in range(3)])
    assert await store.budget_left(BEGAN) == 1
    assert await store.budget_left(BEGAN + 10 * MINUTE) == 4
    later = await store.write([opened(n, at=10 * MINUTE) for n in range(10, 14)])
    assert len(later.opened) == 4
    assert len((await store.write([opened(5), opened(6)])).grouped) == 1


async def test_a_digest_is_the_same_when_the_stream_is_read_again(make):
    store = make(TIGHT)
    events = [opened(n, at=n) for n in range(6)]
    first = await store.write(events)
    digest = await store.get(first.digests[0].id)
    for part in (events, events[3:], events[:2]):
        again = await store.write(part)
        assert again.opened == again.grouped == again.digests == ()
        assert {one.id for one in again.publish} <= {digest.id, events[0].id}
    assert await store.get(digest.id) == digest
    assert await store.budget_left(BEGAN) == 0


async def test_a_digest_is_told_as_opened_where_the_write_that_opened_it_was_not_heard_of(make):
    store = make(TIGHT)
    events = [opened(n, at=n) for n in range(6)]
    await store.write(events[:3])  # as a write whose second half fails: it raises, and all of it comes again
    written = await store.write(events)
    assert written.digests == written.opened == ()
    assert [(one.kind, one.rule, one.count) for one in written.publish] == [
        ("opened", "hot", 1),
        ("opened", "digest", 5),
        ("updated", "digest", 5),
    ]
    assert [one.kind for one in (await store.write(events[3:])).publish] == ["updated"]


async def test_readers_of_the_topic_get_a_digest_once_a_write_with_its_state_so_far(make):
    store = make(TIGHT)
    await store.write([opened(0)])
    first = await store.write([opened(1), opened(2)])
    second = await store.write([opened(3)])
    assert [(one.kind, one.count) for one in (*first.publish, *second.publish)] == [
        ("opened", 2),
        ("updated", 3),
    ]
    assert first.publish[0].id == second.publish[0].id


async def test_what_clears_inside_a_digest_is_counted_once_and_told_nobody(make):
    store, hidden = make(TIGHT), opened(1)
    written = await store.write([opened(0), hidden])
    for _ in range(2):
        assert (
            await store.write([follow(hidden, "updated", 5, 3), follow(hidden, "cleared", 9, 4)])
        ).publish == ()
    digest = await store.get(written.digests[0].id)
    assert (digest.cleared, digest.count, digest.state) == (1, 1, "open")


async def test_a_digest_that_people_resolved_hides_nothing_that_comes_later(make):
    store = make(TIGHT)
    events = [opened(n) for n in range(4)]
    first = (await store.write(events[:2])).digests[0]
    await store.act(first.id, "resolve", "ann", BEGAN + 1)
    second = (await store.write(events[2:])).digests[0]
    assert second.id != first.id
    assert (await store.get(second.id)).count == 2
    await store.act(second.id, "resolve", "ann", BEGAN + 1)
    third = (await store.write([opened(7)])).digests[0]
    assert len({first.id, second.id, third.id}) == 3
    await store.write(events)
    assert [(await store.get(one.id)).count for one in (first, second, third)] == [1, 2, 1]


async def test_a_digest_names_so_many_keys_and_counts_all(make):
    store = make(TIGHT)
    written = await store.write([opened(n) for n in range(81)])
    (group,) = (await store.get(written.digests[0].id)).groups
    assert (group.count, len(group.keys)) == (80, 50)


async def test_the_most_that_are_kept_are_the_newest_and_resolved_ones_go_first(make):
    store = make(replace(ROOMY, retention=Retention(alerts=5)))
    events = [opened(n, at=1_000 * n) for n in range(5)]
    await store.write(events)
    await store.act(events[2].id, "resolve", "ann", BEGAN)
    await store.write([opened(5, at=5_000), opened(6, at=6_000)])
    assert await ids(store) == [opened(n, at=1_000 * n).id for n in (6, 5, 4, 3, 1)]
    assert await ids(store, rule="hot", asset="pump-0") == []
    again = await store.write([events[2]])
    assert again.opened == ()
    assert events[2].id not in await ids(store), "what was resolved and gone does not come back"


async def test_what_is_older_than_the_newest_by_more_than_it_is_kept_goes(make):
    store = make(replace(ROOMY, retention=Retention(keep_ms=MINUTE)))
    await store.write([opened(1), opened(2, at=30_000)])
    await store.write([opened(3, at=MINUTE + 1)])
    assert await ids(store) == [opened(3, at=MINUTE + 1).id, opened(2, at=30_000).id]


async def followers(store: MemoryAlerts | RedisAlerts) -> int:
    """How many hear of changes now."""
    if isinstance(store, MemoryAlerts):
        return len(store._followers)
    ((_, count),) = await store._redis.pubsub_numsub(f"{PREFIX}:changes")
    return int(count)


async def test_changes_are_told_as_they_happen(make):
    store, event = make(ROOMY), opened(1)
    changes = store.changes()
    waiting = asyncio.ensure_future(anext(changes))
    async with asyncio.timeout(20):
        while not await followers(store):  # noqa: ASYNC110 - Redis tells nobody who follows
            await asyncio.sleep(0.01)
    await store.write([event, event])
    await store.act(event.id, "acknowledge", "ann", BEGAN)
    await store.write([follow(event, "cleared", 9)])
    told = [await asyncio.wait_for(waiting, 20)] + [
        await asyncio.wait_for(anext(changes), 20) for _ in range(2)
    ]
    assert [(one.id, one.kind, one.state) for one in told] == [
        (event.id, "opened", "open"),
        (event.id, "acknowledge", "acknowledged"),
        (event.id, "cleared", "resolved"),
    ]
    await changes.aclose()


async def test_odd_names_survive(make):
    store = make(TIGHT)
    odd = [opened(n, asset=f"pümp:{n} \"'\n%ID%") for n in range(3)]
    written = await store.write(odd)
    assert (await store.get(odd[0].id)).opened == odd[0]
    (group,) = (await store.get(written.digests[0].id)).groups
    assert dict(group.keys) == {odd[1].key: 1, odd[2].key: 1}
    assert await ids(store, asset=odd[0].asset) == [odd[0].id]


@pytest.mark.redis
async def test_two_writers_share_one_budget(server):
    server.client.flushall()
    stores = [RedisAlerts(server.url, TIGHT) for _ in range(2)]
    batches = [[opened(10 * n + store) for n in range(20)] for store in range(2)]
    written = await asyncio.gather(
        *(store.write(batch) for store, batch in zip(stores, batches, strict=True))
    )
    assert sum(len(one.opened) for one in written) == 1
    assert sum(len(one.digests) for one in written) == 1
    digest = next(one.digests[0] for one in written if one.digests)
    assert (await stores[0].get(digest.id)).count == 39
    for store in stores:
        await store.close()


@pytest.mark.redis
async def test_a_redis_that_is_away_is_said_and_found_again(server):
    server.client.flushall()
    store = RedisAlerts(server.url, ROOMY)
    await store.write([opened(1)])
    server.kill()
    for call in (store.write([opened(2)]), store.page(AlertQuery()), store.get("a"), anext(store.changes())):
        with pytest.raises(StoreAway, match="the alert store does not answer"):
            await asyncio.wait_for(call, 20)
    server.start()
    assert len((await store.write([opened(2)])).opened) == 1
    await store.close()


@pytest.mark.redis
@pytest.mark.parametrize("seed", range(4))
async def test_the_one_in_memory_says_what_redis_says(server, seed):
    """Random events, repeats, clears and acts: every answer and every page is the same."""
    server.client.flushall()
    draw = random.Random(seed)
    policy = Policy(budget=Budget(10_000, 2), retention=Retention(40, MINUTE))
    stores = (MemoryAlerts(policy), RedisAlerts(server.url, policy))
    events = [
        opened(
            n,
            draw.choice(["info", "warning", "critical"]),
            draw.choice(["hot", "dry"]),
            at=draw.randrange(90_000),
        )
        for n in range(120)
    ]
    known: list[str] = ["nope"]
    for _ in range(150):
        some = [draw.choice(events) for _ in range(draw.randrange(1, 8))]
        some += [follow(draw.choice(events), draw.choice(["updated", "cleared"]), draw.randrange(200_000), 5)]
        written = [await store.write(some) for store in stores]
        assert written[0] == written[1]
        known += [one.id for one in written[0].publish]
        alert, action = draw.choice(known), draw.choice(["acknowledge", "resolve"])
        acts = [store.act(alert, action, "ann", BEGAN, "é") for store in stores]
        assert len({repr(one) for one in await asyncio.gather(*acts, return_exceptions=True)}) == 1
        query = AlertQuery(
            draw.choice([None, "open", "resolved"]),
            draw.choice([None, "warning"]),
            None,
            draw.choice([None, "hot"]),
            limit=7,
        )
        pages = [await store.page(query) for store in stores]
        for one, other in zip(pages[0].alerts, pages[1].alerts, strict=True):
            assert asdict(one) == asdict(other)
        assert await stores[0].budget_left(some[0].at) == await stores[1].budget_left(some[0].at)
    await stores[1].close()
