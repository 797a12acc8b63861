"""The order of frames, end against end, without a socket."""

import numpy as np
import pytest

from mesh.routing.types import Scored
from mesh.wire import (
    ClientConnection,
    Failure,
    Frame,
    GoAway,
    Hello,
    Ping,
    Pong,
    Refused,
    Reply,
    Request,
    ServerConnection,
    Welcome,
    WireError,
    pack,
)
from mesh.wire.connection import HANDSHAKE_BYTES, Connection, State
from mesh.wire.frames import BAD_MODEL, BAD_PROTOCOL, BAD_SECRET, CONNECTION, PROTOCOL

IDENTITY = Welcome(PROTOCOL, "anomaly", "1", "r1", max_frame_bytes=100_000)
HELLO = Hello(PROTOCOL, "anomaly", "s3cret", max_frame_bytes=50_000)
REQUEST = Request(1, {"x": np.ones((1, 2), np.float32)}, 1)
REPLY = Reply(1, Scored({"y": np.ones((1, 1), np.float32)}, None, "1"))


def _give(connection: Connection, data: bytes) -> None:
    room = connection.reader.get_buffer()
    room[: len(data)] = data
    connection.reader.updated(len(data))


def _carry(source: Connection, frame: Frame, sink: Connection) -> Frame | None:
    _give(sink, b"".join(source.send(frame)))
    return sink.next_frame()


def _greeted() -> tuple[ClientConnection, ServerConnection]:
    client, server = ClientConnection(50_000), ServerConnection(IDENTITY, "s3cret")
    assert _carry(client, HELLO, server) == HELLO
    assert _carry(server, IDENTITY, client) == IDENTITY
    return client, server


def test_a_greeting_opens_both_ends_and_tells_the_limits() -> None:
    client, server = _greeted()
    assert (client.state, server.state) == (State.OPEN, State.OPEN)
    assert client.welcome == IDENTITY
    assert (client.peer_max_frame_bytes, client.reader.max_frame_bytes) == (100_000, 50_000)
    assert (server.peer_max_frame_bytes, server.reader.max_frame_bytes) == (50_000, 100_000)


def test_calls_go_both_ways() -> None:
    client, server = _greeted()
    asked = _carry(client, REQUEST, server)
    assert isinstance(asked, Request)
    np.testing.assert_array_equal(asked.tensors["x"], REQUEST.tensors["x"])
    assert isinstance(_carry(server, REPLY, client), Reply)
    assert _carry(server, Failure(2, "internal", "no"), client) == Failure(2, "internal", "no")
    assert _carry(client, Ping(4), server) == Ping(4)
    assert _carry(server, Pong(4), client) == Pong(4)


@pytest.mark.parametrize(
    ("hello", "kind", "message"),
    [
        (Hello(PROTOCOL + 1, "anomaly", "s3cret"), BAD_PROTOCOL, "speaks protocol 1, not 2"),
        (Hello(PROTOCOL, "anomaly", "guess"), BAD_SECRET, "wrong secret"),
        (Hello(PROTOCOL, "anomaly", "sécret"), BAD_SECRET, "wrong secret"),
        (Hello(PROTOCOL, "rules", "guess"), BAD_SECRET, "wrong secret"),  # a stranger learns nothing more
        (Hello(PROTOCOL, "rules", "s3cret"), BAD_MODEL, "hosts 'anomaly', not 'rules'"),
    ],
)
def test_a_wrong_hello_is_refused_and_the_client_told(hello: Hello, kind: str, message: str) -> None:
    client, server = ClientConnection(50_000), ServerConnection(IDENTITY, "s3cret")
    with pytest.raises(Refused, match=message) as caught:
        _carry(client, hello, server)
    assert caught.value.failure.kind == kind
    _give(client, b"".join(server.farewell(caught.value)))
    with pytest.raises(Refused, match=message) as told:
        client.next_frame()
    assert told.value.failure == Failure(CONNECTION, kind, str(caught.value))


def test_a_stranger_cannot_announce_a_large_frame() -> None:
    server = ServerConnection(IDENTITY, "s3cret")
    _give(server, pack(Request(1, {"x": np.ones((1, HANDSHAKE_BYTES), np.uint8)}, 1))[:64])
    with pytest.raises(WireError, match=f"to {HANDSHAKE_BYTES}"):
        server.next_frame()


@pytest.mark.parametrize("frame", [REQUEST, Ping(), Pong(), IDENTITY, REPLY, GoAway("x")])
def test_nothing_comes_before_hello(frame: Frame) -> None:
    server = ServerConnection(IDENTITY, "s3cret")
    _give(server, pack(frame))
    with pytest.raises(WireError, match="came while greeting"):
        server.next_frame()


@pytest.mark.parametrize("frame", [HELLO, REPLY, GoAway("x"), Failure(1, "internal", "x"), IDENTITY])
def test_a_client_says_only_what_clients_say(frame: Frame) -> None:
    _, server = _greeted()
    _give(server, pack(frame))
    with pytest.raises(WireError, match="came while open") as caught:
        server.next_frame()
    client = _greeted()[0]
    _give(client, b"".join(server.farewell(caught.value)))
    with pytest.raises(Refused, match="came while open"):
        client.next_frame()


@pytest.mark.parametrize("frame", [REQUEST, HELLO, IDENTITY])
def test_a_server_says_only_what_servers_say(frame: Frame) -> None:
    client, _ = _greeted()
    _give(client, pack(frame))
    with pytest.raises(WireError, match="came while open"):
        client.next_frame()
    assert client.farewell(WireError("x")) == []


def test_after_goaway_calls_end_and_none_begin() -> None:
    client, server = _greeted()
    assert _carry(server, GoAway("draining"), client) == GoAway("draining")
    with pytest.raises(WireError, match="cannot be sent while going_away"):
        client.send(REQUEST)
    assert isinstance(_carry(server, REPLY, client), Reply)
    assert _carry(client, Ping(1), server) == Ping(1)
    with pytest.raises(WireError, match="cannot be sent"):
        server.send(GoAway("again"))


def test_a_request_that_crossed_the_goaway_is_still_served() -> None:
    client, server = _greeted()
    under_way = b"".join(client.send(REQUEST))
    server.send(GoAway("draining"))
    _give(server, under_way)
    assert isinstance(server.next_frame(), Request)


def test_an_end_keeps_to_the_others_limit() -> None:
    client, server = _greeted()
    large = {"x": np.ones((1, 60_000), np.uint8)}
    with pytest.raises(WireError, match="the limit is 50000"):
        server.send(Reply(1, Scored(large, None, "1")))
    assert client.send(Request(1, large, 1))
    with pytest.raises(WireError, match="the limit is 100000"):
        client.send(Request(2, {"x": np.ones((1, 100_000), np.uint8)}, 1))
