"""A Redis that is there and says nothing, as one whose machine is gone or whose process stands still."""

import asyncio
from collections.abc import AsyncIterator

import hiredis
import pytest

from ingest.publish import RedisSink
from ingest.redis_link import RedisAddress, RedisError, RedisLink
from ingest.resp import Framer, command

SILENCE_S = 0.3


class Quiet:
    """Answers PING always, and anything else only where `answers`; `pause_s` lies between two answers."""

    def __init__(self) -> None:
        self.answers, self.pause_s = False, 0.0
        self.connections = self.taken = 0
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self._server.close()
        for writer in self._open.values():
            writer.transport.abort()
        if self._open:
            await asyncio.wait(list(self._open), timeout=20)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        me = asyncio.current_task()
        assert me is not None
        self._open[me] = writer
        commands = hiredis.Reader()
        try:
            while some := await reader.read(65_536):
                commands.feed(some)
                while words := commands.gets():
                    await self._answer(words, writer)
        except ConnectionError:
            pass
        finally:
            del self._open[me]
            writer.close()

    async def _answer(self, words: list[bytes], writer: asyncio.StreamWriter) -> None:
        if words[0] == b"PING":
            writer.write(b"+PONG\r\n")
        elif self.answers:
            await asyncio.sleep(self.pause_s)
            self.taken += 1
            writer.write(b":1\r\n")


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Quiet]:
    monkeypatch.setattr("ingest.redis_link.ANSWER_TIMEOUT_S", SILENCE_S)
    made = Quiet()
    await made.start()
    yield made
    await made.stop()


async def test_a_redis_that_says_nothing_is_left_and_the_batch_sent_to_the_one_that_is_there(
    server: Quiet, caplog: pytest.LogCaptureFixture
) -> None:
    told = asyncio.Event()
    address = RedisAddress("127.0.0.1", server.port)
    sink = RedisSink(address, Framer("out", 0), 0.01, 0.02, lambda _: told.set())
    publishing = asyncio.create_task(sink.publish("m", [b"1", b"2"]))
    await asyncio.wait_for(told.wait(), 20)
    assert not publishing.done()
    assert f"no answer for {SILENCE_S:g} s" in caplog.text
    server.answers = True
    await asyncio.wait_for(publishing, 20)
    assert server.connections > 1
    assert server.taken == 4
    await sink.close()


async def test_all_that_is_in_flight_fails_with_what_happened(server: Quiet) -> None:
    link = await RedisLink.open(RedisAddress("127.0.0.1", server.port))
    sends = [asyncio.create_task(link.send(command(b"SET", b"a", b"1"), 1)) for _ in range(3)]
    done, left = await asyncio.wait(sends, timeout=20)
    assert not left
    assert {str(one.exception()) for one in done} == {f"no answer for {SILENCE_S:g} s"}
    assert link.lost.done()
    with pytest.raises(RedisError, match="closed"):
        await link.send(command(b"PING"), 1)


async def test_one_that_is_slow_and_goes_on_is_waited_for(server: Quiet) -> None:
    server.answers, server.pause_s = True, SILENCE_S / 6
    link = await RedisLink.open(RedisAddress("127.0.0.1", server.port))
    await asyncio.wait_for(link.send(command(b"SET", b"a", b"1") * 12, 12), 20)
    assert server.taken == 12
    link.close()


async def test_a_connection_with_nothing_to_answer_is_kept(server: Quiet) -> None:
    link = await RedisLink.open(RedisAddress("127.0.0.1", server.port))
    await asyncio.sleep(2 * SILENCE_S)
    await link.send(command(b"PING"), 1)
    await asyncio.sleep(2 * SILENCE_S)
    assert not link.lost.done()
    link.close()
