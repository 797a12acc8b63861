"""What every log of predictions and every store of heartbeats promises, in memory and on a real Redis."""

import asyncio
import time

import pytest

from mesh.errors import StoreAway
from mesh.stores.predictions import BEGINNING, Beat, MemoryBeats, MemoryLog, ModelWindow, RedisBeats, RedisLog
from mesh.stores.predictions.entry import before_time, place

CHANNEL = "ml:stream:inference"


class Stores:
    """A log, heartbeats, and how to append to the log and cut it."""

    def __init__(self, server):
        self._client = None if server is None else server.client
        if server is None:
            self.log, self.beats = MemoryLog(size=50, wait_s=0.2), MemoryBeats()
        else:
            server.client.flushall()
            self.log, self.beats = RedisLog(server.url, CHANNEL), RedisBeats(server.url, CHANNEL)

    def add(self, number):
        body = b'{"inference_id":"t-0-%d","model_id":"m"}' % number
        if self._client is None:
            return self.log.add(body)
        return self._client.xadd(f"{CHANNEL}:log", {"data": body}, maxlen=50, approximate=False).decode()

    async def close(self):
        if self._client is not None:
            await self.log.close()
            await self.beats.close()


@pytest.fixture(params=["memory", "redis"])
async def stores(request):
    made = Stores(request.getfixturevalue("server") if request.param == "redis" else None)
    yield made
    await made.close()


async def test_an_empty_log_has_a_beginning_and_nothing_else(stores):
    assert await stores.log.newest() == BEGINNING
    assert (await stores.log.after(BEGINNING, 10)).entries == ()
    assert list(await stores.log.before(None, BEGINNING, 10)) == []
    assert not (await stores.log.read(BEGINNING)).entries


async def test_it_is_read_forwards_backwards_and_between(stores):
    cursors = [stores.add(number) for number in range(10)]
    assert sorted(cursors, key=place) == cursors
    assert await stores.log.newest() == cursors[-1]
    forwards = await stores.log.after(cursors[2], 3)
    assert [entry.cursor for entry in forwards.entries] == cursors[3:6]
    assert not forwards.trimmed
    assert [entry.cursor for entry in (await stores.log.after(cursors[2], 9, cursors[4])).entries] == cursors[
        3:5
    ]
    backwards = await stores.log.before(cursors[5], cursors[1], 3)
    assert [entry.cursor for entry in backwards] == cursors[4:1:-1]
    assert [entry.cursor for entry in await stores.log.before(None, BEGINNING, 2)] == cursors[:-3:-1]
    assert list(await stores.log.before(BEGINNING, BEGINNING, 2)) == []
    first = forwards.entries[0]
    assert (first.model_id(), first.prediction().inference_id) == ("m", "t-0-3")


async def test_a_time_is_a_place_before_what_was_written_then(stores):
    cursor = stores.add(1)
    written = place(cursor)[0]
    assert [one.cursor for one in await stores.log.before(None, before_time(written), 9)] == [cursor]
    assert list(await stores.log.before(None, before_time(written + 1), 9)) == []


async def test_what_was_trimmed_is_told(stores):
    cursors = [stores.add(number) for number in range(60)]
    found = await stores.log.after(cursors[3], 5)
    assert found.trimmed
    assert [entry.cursor for entry in found.entries] == cursors[10:15]
    assert not (await stores.log.after(BEGINNING, 5)).trimmed  # whoever asks for all that is kept gets it


async def test_the_tail_waits_for_what_comes(stores):
    if isinstance(stores.log, MemoryLog):
        stores.log = MemoryLog(size=50, wait_s=20)
    cursor = stores.add(1)
    waiting = asyncio.create_task(stores.log.read(cursor))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    following = stores.add(2)
    assert [entry.cursor for entry in (await waiting).entries] == [following]


async def test_the_last_word_of_each_replica_is_heard_with_its_age(stores):
    assert list(await stores.beats.heard()) == []
    await stores.beats.beat(Beat("a", 5, 2.0, {"m": ModelWindow(3, 1, 0.3)}, ("m",)))
    await stores.beats.beat(Beat("a", 7, 4.0, {"m": ModelWindow(6, 1, 0.6)}, ("m", "n")))
    await stores.beats.beat(Beat("b", 1, 4.0, {}, ("m",), logged=False))
    heard = {one.beat.replica: one for one in await stores.beats.heard()}
    assert heard.keys() == {"a", "b"}
    assert (heard["a"].beat.lag, heard["a"].beat.models["m"]) == (7, ModelWindow(6, 1, 0.6))
    assert not heard["b"].beat.logged
    assert heard["a"].fresh
    assert abs(heard["a"].at - time.time()) < 5


async def test_replicas_that_were_silent_for_an_hour_are_forgotten_in_redis(server):
    stores = Stores(server)
    old = int((time.time() - 3_700) * 1000)
    server.client.hset(
        f"{CHANNEL}:heartbeats", "dead", f'{old} {{"replica":"dead","lag":0,"window_s":1,"models":{{}}}}'
    )
    server.client.hset(f"{CHANNEL}:heartbeats", "odd", "what another version wrote")
    assert [one.beat.replica for one in await stores.beats.heard()] == ["dead"]
    await stores.beats.beat(Beat("a", 0, 2.0, {}))
    assert [one.beat.replica for one in await stores.beats.heard()] == ["a"]
    assert server.client.pttl(f"{CHANNEL}:heartbeats") > 3_600_000
    await stores.close()


async def test_a_redis_that_is_away_is_said_to_be_within_seconds():
    log, beats = RedisLog("redis://127.0.0.1:1/0", CHANNEL), RedisBeats("redis://127.0.0.1:1/0", CHANNEL)
    began = time.monotonic()
    for call in (log.newest(), log.read(BEGINNING), beats.heard(), beats.beat(Beat("a", 0, 1.0, {}))):
        with pytest.raises(StoreAway, match="REDIS_URL"):
            await call
    assert time.monotonic() - began < 5
