"""Peers that know the protocol badly, or not at all: refused by name, and nobody else notices."""

import asyncio
import contextlib
import struct

import numpy as np
import pytest

from mesh.engine.direct.limits import ListenerLimits
from mesh.engine.direct.link import Link, LinkLost
from mesh.engine.direct.listener import Address
from mesh.wire import Failure, FrameReader, Hello, Ping, Request, Welcome, decode, pack
from mesh.wire.frames import BAD_MODEL, BAD_PROTOCOL, BAD_SECRET, CONNECTION, OVERLOADED, PROTOCOL

HELLO = pack(Hello(PROTOCOL, "m", "s3cret"))
REQUEST = pack(Request(1, {"x": np.ones((1, 4), np.float32)}, 1))


async def _say(address, data: bytes, *, then_end: bool = False) -> list[object]:
    """Send bytes as a stranger would; every frame that came until the listener closed."""
    reader, writer = await asyncio.open_unix_connection(address.unix_path)
    try:
        writer.write(data)
        if then_end:
            writer.write_eof()
        async with asyncio.timeout(5):
            came = b""
            while chunk := await reader.read(65536):
                came += chunk
        return [decode(frame) for frame in FrameReader().feed(came)]
    except ConnectionError:
        return []
    finally:
        writer.close()


@pytest.mark.parametrize(
    ("hello", "kind", "reason"),
    [
        (Hello(PROTOCOL, "m", "guess"), BAD_SECRET, "wrong secret"),
        (Hello(PROTOCOL + 1, "m", "s3cret"), BAD_PROTOCOL, "speaks protocol 1, not 2"),
        (Hello(PROTOCOL, "other", "s3cret"), BAD_MODEL, "hosts 'm', not 'other'"),
    ],
)
async def test_a_wrong_greeting_is_answered_and_closed(bench, model, hello, kind, reason):
    _, address = await bench.listen(model.handle)
    (failure,) = await _say(address, pack(hello) + REQUEST)
    assert isinstance(failure, Failure)
    assert (failure.id, failure.kind) == (CONNECTION, kind)
    assert reason in failure.message
    assert model.asked == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"secret": "guess"}, "wrong secret"),
        ({"model": "other"}, "hosts 'm', not 'other'"),
        ({"replica_id": "r2"}, "now belongs to replica 'r1'"),
    ],
)
async def test_a_link_says_why_it_was_refused(bench, model, tools, changes, reason):
    _, address = await bench.listen(model.handle)
    lost = []
    with pytest.raises(LinkLost, match=reason) as caught:
        await Link.open(tools.replica(address, **changes), "here", on_lost=lambda: lost.append(1))
    assert caught.value.may_have_run is False
    await asyncio.sleep(0.01)
    assert lost == []


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "a frame of 542393671 bytes"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "a frame of"),
        (bytes(64), "a frame of 0 bytes"),
        (HELLO + b"\xff" * 64, "a frame of 4294967295 bytes"),
        (HELLO + struct.pack("<IBBH", 64 * 1024 * 1024 + 1, 3, 0, 0), "to 67108864"),
        (HELLO + struct.pack("<IBBHQ", 16, 42, 0, 0, 0), "kind 42"),
        (HELLO + HELLO, "a Hello came while open"),
        (HELLO + REQUEST[:16] + struct.pack("<I", 99) + REQUEST[20:], "99 rows do not fit"),
        (HELLO + pack(Request(0, {}, 0)), "a second call 0"),
        (REQUEST, "a Request came while greeting"),
    ],
    ids=["http", "tls", "zeros", "ones", "too-long", "kind", "hello-twice", "rows", "id-0", "no-hello"],
)
async def test_garbage_is_named_and_ends_that_connection_only(bench, model, tools, data, reason):
    model.at_once = True
    listener, address = await bench.listen(model.handle)
    link = await bench.link(address)
    failure = (await _say(address, data))[-1]
    assert isinstance(failure, Failure)
    assert (failure.id, failure.kind) == (CONNECTION, BAD_PROTOCOL)
    assert reason in failure.message
    await tools.until(lambda: listener.connections == 1)
    assert (await link.call(tools.tensors(), 1)).version == "1"


async def test_one_id_for_two_calls_ends_the_connection(bench, model):
    _, address = await bench.listen(model.handle)
    frames = await _say(address, HELLO + REQUEST + REQUEST)
    assert isinstance(frames[-1], Failure)
    assert "a second call 1" in frames[-1].message


@pytest.mark.parametrize("cut", [1, 7, 8, 40, len(REQUEST) - 1])
async def test_half_a_frame_and_then_the_end(bench, model, tools, cut):
    listener, address = await bench.listen(model.handle)
    frames = await _say(address, HELLO + REQUEST[:cut], then_end=True)
    assert [type(frame) for frame in frames] == [Welcome]
    await tools.until(lambda: listener.connections == 0)
    assert model.asked == []


async def test_a_client_that_ends_with_calls_open_is_forgotten(bench, model, tools):
    listener, address = await bench.listen(model.handle)
    await _say(address, HELLO + REQUEST, then_end=True)
    await model.until_asked(1)
    await tools.until(lambda: listener.connections == 0)
    assert listener.calls_in_flight == 0
    model.answer(0)  # too late, and harmless


async def test_who_does_not_greet_is_shown_out(bench, model, tools):
    listener, address = await bench.listen(model.handle, ListenerLimits(handshake_s=0.1))
    started = asyncio.get_running_loop().time()
    assert await _say(address, HELLO[:10]) == []
    assert 0.05 < asyncio.get_running_loop().time() - started < 2
    await tools.until(lambda: listener.connections == 0)


async def test_who_says_nothing_for_long_is_shown_out(bench, model):
    _, address = await bench.listen(model.handle, ListenerLimits(idle_s=0.2))
    frames = await _say(address, HELLO + pack(Ping(7)))
    assert [type(frame) for frame in frames][:1] == [Welcome]


async def test_connections_are_bounded(bench, model, tools):
    model.at_once = True
    listener, address = await bench.listen(model.handle, ListenerLimits(max_connections=2))
    links = [await bench.link(address) for _ in range(2)]
    (failure,) = await _say(address, b"")
    assert isinstance(failure, Failure)
    assert (failure.kind, failure.message) == (OVERLOADED, "replica 'r1' has 2 connections")
    with pytest.raises(LinkLost, match="has 2 connections"):
        await bench.link(address)
    await links[0].close()
    await tools.until(lambda: listener.connections == 1)
    assert (await (await bench.link(address)).call(tools.tensors(), 1)).version == "1"


@pytest.fixture
async def false_replica(folder, tools):
    """Whatever it hears, it says what the test wants, then stays silent."""
    writers = []
    said = []

    async def talk(reader, writer):
        writers.append(writer)
        await reader.read(1000)
        writer.write(b"".join(said))

    def that_says(data: bytes):
        said.append(data)
        return tools.replica(Address(str(folder / "false.sock"), "127.0.0.1", 1))

    server = await asyncio.start_unix_server(talk, str(folder / "false.sock"))
    yield that_says
    server.close()
    for writer in writers:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


WELCOME = pack(Welcome(PROTOCOL, "m", "1", "r1"))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "a frame of"),
        (pack(Welcome(PROTOCOL + 1, "m", "1", "r1")), "speaks protocol 2, not 1"),
        (REQUEST, "a Request came while greeting"),
        (WELCOME[:20], "within 0.2 s"),
        (b"", "within 0.2 s"),
    ],
    ids=["http", "protocol", "request", "half", "silent"],
)
async def test_a_false_replica_is_not_linked_to(false_replica, data, reason):
    with pytest.raises(LinkLost, match=reason):
        await Link.open(false_replica(data), "here", 0.2)


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"\xff" * 100, "a frame of"), (pack(Failure(1, "x", "y")), "call 1, which is not in flight")],
)
async def test_a_replica_that_talks_nonsense_loses_the_link(false_replica, tools, data, reason):
    lost = []
    link = await Link.open(false_replica(WELCOME + data), "here", on_lost=lambda: lost.append(1))
    await tools.until(lambda: lost)
    assert link.going_away
    with pytest.raises(LinkLost, match=reason):
        await link.call(tools.tensors(), 1)
