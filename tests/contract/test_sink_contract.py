"""What every sink promises: answers are taken in order, acknowledged, and waited for while nobody takes them."""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from ingest.publish import RedisSink
from ingest.redis_link import RedisAddress, RedisError, RedisLink
from ingest.resp import Framer, command
from ingest.sink import MemorySink, Sink
from tests.fakes.redis_server import RedisServer
from tests.fakes.waiting import eventually

PASSWORD = "a secret: @/"
ANSWERS = [json.dumps({"n": i, "text": "é\r\n$5"}).encode() for i in range(500)]


class Redis(RedisServer):
    """A Redis with a password that listens on a port and on a socket file."""

    def __init__(self, folder: Path) -> None:
        # A socket's path has at most 107 bytes, which tests' own folders may exceed.
        self._short = tempfile.TemporaryDirectory(prefix="mesh-")
        self.socket = Path(self._short.name) / "redis.sock"
        listening = ("--unixsocket", str(self.socket), "--unixsocketperm", "600")
        super().__init__(folder, *listening, password=PASSWORD, db=3)

    def close(self) -> None:
        self.kill()
        self._short.cleanup()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    made = Redis(tmp_path_factory.mktemp("redis"))
    yield made
    made.close()


def url(server: Redis, kind: str) -> str:
    secret = "a%20secret%3A%20%40%2F"
    return (
        f"unix://:{secret}@{server.socket}?db=3"
        if kind == "unix"
        else f"redis://:{secret}@127.0.0.1:{server.port}/3"
    )


Read = Callable[[int], list[tuple[str, bytes]]]
"""So many answers, once they have come, and what comes just after them."""


@pytest.fixture(params=["memory", "redis", "unix"])
async def sink(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Sink, Read]]:
    if request.param == "memory":
        memory = MemorySink()
        yield memory, lambda _count: list(memory.published)
        return
    server: Redis = request.getfixturevalue("server")
    server.client.flushall()
    listener = server.client.pubsub(ignore_subscribe_messages=True)
    listener.psubscribe("out:*")
    listener.get_message(timeout=20)
    made = RedisSink(RedisAddress.from_url(url(server, request.param)), Framer("out", 10_000), 0.01, 0.1)

    def read(count: int) -> list[tuple[str, bytes]]:
        found: list[tuple[str, bytes]] = []
        while message := listener.get_message(timeout=20 if len(found) < count else 0.2):
            found.append((message["channel"].decode().removeprefix("out:"), message["data"]))
        return found

    yield made, read
    await made.close()
    listener.close()


async def test_answers_are_taken_in_order_under_their_model(sink: tuple[Sink, Read]) -> None:
    taker, read = sink
    await taker.publish("m", ANSWERS)
    await taker.publish("other", ANSWERS[:1])
    assert read(len(ANSWERS) + 1) == [*(("m", answer) for answer in ANSWERS), ("other", ANSWERS[0])]


async def test_no_answers_are_no_work(sink: tuple[Sink, Read]) -> None:
    taker, read = sink
    await taker.publish("m", [])
    assert read(0) == []


async def test_batches_at_the_same_time_all_arrive(sink: tuple[Sink, Read]) -> None:
    taker, read = sink
    await asyncio.gather(*(taker.publish(f"m{i}", ANSWERS[:50]) for i in range(8)))
    assert sorted(read(8 * 50)) == sorted((f"m{i}", answer) for i in range(8) for answer in ANSWERS[:50])


async def test_redis_gets_channel_model_channel_and_log(server: Redis) -> None:
    server.client.flushall()
    listener = server.client.pubsub(ignore_subscribe_messages=True)
    listener.subscribe("out")
    listener.get_message(timeout=20)
    sink = RedisSink(RedisAddress.from_url(url(server, "tcp")), Framer("out", 10_000), 0.01, 0.1)
    await sink.publish("m", ANSWERS[:3])
    assert [fields for _, fields in server.client.xrange("out:log")] == [
        {b"data": answer} for answer in ANSWERS[:3]
    ]
    assert [listener.get_message(timeout=20)["data"] for _ in range(3)] == ANSWERS[:3]
    listener.close()
    await sink.close()


async def test_the_log_is_trimmed(server: Redis) -> None:
    server.client.flushall()
    sink = RedisSink(RedisAddress.from_url(url(server, "tcp")), Framer("out", 200), 0.01, 0.1)
    for _ in range(4):
        await sink.publish("m", ANSWERS)
    assert 200 <= server.client.xlen("out:log") <= 400
    await sink.close()


async def test_an_error_in_a_reply_is_no_acknowledgement(server: Redis) -> None:
    server.client.flushall()
    server.client.set("out:log", "not a stream")
    reasons: list[str] = []
    sink = RedisSink(
        RedisAddress.from_url(url(server, "tcp")), Framer("out", 100), 0.01, 0.05, reasons.append
    )
    publishing = asyncio.create_task(sink.publish("m", ANSWERS[:2]))
    await eventually(lambda: "redis" in reasons)
    assert not publishing.done()
    server.client.delete("out:log")
    await asyncio.wait_for(publishing, 20)
    assert server.client.xlen("out:log") == 2
    await sink.close()


async def test_a_killed_redis_is_waited_for_and_gets_the_batch_again(server: Redis) -> None:
    sink = RedisSink(RedisAddress.from_url(url(server, "tcp")), Framer("out", 10_000), 0.01, 0.1)
    await sink.publish("m", ANSWERS[:1])
    server.kill()
    publishing = asyncio.create_task(sink.publish("m", ANSWERS))
    await eventually(lambda: not sink.connected)
    await asyncio.sleep(0.2)
    assert not publishing.done()
    assert not sink.connected
    server.start()
    await asyncio.wait_for(publishing, 20)
    assert server.client.xlen("out:log") == len(ANSWERS)
    await sink.close()


async def test_a_wrong_password_is_said_and_waited_out(server: Redis) -> None:
    with pytest.raises(RedisError, match="WRONGPASS"):
        await RedisLink.open(RedisAddress(port=server.port, password="wrong"))


async def test_what_is_in_flight_fails_when_the_connection_breaks(server: Redis) -> None:
    link = await RedisLink.open(RedisAddress.from_url(url(server, "tcp")))
    sending = asyncio.create_task(link.send(command(b"BLPOP", b"nothing", b"0"), 1))
    await asyncio.sleep(0.05)
    link.close()
    with pytest.raises(RedisError, match="lost"):
        await asyncio.wait_for(sending, 20)
    with pytest.raises(RedisError, match="closed"):
        await link.send(command(b"PING"), 1)
