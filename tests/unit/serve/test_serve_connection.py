"""One HTTP/1.1 connection, fed by hand: no server, no socket."""

import asyncio

from fastapi import APIRouter, Request

from serve.http.app import MeshApp
from serve.http.connection import Connection
from serve.http.lane import ConnectionLimits, Lane
from serve.oip.inference import Inference
from serve.oip.ports import ServerFacts
from tests.fakes.echo_engine import EchoEngine, signature
from tests.fakes.waiting import turns

PATH = "/v2/models/default/infer"
BODY = b'{"inputs":[{"name":"x","shape":[1,1],"datatype":"FP32","data":[1]}]}'
POST = b"POST %b HTTP/1.1\r\nhost: t\r\n" % PATH.encode()


class Wire(asyncio.Transport):
    """What the client would see, and whether it is being read from."""

    def __init__(self):
        super().__init__()
        self.sent = b""
        self.reading = True
        self.closed = False

    def write(self, data):
        self.sent += bytes(data)

    def can_write_eof(self):
        return False

    def is_closing(self):
        return self.closed

    def close(self):
        self.closed = True

    def abort(self):
        self.closed = True

    def pause_reading(self):
        self.reading = False

    def resume_reading(self):
        self.reading = True


def connected(routers=(), **limits):
    engine = EchoEngine({"default": signature(("x", "FP32", (-1, 1)))}, confident=False)
    app = MeshApp(Inference(engine, ServerFacts("under-test", "0", {}))).open(routers)
    connection = Connection(Lane(app, ConnectionLimits(**limits), asyncio.get_running_loop()))
    wire = Wire()
    connection.connection_made(wire)
    return connection, wire, engine


async def until(true):
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110 - bytes on a wire tell no one
            await asyncio.sleep(0.001)


def measured(body=BODY):
    return POST + b"content-length: %d\r\n\r\n" % len(body) + body


async def test_trailers_that_do_not_end_are_cut_off():
    connection, wire, _ = connected(header_bytes=2000)
    connection.data_received(POST + b"transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n")
    for number in range(50):
        connection.data_received(b"x-%d: %b\r\n" % (number, b"a" * 100))
    assert wire.sent.startswith(b"HTTP/1.1 431 ")
    assert len(connection._headers) < 25


async def test_extensions_of_chunks_that_do_not_end_are_cut_off():
    connection, wire, _ = connected(header_bytes=2000)
    connection.data_received(POST + b"transfer-encoding: chunked\r\n\r\n2;a=")
    for _ in range(50):
        connection.data_received(b"a" * 100)
    assert wire.sent.startswith(b"HTTP/1.1 431 ")


async def test_a_long_body_in_pieces_is_no_long_header():
    connection, wire, _ = connected(header_bytes=200)
    long = BODY[:-1] + b" " * 5000 + b"}"
    whole = measured(long)
    for at in range(0, len(whole), 150):
        connection.data_received(whole[at : at + 150])
    await until(lambda: wire.sent)
    assert wire.sent.startswith(b"HTTP/1.1 200 ")


async def test_trailers_are_no_headers():
    seen = []
    router = APIRouter()

    @router.post("/seen")
    async def look(request: Request) -> None:
        await request.body()
        seen.append(dict(request.headers))

    connection, wire, _ = connected([router])
    connection.data_received(
        b"POST /seen HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n"
        b"2\r\n{}\r\n0\r\nhost: localhost\r\nauthorization: Bearer other\r\n\r\n"
    )
    await until(lambda: wire.sent)
    assert seen == [{"host": "t", "transfer-encoding": "chunked"}]


async def test_a_large_body_does_not_count_for_the_headers_that_follow_it():
    connection, wire, _ = connected(header_bytes=2000)
    long = BODY[:-1] + b" " * 5000 + b"}"
    following = measured()
    connection.data_received(measured(long) + following[:20])
    connection.data_received(following[20:])
    await until(lambda: wire.sent.count(b"HTTP/1.1") == 2)
    assert wire.sent.count(b"HTTP/1.1 200 ") == 2


async def test_headers_that_came_at_once_are_bounded_before_they_end():
    connection, wire, _ = connected(header_bytes=2000)
    connection.data_received(POST + b"x-long: " + b"a" * 4000 + b"\r\nx-open: ")
    assert wire.sent.startswith(b"HTTP/1.1 431 ")


async def test_an_invitation_to_send_a_body_waits_for_the_reply_before():
    connection, wire, _ = connected()
    connection.data_received(measured() + POST + b"content-length: %d\r\n" % len(BODY))
    connection.pause_writing()  # the first reply is held up
    connection.data_received(b"expect: 100-continue\r\n\r\n")
    await turns()
    assert b"100 Continue" not in wire.sent
    connection.resume_writing()
    await until(lambda: b"100 Continue" in wire.sent)
    assert wire.sent.index(b"HTTP/1.1 200 ") < wire.sent.index(b"HTTP/1.1 100 ")
    connection.data_received(BODY)
    await until(lambda: wire.sent.count(b"HTTP/1.1 200 ") == 2)


async def test_who_is_alone_is_invited_at_once():
    connection, wire, _ = connected()
    connection.data_received(POST + b"content-length: %d\r\nexpect: 100-continue\r\n\r\n" % len(BODY))
    assert wire.sent == b"HTTP/1.1 100 Continue\r\n\r\n"


async def test_headers_that_the_server_does_not_read_are_not_late():
    connection, wire, _ = connected(header_s=1.0)
    connection.pause_writing()
    connection.data_received(measured() + measured() + POST[:20])
    await turns()
    assert not wire.reading
    connection._drained, held = None, connection._drained
    connection.sweep(connection._since + 5.0)
    assert wire.sent == b""
    held.set_result(None)
    await until(lambda: wire.sent.count(b"HTTP/1.1 200 ") == 2)
    connection.data_received(measured()[20:])
    await until(lambda: wire.sent.count(b"HTTP/1.1 200 ") == 3)


async def test_an_unfinished_body_is_held_whole():
    connection, wire, _ = connected()
    whole = measured()
    for at in range(0, len(whole) - 1, 40):
        connection.data_received(whole[at : min(at + 40, len(whole) - 1)])
    assert connection.lane.held_bytes == len(BODY) - 1
    connection.data_received(whole[-1:])
    await until(lambda: wire.sent.startswith(b"HTTP/1.1 200 "))
    assert connection.lane.held_bytes == 0


async def test_a_request_that_is_cut_off_leaves_no_connection_on_which_to_wait_for_it():
    connection, wire, engine = connected()
    engine.delay_s = 30.0
    whole = measured()
    connection.data_received(whole[:-10])
    connection.data_received(whole[-10:])
    await turns()
    (exchange,) = connection.lane.under_way
    exchange.task.cancel()
    await until(exchange.task.done)
    assert (wire.sent, wire.closed) == (b"", True)
    assert connection.lane.held_bytes == 0
