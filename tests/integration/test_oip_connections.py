"""The fast lane's connections: order, limits, slow and leaving clients, draining."""

import asyncio
import contextlib
import gzip
import json

import numpy as np
import pytest
import uvloop
from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from serve.http.app import MeshApp
from serve.http.connection import Connection
from serve.http.fast_lane import FastLane
from serve.http.lane import ConnectionLimits
from serve.oip.inference import Inference
from serve.oip.ports import Limits, ServerFacts
from tests.fakes.echo_engine import EchoEngine, signature

PATH = "/v2/models/default/infer"
BODY = b'{"id":"%d","inputs":[{"name":"x","shape":[1,1],"datatype":"FP32","data":[%d]}]}'
QUICK = {"sweep_s": 0.02}
PATIENCE_S = 60
"""A bound of a hang; nothing here takes a second of a machine that is free."""


@pytest.fixture(params=[asyncio.DefaultEventLoopPolicy, uvloop.EventLoopPolicy], ids=["asyncio", "uvloop"])
def event_loop_policy(request):
    """Both loops that a replica may run on."""
    return request.param()


class Served:
    def __init__(self, engine, lane, port):
        self.engine, self.lane, self.port = engine, lane, port

    @contextlib.asynccontextmanager
    async def connection(self):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            yield reader, writer
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


@contextlib.asynccontextmanager
async def serving(limits=None, port=0, routers=(), **connection_limits):
    engine = EchoEngine(
        {"default": signature(("x", "FP32", (-1, 1))), "wide": signature(("x", "FP32", (-1, -1)))},
        confident=False,
    )
    inference = Inference(engine, ServerFacts("lane-under-test", "0", {}), limits)
    lane = FastLane(MeshApp(inference).open(routers), ConnectionLimits(**{**QUICK, **connection_limits}))
    port = await lane.start("127.0.0.1", port)
    try:
        yield Served(engine, lane, port)
    finally:
        await lane.drain(1.0)


def request(body: bytes, path=PATH, *headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "host: t", f"content-length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


async def response(reader):
    head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE_S)).decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in head[1:] if line)
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return int(head[0].split()[1]), headers, body


async def held(served, size):
    """Wait until so many bytes of bodies are held, and with none, no request is under way."""
    lane = served.lane._lane
    await until(
        lambda: lane.held_bytes == size and (size or not lane.under_way),
        lambda: (lane.held_bytes, lane.under_way),
    )


async def until(holds, say=str):
    for _ in range(PATIENCE_S * 100):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(say())


async def test_many_requests_on_one_connection():
    async with serving() as served, served.connection() as (reader, writer):
        for number in range(5):
            writer.write(request(BODY % (number, number)))
            status, headers, body = await response(reader)
            assert (status, json.loads(body)["id"]) == (200, str(number))
            assert "connection" not in headers


async def test_pipelined_requests_are_answered_in_order():
    async with serving() as served, served.connection() as (reader, writer):
        served.engine.delay_s = 0.01
        pieces = [request(BODY % (number, number)) for number in range(30)]
        pieces.insert(7, b"GET /v2/health/live HTTP/1.1\r\nhost: t\r\n\r\n")
        writer.write(b"".join(pieces))
        seen = [json.loads((await response(reader))[2]) for _ in pieces]
        assert seen.pop(7) == {"live": True}
        assert [reply["id"] for reply in seen] == [str(number) for number in range(30)]


async def test_a_request_in_single_bytes():
    async with serving() as served, served.connection() as (reader, writer):
        for byte in request(BODY % (1, 1)):
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)
        assert (await response(reader))[0] == 200


async def test_chunked_bodies_and_continue():
    async with serving() as served, served.connection() as (reader, writer):
        body = BODY % (1, 1)
        head = (
            f"POST {PATH} HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\nexpect: 100-continue\r\n\r\n"
        )
        writer.write(head.encode())
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        for at in range(0, len(body), 10):
            piece = body[at : at + 10]
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        assert (await response(reader))[0] == 200


@pytest.mark.parametrize("ending", ["HTTP/1.0", "HTTP/1.1\r\nconnection: close"])
async def test_clients_that_want_one_reply(ending):
    async with serving() as served, served.connection() as (reader, writer):
        writer.write(f"GET / {ending}\r\nhost: t\r\n\r\n".encode())
        assert (await response(reader))[1]["connection"] == "close"
        assert await asyncio.wait_for(reader.read(), PATIENCE_S) == b""


async def test_an_upgrade_is_declined_by_answering():
    upgrade = ("connection: Upgrade, HTTP2-Settings", "upgrade: h2c", "http2-settings: AAMAAABk")
    async with serving() as served:
        for cut in (10_000, -20):  # the body comes with the headers, or after them
            async with served.connection() as (reader, writer):
                whole = request(BODY % (1, 1), PATH, *upgrade)
                writer.write(whole[:cut])
                await asyncio.sleep(0.02)
                writer.write(whole[cut:] + b"PRI * HTTP/2.0")
                status, headers, _ = await response(reader)
                assert (status, headers["connection"]) == (200, "close")


async def test_an_upgrade_with_a_chunked_body_is_told_to_give_its_length():
    async with serving() as served:
        for path in (PATH, "/v2/repository/index"):
            async with served.connection() as (reader, writer):
                head = f"POST {path} HTTP/1.1\r\nhost: t\r\nconnection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\n"
                writer.write(f"{head}transfer-encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n".encode())
                status, _, body = await response(reader)
                assert (status, "content-length" in json.loads(body)["error"]) == (411, True)
                assert await asyncio.wait_for(reader.read(), PATIENCE_S) == b""


async def test_a_broken_request_waits_for_those_before_it():
    async with serving() as served, served.connection() as (reader, writer):
        served.engine.delay_s = 0.05
        writer.write(request(BODY % (1, 1)) + b"nonsense\r\n\r\n")
        assert (await response(reader))[0] == 200
        assert (await response(reader))[0] == 400
        assert await asyncio.wait_for(reader.read(), PATIENCE_S) == b""


@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "chunked"])
async def test_a_refused_request_leaves_those_before_it_alone(chunked):
    """Its body is nobody's: not that of the request before it, which is complete and perhaps being answered."""
    second = f"POST {PATH} HTTP/1.1\r\nhost: t\r\n".encode()
    if chunked:
        second += (
            b"transfer-encoding: chunked\r\n\r\n" + (b"258\r\n" + bytes(600) + b"\r\n") * 3 + b"0\r\n\r\n"
        )
    else:
        second += b"content-length: 5000\r\n\r\n" + bytes(100)
    async with serving(Limits(body_bytes=1000)) as served:
        for together in (True, False):
            served.engine.calls, served.engine.delay_s = 0, 0.05
            async with served.connection() as (reader, writer):
                writer.write(request(BODY % (1, 1)) + (second if together else b""))
                await asyncio.sleep(0.02)
                writer.write(b"" if together else second)
                assert (await response(reader))[0] == 200
                assert (await response(reader))[0] == 413
                assert await asyncio.wait_for(reader.read(), PATIENCE_S) == b""
                assert served.engine.calls == 1


async def test_head_has_no_body():
    async with serving() as served, served.connection() as (reader, writer):
        writer.write(
            b"HEAD /nowhere HTTP/1.1\r\nhost: t\r\n\r\nGET /v2/health/live HTTP/1.1\r\nhost: t\r\n\r\n"
        )
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 404")
        assert json.loads((await response(reader))[2]) == {"live": True}


async def test_headers_are_bounded_in_size_and_time():
    async with serving(header_bytes=2000) as served, served.connection() as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\n")
        with contextlib.suppress(OSError):
            for _ in range(60):
                writer.write(b"x-long: " + b"a" * 100 + b"\r\n")
                await writer.drain()
                await asyncio.sleep(0)
        status, _, body = await response(reader)
        assert status == 431
        assert set(json.loads(body)) == {"error"}
    async with serving(header_s=0.1) as served, served.connection() as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nhost")
        assert (await response(reader))[0] == 408


async def test_silent_and_idle_connections_end():
    async with serving(header_s=0.1) as served, served.connection() as (reader, _):
        assert await asyncio.wait_for(reader.read(), PATIENCE_S) == b""
    async with serving(keep_alive_s=0.2) as served:
        async with served.connection() as (reader, writer):
            writer.write(request(BODY % (1, 1)))
            await response(reader)
            assert await asyncio.wait_for(reader.read(), PATIENCE_S) == b""
        await until(lambda: served.lane.connections == 0)


async def test_one_connection_that_cannot_be_swept_does_not_end_the_sweep(caplog, monkeypatch):
    sweep, first = Connection.sweep, []

    def fail(connection, now):
        if connection in (first or [connection]):
            first[:] = [connection]
            raise RuntimeError("a defect")
        sweep(connection, now)

    monkeypatch.setattr(Connection, "sweep", fail)
    async with serving(header_s=0.2) as served, served.connection() as (broken, _):
        await until(lambda: first)
        async with served.connection() as (silent, _):
            assert await asyncio.wait_for(silent.read(), PATIENCE_S) == b""
        with contextlib.suppress(ConnectionResetError):
            assert await asyncio.wait_for(broken.read(), PATIENCE_S) == b""
        await until(lambda: served.lane.connections == 0)
    assert "a defect" in caplog.text


@pytest.mark.parametrize("path", [PATH, "/v2/repository/index"])
async def test_a_body_that_stops_coming(path):
    async with serving(Limits(body_idle_s=0.1)) as served, served.connection() as (reader, writer):
        writer.write(f"POST {path} HTTP/1.1\r\nhost: t\r\ncontent-length: 100\r\n\r\nhalf".encode())
        status, _, body = await response(reader)
        assert status == 408
        assert json.loads(body)["error"].startswith("body")


@pytest.mark.parametrize("framing", ["content-length: 300000", "transfer-encoding: chunked"])
async def test_a_body_that_is_too_large_gets_its_answer(framing):
    async with serving(Limits(body_bytes=100_000)) as served, served.connection() as (reader, writer):
        writer.write(f"POST {PATH} HTTP/1.1\r\nhost: t\r\n{framing}\r\n\r\n".encode())
        chunked = "chunked" in framing
        with contextlib.suppress(OSError):
            for _ in range(30):
                writer.write(b"2710\r\n" + bytes(10_000) + b"\r\n" if chunked else bytes(10_000))
                await writer.drain()
        assert (await response(reader))[0] == 413
        assert await asyncio.wait_for(reader.read(), PATIENCE_S) == b""


async def test_unfinished_bodies_are_bounded_together():
    async with serving(held_bytes=50_000) as served:
        async with contextlib.AsyncExitStack() as stack:
            connections = [await stack.enter_async_context(served.connection()) for _ in range(3)]
            for _, writer in connections:
                writer.write(b"POST %b HTTP/1.1\r\nhost: t\r\ncontent-length: 90000\r\n\r\n" % PATH.encode())
                await writer.drain()
            for _ in range(30):
                for _, writer in connections:
                    writer.write(bytes(1000))
                    with contextlib.suppress(OSError):
                        await writer.drain()
                await asyncio.sleep(0.002)
            done, rest = await asyncio.wait(
                [asyncio.create_task(response(reader)) for reader, _ in connections],
                timeout=PATIENCE_S,
                return_when=asyncio.FIRST_COMPLETED,
            )
            assert done.pop().result()[0] == 503
            for task in rest:
                task.cancel()
        await held(served, 0)
        async with served.connection() as (reader, writer):
            writer.write(request(BODY % (1, 1)))
            assert (await response(reader))[0] == 200


async def test_what_is_unpacked_counts_as_held():
    plain = BODY[:-1] % (1, 1) + b" " * 200_000 + b"}"
    packed = request(gzip.compress(plain), PATH, "content-encoding: gzip")
    async with serving(held_bytes=300_000) as served:
        served.engine.gate = asyncio.Event()
        async with served.connection() as (reader, writer), served.connection() as (other, second):
            writer.write(packed)
            await held(served, len(plain))
            second.write(packed)
            status, headers, _ = await response(other)
            assert (status, headers["retry-after"]) == (503, "1")
            served.engine.gate.set()
            assert (await response(reader))[0] == 200
        await held(served, 0)


API = "/v2/repository/index"


@pytest.mark.parametrize("framing", ["content-length: 300000", "transfer-encoding: chunked"])
async def test_bodies_of_other_calls_are_bounded_too(framing):
    async with serving(Limits(api_bytes=100_000)) as served, served.connection() as (reader, writer):
        writer.write(f"POST {API} HTTP/1.1\r\nhost: t\r\n{framing}\r\n\r\n".encode())
        chunked = "chunked" in framing
        with contextlib.suppress(OSError):
            for _ in range(30):
                writer.write(b"2710\r\n" + b" " * 10_000 + b"\r\n" if chunked else b" " * 10_000)
                await writer.drain()
        status, _, body = await response(reader)
        assert (status, "100000 bytes" in json.loads(body)["error"]) == (413, True)
        assert await asyncio.wait_for(reader.read(), PATIENCE_S) == b""
        await held(served, 0)


async def test_what_other_calls_send_is_held_until_they_are_answered():
    async with serving(held_bytes=3000) as served:
        head = f"POST {API} HTTP/1.1\r\nhost: t\r\ncontent-length: 2002\r\n\r\n".encode()
        async with served.connection() as (reader, writer), served.connection() as (other, second):
            writer.write(head + b" " * 2000)
            await held(served, 2000)
            second.write(head + b" " * 2000)
            assert (await response(other))[0] == 503
            writer.write(b"{}")
            assert (await response(reader))[0] == 200
            await held(served, 0)
            writer.write(head + b" ")
            await held(served, 1)
        await held(served, 0)


@pytest.mark.parametrize("begun", [False, True], ids=["before its answer", "amid its answer"])
async def test_a_call_whose_body_stops_coming_ends(begun):
    """Also of a route that reads with no time of its own."""
    router, left = APIRouter(), []

    @router.post("/slow")
    async def slow(request: Request) -> StreamingResponse:
        async def parts():
            yield b"a"
            try:
                await request.body()
            finally:
                left.append(True)

        return StreamingResponse(parts()) if begun else StreamingResponse(iter([await request.body()]))

    async with serving(Limits(body_idle_s=0.2), routers=[router]) as served:
        async with served.connection() as (reader, writer):
            writer.write(b"POST /slow HTTP/1.1\r\nhost: t\r\ncontent-length: 100\r\n\r\nhalf")
            said = b""
            with contextlib.suppress(ConnectionResetError):
                while piece := await asyncio.wait_for(reader.read(1000), PATIENCE_S):
                    said += piece
            assert said.startswith(b"HTTP/1.1 200" if begun else b"HTTP/1.1 408")
            assert said.count(b"HTTP/1.1") == 1
        await held(served, 0)
        assert bool(left) == begun


async def test_a_long_answer_to_a_whole_request_is_not_swept():
    router = APIRouter()

    @router.post("/long")
    async def long(request: Request) -> Response:
        await request.body()
        await asyncio.sleep(0.5)
        return Response("done")

    async with (
        serving(Limits(body_idle_s=0.1), routers=[router]) as served,
        served.connection() as (reader, writer),
    ):
        writer.write(request(b"{}", "/long"))
        assert (await response(reader))[::2] == (200, b"done")


async def test_connections_are_bounded():
    async with serving(connections=1) as served, served.connection() as (first_reader, first):
        first.write(request(BODY % (1, 1)))
        await response(first_reader)
        async with served.connection() as (reader, _):
            assert (await response(reader))[0] == 503
        first.write(request(BODY % (2, 2)))
        assert (await response(first_reader))[0] == 200


async def test_a_client_that_leaves_does_not_disturb_the_engine():
    async with serving() as served:
        served.engine.delay_s = 0.1
        async with served.connection() as (_, writer):
            writer.write(request(BODY % (1, 1)))
            await writer.drain()
            await until(lambda: served.engine.calls == 1)
        async with served.connection() as (reader, writer):
            writer.write(request(BODY % (2, 2)))
            assert (await response(reader))[0] == 200
        assert served.engine.calls == 2
        await until(lambda: served.lane.connections == 0)


async def test_a_client_that_does_not_read_is_cut_off():
    async with serving(write_s=0.2) as served, served.connection() as (_, writer):
        row = np.zeros((1, 300_000), np.float32)
        head = b'{"inputs":[{"name":"x","shape":[1,300000],"datatype":"FP32","parameters":{"binary_data_size":%d}}]}'
        head %= row.nbytes
        one = request(
            head + row.tobytes(), "/v2/models/wide/infer", f"inference-header-content-length: {len(head)}"
        )
        with contextlib.suppress(OSError):
            for _ in range(40):
                writer.write(one)
                await asyncio.wait_for(writer.drain(), 1)
        await until(lambda: served.lane.connections == 0)


async def test_drain_finishes_what_is_under_way_and_takes_no_more():
    async with serving() as served:
        served.engine.gate = asyncio.Event()
        async with served.connection() as (reader, writer), served.connection() as (idle, _):
            writer.write(request(BODY % (1, 1)))
            await until(lambda: served.engine.calls == 1)
            draining = asyncio.create_task(served.lane.drain(PATIENCE_S))
            assert await asyncio.wait_for(idle.read(), PATIENCE_S) == b""
            served.engine.gate.set()
            status, headers, _ = await response(reader)
            assert (status, headers["connection"]) == (200, "close")
            await draining
        with pytest.raises(OSError):  # noqa: PT011
            await asyncio.open_connection("127.0.0.1", served.port)


async def test_drain_gives_up_in_time():
    async with serving() as served:
        served.engine.delay_s = 30
        async with served.connection() as (reader, writer):
            writer.write(request(BODY % (1, 1)))
            await until(lambda: served.engine.calls == 1)
            started = asyncio.get_running_loop().time()
            await served.lane.drain(0.2)
            assert asyncio.get_running_loop().time() - started < 2
            with contextlib.suppress(OSError):
                assert await asyncio.wait_for(reader.read(), PATIENCE_S) == b""
        assert len(asyncio.all_tasks()) == 1


async def test_two_lanes_share_a_port():
    async with serving() as first, serving(port=first.port) as second:
        assert first.port == second.port
        for number in range(20):
            async with first.connection() as (reader, writer):
                writer.write(request(BODY % (number, number)))
                assert (await response(reader))[0] == 200
        assert first.engine.calls + second.engine.calls == 20


async def test_a_taken_port_is_an_os_error():
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    lane = FastLane(MeshApp(Inference(EchoEngine({}), ServerFacts("t", "0", {}))).open())
    with pytest.raises(OSError, match=r"[Aa]ddress already in use"):
        await lane.start("127.0.0.1", port)
    server.close()


async def test_addresses_that_are_encoded():
    async with serving() as served, served.connection() as (reader, writer):
        writer.write(request(BODY % (1, 1), "/v2/models/d%65fault/infer?x=1"))
        assert (await response(reader))[0] == 200
