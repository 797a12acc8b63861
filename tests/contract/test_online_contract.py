"""What every online store promises: the newest row by event time, for as long as the view says."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import numpy as np
import pytest

from mesh.stores.errors import OnlineAway
from mesh.stores.online import MemoryOnlineStore, OnlineStore
from mesh.stores.redis_online import PREFIX, RedisOnlineStore
from tests.fakes.feature_rows import T0, a_batch, a_view
from tests.fakes.redis_server import RedisServer

VIEW = a_view()

pytestmark = pytest.mark.redis


Pass = Callable[[float], Awaitable[None]]


@pytest.fixture(params=["memory", "redis"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[tuple[OnlineStore, Pass]]:
    if request.param == "memory":
        now = [0.0]

        async def pass_by(seconds: float) -> None:
            now[0] += seconds

        yield MemoryOnlineStore(clock=lambda: now[0]), pass_by
        return
    server: RedisServer = request.getfixturevalue("server")
    server.client.flushall()
    made = RedisOnlineStore(server.url)
    yield made, asyncio.sleep
    await made.close()


async def times(store: OnlineStore, *entities: str) -> list[int | None]:
    found = await store.read(VIEW, entities)
    return [None if row is None else row.event_time - T0 for row in found]


async def test_a_row_comes_back_as_it_was(store):
    store, _ = store
    batch = a_batch([("pump-7", 5, 1e-300), ("é/ :", 6)])
    assert await store.write(VIEW, batch) == 2
    rows = await store.read(VIEW, ["pump-7", "nobody", "é/ :"])
    assert rows[1] is None
    assert (rows[0].entity, rows[0].view, rows[0].transform) == ("pump-7", "telemetry", VIEW.transform)
    assert (rows[0].event_time, rows[0].created_time) == (T0 + 5, T0 + 55)
    assert rows[0].values.tobytes() == batch.values[0].tobytes()
    assert rows[2].entity == "é/ :"


async def test_only_newer_rows_are_taken(store):
    store, _ = store
    assert await store.write(VIEW, a_batch([("a", 10), ("b", 10)])) == 2
    assert await store.write(VIEW, a_batch([("a", 9), ("b", 11)])) == 1
    assert await times(store, "a", "b") == [10, 11]


async def test_of_one_event_time_the_first_stays(store):
    store, _ = store
    await store.write(VIEW, a_batch([("a", 10, 1.0)]))
    assert await store.write(VIEW, a_batch([("a", 10, 2.0)])) == 0
    assert (await store.read(VIEW, ["a"]))[0].values[0] == 1.0


async def test_of_one_batch_the_newest_row_is_taken_in_whatever_order(store):
    store, _ = store
    assert await store.write(VIEW, a_batch([("a", 3), ("a", 7, 1.0), ("a", 5), ("a", 7, 2.0)])) == 1
    (row,) = await store.read(VIEW, ["a"])
    assert (row.event_time - T0, row.values[0]) == (7, 1.0)


async def test_views_do_not_share_rows(store):
    store, _ = store
    await store.write(a_view(name="other"), a_batch([("a", 10)]))
    assert await times(store, "a") == [None]


async def test_a_row_goes_after_the_ttl_and_an_older_one_may_come_then(store):
    store, pass_by = store
    view = a_view(ttl_ms=150)
    await store.write(view, a_batch([("a", 10)]))
    await pass_by(0.2)
    assert await times(store, "a") == [None]
    assert await store.write(view, a_batch([("a", 9)])) == 1


async def test_nothing_is_no_work(store):
    store, _ = store
    assert await store.write(VIEW, a_batch([])) == 0
    assert await store.read(VIEW, []) == []


async def test_many_writers_at_once_leave_the_newest(store):
    store, _ = store
    order = np.random.default_rng(3).permutation(200)
    await asyncio.gather(*(store.write(VIEW, a_batch([("a", int(n)), ("b", int(n))])) for n in order))
    assert await times(store, "a", "b") == [199, 199]


async def test_memory_is_bounded():
    small = MemoryOnlineStore(limit=3)
    await small.write(VIEW, a_batch([(f"e{n}", n) for n in range(5)]))
    assert await times(small, "e0", "e1", "e2", "e4") == [None, None, 2, 4]


async def test_a_large_batch_goes_in_slices(server: RedisServer) -> None:
    server.client.flushall()
    store = RedisOnlineStore(server.url)
    assert await store.write(VIEW, a_batch([(f"e{n}", n) for n in range(4_500)])) == 4_500
    assert server.client.dbsize() == 4_500
    assert 0 < server.client.pttl(f"{PREFIX}:telemetry:e0") <= VIEW.ttl_ms
    await store.close()


async def test_nothing_is_connected_before_the_first_use():
    store = RedisOnlineStore("redis://127.0.0.1:1/0")
    async with asyncio.timeout(1.0):
        with pytest.raises(OnlineAway, match=r"Connect.*REDIS_URL sets the address"):
            await store.read(VIEW, ["a"])
    await store.close()


async def test_a_redis_that_comes_back_empty_is_written_again(server: RedisServer) -> None:
    """Its scripts are gone with it."""
    store = RedisOnlineStore(server.url, timeout_s=10.0)
    await store.write(VIEW, a_batch([("a", 1)]))
    server.kill()
    with pytest.raises(OnlineAway):
        await store.write(VIEW, a_batch([("a", 2)]))
    server.start()
    assert await store.write(VIEW, a_batch([("a", 2), ("b", 2)])) == 2
    await store.close()


async def test_what_is_no_row_is_said(server: RedisServer) -> None:
    server.client.set(f"{PREFIX}:telemetry:odd", b"text")
    store = RedisOnlineStore(server.url)
    with pytest.raises(OnlineAway, match="4 bytes are no row of features"):
        await store.read(VIEW, ["odd"])
    await store.close()


async def test_a_redis_that_hangs_is_given_up(server: RedisServer) -> None:
    store = RedisOnlineStore(server.url, timeout_s=0.3)
    await store.read(VIEW, ["a"])
    server.stand_still()
    try:
        async with asyncio.timeout(1.2):
            with pytest.raises(OnlineAway):
                await store.read(VIEW, ["a"])
        await store.close()
    finally:
        server.go_on()
