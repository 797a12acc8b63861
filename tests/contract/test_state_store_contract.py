"""What every store of states promises: whoever knows more of the stream is right, and a store that is away says so."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from ingest.telemetry.chain import AssetState
from ingest.telemetry.state_store import TTL_S, Kept, MemoryStates, RedisStates, StateStore, StoreAway
from tests.fakes.redis_server import RedisServer

PREFIX = "hyperstream:state:chain:raw:d1g"
MANY = {f"pump-{n}": bytes([n % 256]) * n for n in range(130)}
"""More assets than one piece of a write takes; the first has no bytes."""


@pytest.fixture
async def client(server: RedisServer) -> AsyncIterator[Redis]:
    server.client.flushall()
    made = Redis.from_url(server.url, socket_timeout=20, socket_connect_timeout=20)
    yield made
    await made.aclose()


@pytest.fixture(params=["memory", "redis"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[StateStore]:
    if request.param == "memory":
        yield MemoryStates()
        return
    server: RedisServer = request.getfixturevalue("server")
    server.client.flushall()
    client = Redis.from_url(server.url, socket_timeout=20, socket_connect_timeout=20)
    yield RedisStates(client, "chain:raw", "d1g")
    await client.aclose()


async def test_nothing_is_kept_of_a_partition_that_was_never_written(store: StateStore) -> None:
    assert await store.read(0) == Kept(None, {})
    await store.remove(0, 100, ["pump-1"])
    await store.clear(0)
    assert await store.read(0) == Kept(None, {})


async def test_what_was_written_is_read_with_its_offset(store: StateStore) -> None:
    odd = {"site/pump 7": b"\r\n$5\x00", "pümp": b"\xff" * 8, "0": b""}
    await store.write(0, 12, odd)
    assert await store.read(0) == Kept(12, {name: AssetState(12, state) for name, state in odd.items()})


async def test_more_assets_than_a_piece_holds_are_all_kept(store: StateStore) -> None:
    await store.write(3, 1 << 40, MANY)
    kept = await store.read(3)
    assert kept.resume == 1 << 40
    assert {name: asset.state for name, asset in kept.assets.items()} == MANY


async def test_partitions_are_apart(store: StateStore) -> None:
    await store.write(0, 1, {"pump": b"zero"})
    await store.write(1, 2, {"pump": b"one"})
    await store.clear(0)
    assert await store.read(0) == Kept(None, {})
    assert await store.read(1) == Kept(2, {"pump": AssetState(2, b"one")})


async def test_assets_that_did_not_change_stay_as_they_are(store: StateStore) -> None:
    await store.write(0, 10, {"a": b"a10", "b": b"b10"})
    await store.write(0, 20, {"b": b"b20"})
    await store.write(0, 30, {})
    assert await store.read(0) == Kept(30, {"a": AssetState(10, b"a10"), "b": AssetState(20, b"b20")})


async def test_an_older_write_changes_nothing_that_is_newer(store: StateStore) -> None:
    await store.write(0, 20, {"a": b"a20", "b": b"b20"})
    await store.write(0, 19, {"a": b"a19", "b": b"b19", "c": b"c19"})
    newer = {"a": AssetState(20, b"a20"), "b": AssetState(20, b"b20"), "c": AssetState(19, b"c19")}
    assert await store.read(0) == Kept(20, newer)


async def test_a_write_may_be_repeated(store: StateStore) -> None:
    for _ in range(2):
        await store.write(0, 20, {"a": b"a20"})
    assert await store.read(0) == Kept(20, {"a": AssetState(20, b"a20")})


async def test_assets_of_which_more_is_known_are_not_removed(store: StateStore) -> None:
    await store.write(0, 10, {"a": b"a", "b": b"b"})
    await store.write(0, 20, {"b": b"b20"})
    await store.remove(0, 10, ["a", "b", "never"])
    assert await store.read(0) == Kept(20, {"b": AssetState(20, b"b20")})
    await store.remove(0, 20, ["b"])
    assert await store.read(0) == Kept(20, {})


async def test_many_assets_are_removed(store: StateStore) -> None:
    await store.write(0, 5, MANY)
    await store.remove(0, 5, list(MANY)[:-1])
    assert list((await store.read(0)).assets) == ["pump-129"]


async def test_a_partition_may_be_written_after_it_was_cleared(store: StateStore) -> None:
    await store.write(0, 1_000, {"old": b"stream"})
    await store.clear(0)
    await store.write(0, 3, {"new": b"stream"})
    assert await store.read(0) == Kept(3, {"new": AssetState(3, b"stream")})


async def test_redis_gives_up_what_nobody_writes(server: RedisServer, client: Redis) -> None:
    await RedisStates(client, "chain:raw", "d1g").write(0, 1, {"a": b"a"})
    assert TTL_S - 60 < server.client.ttl(f"{PREFIX}:0") <= TTL_S


async def test_states_of_another_layout_or_stream_are_not_found(client: Redis) -> None:
    await RedisStates(client, "chain:raw", "d1g").write(0, 1, {"a": b"a"})
    assert await RedisStates(client, "chain:raw", "other").read(0) == Kept()
    assert await RedisStates(client, "chain:other", "d1g").read(0) == Kept()


async def test_a_writer_that_dies_between_pieces_leaves_assets_that_know_more_than_the_offset(
    server: RedisServer, client: Redis
) -> None:
    store = RedisStates(client, "chain:raw", "d1g")
    await store.write(0, 10, dict.fromkeys(MANY, b"10"))
    server.client.config_set("maxmemory", "1")  # no write is taken any more
    try:
        with pytest.raises(StoreAway, match="OutOfMemory"):
            await store.write(0, 20, dict.fromkeys(MANY, b"20"))
    finally:
        server.client.config_set("maxmemory", "0")
    head = (20).to_bytes(8, "big")
    server.client.hset(f"{PREFIX}:0", "pump-7", head + b"20")
    kept = await store.read(0)
    assert kept.resume == 10
    assert {asset.upto for asset in kept.assets.values()} == {10, 20}
    await store.write(0, 20, dict.fromkeys(MANY, b"20"))
    assert {asset.state for asset in (await store.read(0)).assets.values()} == {b"20"}


async def test_a_store_that_is_away_says_so_and_comes_back(server: RedisServer, client: Redis) -> None:
    store = RedisStates(client, "chain:raw", "d1g")
    await store.write(0, 1, {"a": b"a"})
    server.kill()
    try:
        for call in (
            lambda: store.read(0),
            lambda: store.write(0, 2, {"a": b"a"}),
            lambda: store.remove(0, 2, ["a"]),
            lambda: store.clear(0),
        ):
            with pytest.raises(StoreAway, match="ConnectionError"):
                await call()
    finally:
        server.start()
    await store.write(0, 2, {"a": b"again"})
    assert await store.read(0) == Kept(2, {"a": AssetState(2, b"again")})


async def test_what_is_no_state_of_ours_is_no_answer(server: RedisServer, client: Redis) -> None:
    server.client.set(f"{PREFIX}:0", "not a hash")
    with pytest.raises(StoreAway, match="WRONGTYPE"):
        await RedisStates(client, "chain:raw", "d1g").read(0)
