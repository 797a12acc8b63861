"""The ASGI application, driven by hand: no server, no socket."""

import asyncio
import gzip
import json
import zlib
from collections.abc import Sequence

import numpy as np
import pytest

from mesh.errors import DeadlineExceeded, Overloaded, Unavailable
from mesh.routing.types import RowFailure
from serve.http.app import MeshApp
from serve.http.body import decompress
from serve.http.errors import HttpRefusal
from serve.oip.inference import Inference
from serve.oip.ports import EndpointFacts, Limits, ServerFacts
from tests.fakes.echo_engine import EchoEngine, signature

PATH = "/v2/models/default/infer"
ROW = {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}]}


class Seen:
    """What the observer of requests was told."""

    def __init__(self):
        self.requests = []

    def requested(self, endpoint, protocol, code, rows, seconds):
        assert seconds >= 0
        self.requests.append((endpoint, protocol, code, rows))


class Client:
    def __init__(self, limits: Limits | None = None):
        self.engine = EchoEngine(
            {"default": signature(("x", "FP32", (-1, 2))), "starting": None},
            reads={"default": frozenset({"rollout"})},
        )
        self.engine.unready.add("starting")
        self.seen = Seen()
        facts = {"default": EndpointFacts("1", "onnx", has_confidence=True)}
        self.inference = Inference(self.engine, ServerFacts("under-test", "9", facts), limits, self.seen)
        self.app = MeshApp(self.inference).open()

    async def __call__(self, method, path, body: bytes | Sequence[bytes] = b"", headers=()):
        pieces = [body] if isinstance(body, bytes) else list(body)
        sent = []

        async def receive():
            await asyncio.sleep(0)
            if not pieces:
                await asyncio.sleep(30)
            piece = pieces.pop(0)
            return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

        async def send(message):
            sent.append(message)

        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "scheme": "http",
            "http_version": "1.1",
            "server": ("t", 80),
            "client": ("t", 1),
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers],
        }
        await self.app(scope, receive, send)
        payload = b"".join(message.get("body", b"") for message in sent[1:])
        return sent[0]["status"], {k.decode(): v.decode() for k, v in sent[0]["headers"]}, payload

    async def infer(self, request=ROW, headers=(), path=PATH):
        status, fields, body = await self("POST", path, json.dumps(request).encode(), headers)
        return status, fields, json.loads(body)


@pytest.fixture
def client():
    return Client()


async def test_infer(client):
    status, headers, reply = await client.infer()
    assert status == 200
    assert headers["content-type"] == "application/json"
    assert reply["outputs"][0]["data"] == [1.0, 2.0]
    assert reply["outputs"][1] == {"name": "confidence", "datatype": "FP32", "shape": [1], "data": [0.75]}
    assert client.seen.requests == [("default", "http", "200", 1)]


async def test_a_router_that_has_just_begun_answers_rows_and_all_else_once_its_api_is_open(client):
    client.app = MeshApp(client.inference)
    early = asyncio.create_task(client("GET", "/v2/health/live"))
    assert (await client.infer())[0] == 200
    assert not early.done()
    client.app.open()
    assert (await early)[0] == 200


async def test_a_router_whose_api_does_not_open_in_time_asks_to_come_again(client):
    client.app = MeshApp(client.inference, opening_s=0.01)
    status, headers, body = await client("GET", "/v2/health/ready")
    assert (status, headers["retry-after"]) == (503, "1")
    assert "inference is answered" in json.loads(body)["error"]
    client.app.open()
    assert (await client("GET", "/v2/health/live"))[0] == 200


async def test_versions_in_the_address(client):
    assert (await client.infer(path="/v2/models/default/versions/1/infer"))[0] == 200
    status, _, reply = await client.infer(path="/v2/models/default/versions/2/infer")
    assert status == 404
    assert "version '2'" in reply["error"]


async def test_headers_reach_the_engine(client):
    await client.infer(headers=[("X-Request-Timeout-Ms", "5000"), ("X-Mesh-Variant", "canary")])
    assert client.engine.last_variant == "canary"
    assert client.engine.last_deadline is not None


async def test_request_ids_come_back_or_are_made(client):
    assert (await client.infer(headers=[("X-Request-Id", "abc")]))[1]["x-request-id"] == "abc"
    made = [(await client.infer())[1]["x-request-id"] for _ in range(2)]
    assert made[0] != made[1]
    assert list(client.engine.last_batch.ids) == [made[1]]
    assert (await client.infer({"inputs": []}, [("X-Request-Id", "abc")]))[1]["x-request-id"] == "abc"


@pytest.mark.parametrize(
    ("error", "status"),
    [(Unavailable("m", "away", 2.4), 503), (Overloaded("m", "full"), 503), (DeadlineExceeded("late"), 504)],
)
async def test_refusals_of_the_engine(client, error, status):
    client.engine.raising = error
    got, headers, reply = await client.infer()
    assert got == status
    assert reply == {"error": str(error)}
    assert ("retry-after" in headers) == (status == 503)
    assert client.seen.requests == [("default", "http", str(status), 1)]


async def test_a_defect_is_hidden_and_logged(client, caplog):
    client.engine.raising = ZeroDivisionError("secret")
    status, headers, reply = await client.infer()
    assert status == 500
    assert reply["error"] == f"internal error in request {headers['x-request-id']}"
    assert "secret" in caplog.text


async def test_failed_rows_fail_the_request_unless_it_is_partial(client):
    two = {"inputs": [{"name": "x", "shape": [2, 2], "datatype": "FP32", "data": [1, 2, 3, 4]}]}
    client.engine.failing = {1: RowFailure("anomaly", "raised", "ValueError: poisoned")}
    status, _, reply = await client.infer(two)
    assert status == 500
    assert "anomaly" in reply["error"]
    assert "row 1" in reply["error"]
    status, _, reply = await client.infer({**two, "parameters": {"mesh_partial": True}})
    assert status == 200
    assert reply["outputs"][0]["data"] == [1.0, 2.0, None, None]
    assert "poisoned" in reply["parameters"]["mesh_errors"]


async def test_too_many_requests_under_way():
    client = Client(Limits(requests=1))
    client.engine.delay_s = 0.05
    replies = await asyncio.gather(client.infer(), client.infer())
    assert sorted(status for status, _, _ in replies) == [200, 503]


@pytest.mark.parametrize("announce", [True, False])
async def test_bodies_are_bounded(announce):
    client = Client(Limits(body_bytes=1000))
    headers = [("content-length", "1001")] if announce else []
    status, _, body = await client("POST", PATH, [bytes(500), bytes(501)], headers)
    assert status == 413
    assert "1000" in json.loads(body)["error"]


async def test_a_body_that_stops_coming():
    client = Client(Limits(body_idle_s=0.05))

    async def stuck():
        await asyncio.sleep(30)

    sent = []

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": PATH, "headers": []}
    await client.app(scope, stuck, send)
    assert sent[0]["status"] == 408


@pytest.mark.parametrize("announced", [True, False])
async def test_the_body_of_another_call_is_bounded_on_any_server(announced):
    client = Client(Limits(api_bytes=100))
    headers = [(b"content-length", b"2000")] if announced else []
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v2/repository/index",
        "headers": headers,
        "query_string": b"",
    }
    sent, taken = [], []

    async def receive():
        taken.append(1)
        return {"type": "http.request", "body": b" " * 30, "more_body": True}

    async def send(message):
        sent.append(message)

    await asyncio.wait_for(client.app(scope, receive, send), 20)
    assert sent[0]["status"] == 413
    assert "100 bytes" in json.loads(sent[1]["body"])["error"]
    assert len(taken) == (0 if announced else 4)


async def test_a_client_that_leaves_early(client):
    async def gone():
        return {"type": "http.disconnect"}

    async def send(message):
        raise AssertionError(message)

    await client.app({"type": "http", "method": "POST", "path": PATH, "headers": []}, gone, send)
    assert client.seen.requests == [("default", "http", "499", 0)]


@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
async def test_compression_both_ways(client, encoding, compress):
    headers = [("content-encoding", encoding), ("accept-encoding", encoding)]
    status, fields, body = await client("POST", PATH, compress(json.dumps(ROW).encode()), headers)
    assert status == 200
    assert fields["content-encoding"] == encoding
    plain = gzip.decompress(body) if encoding == "gzip" else zlib.decompress(body)
    assert json.loads(plain)["model_name"] == "default"


async def test_replies_are_not_compressed_for_whoever_would_take_it(client):
    _, fields, _ = await client.infer(headers=[("accept-encoding", "gzip, deflate, br")])
    assert "content-encoding" not in fields


@pytest.mark.parametrize(
    ("encoding", "body", "status"),
    [
        ("br", b"x", 415),
        ("gzip", b"not gzip", 400),
        ("gzip", gzip.compress(b"{}" * 50, mtime=0)[:-6], 400),
        ("gzip", gzip.compress(b"{}", mtime=0) + b"more", 400),
        ("gzip", gzip.compress(bytes(5_000_000), mtime=0), 413),
    ],
)
async def test_bad_compression(encoding, body, status):
    client = Client(Limits(body_bytes=1_000_000))
    got, _, reply = await client("POST", PATH, body, [("content-encoding", encoding)])
    assert got == status
    assert "error" in json.loads(reply)


@pytest.mark.parametrize("size", [10_000, 65_535, 65_536, 65_537, 3_000_000])
@pytest.mark.parametrize("limit", [65_535, 65_536, 64 << 20])
@pytest.mark.parametrize("fast", [gzip.compress, zlib.compress])
async def test_bodies_of_any_size_are_unpacked_whole(monkeypatch, size, limit, fast):
    """On the loop while little comes out, else in a thread: what goes in says nothing about what comes out."""
    threaded = []

    async def to_thread(work, *arguments):
        threaded.append(work)
        return work(*arguments)

    monkeypatch.setattr(asyncio, "to_thread", to_thread)
    plain = (b"0123456789" * (size // 10 + 1))[:size]
    packed = fast(plain)
    assert len(packed) < 65_536
    encoding = b"gzip" if fast is gzip.compress else b"deflate"
    limits = Limits(body_bytes=limit)
    if size > limit:
        with pytest.raises(HttpRefusal) as refused:
            await decompress(packed, encoding, limits)
        assert refused.value.status == 413
    else:
        assert await decompress(packed, encoding, limits) == plain
        assert size == 65_536 or bool(threaded) == (size > 65_536)
    for broken in (packed[:-3], packed + b"more"):
        with pytest.raises(HttpRefusal) as refused:
            await decompress(broken, encoding, limits)
        assert refused.value.status == (413 if size > limit else 400)


async def test_binary_in_and_out(client):
    head = json.dumps(
        {
            "inputs": [
                {
                    **{k: v for k, v in ROW["inputs"][0].items() if k != "data"},
                    "parameters": {"binary_data_size": 8},
                }
            ],
            "parameters": {"binary_data_output": True},
        }
    ).encode()
    tail = np.float32([3, 4]).tobytes()
    status, fields, body = await client(
        "POST", PATH, head + tail, [("inference-header-content-length", str(len(head)))]
    )
    assert status == 200
    cut = int(fields["inference-header-content-length"])
    assert json.loads(body[:cut])["outputs"][0]["parameters"] == {"binary_data_size": 8}
    assert body[cut:] == tail + np.float32([0.75]).tobytes()


@pytest.mark.parametrize("value", ["-1", "x", "1.0", "9" * 30])
async def test_bad_header_length(client, value):
    status, _, body = await client("POST", PATH, b"{}", [("inference-header-content-length", value)])
    assert status == 400
    assert json.loads(body)["error"].startswith("inference-header-content-length")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("POST", "/healthz", 405),
        ("GET", PATH, 405),
        ("POST", "/v2/models/nope/infer", 404),
        ("GET", "/v2/models/nope", 404),
        ("GET", "/v2/models/nope/ready", 404),
        ("GET", "/v2/models/default/versions/7/config", 404),
        ("GET", "/v2/models/starting/ready", 400),
        ("GET", "/v2/health/ready", 400),
        ("POST", "/v2/repository/models/default/load", 501),
        ("POST", "/v2/models/default/generate", 501),
        ("GET", "/v2/systemsharedmemory/status", 501),
        ("GET", "/v2/logging", 501),
        ("POST", "/v2//models/default/infer", 404),
        ("POST", "/v2/models//infer", 404),
    ],
)
async def test_every_error_is_an_error_object(client, method, path, status):
    got, headers, body = await client(method, path)
    assert got == status
    assert headers["content-type"] == "application/json"
    assert set(json.loads(body)) == {"error"}
    if status == 405:
        assert headers["allow"]


async def get(client, path):
    status, _, body = await client("GET", path)
    assert status == 200
    return json.loads(body)


async def test_metadata(client):
    assert (await get(client, "/"))["models"]["default"] == PATH
    assert (await get(client, "/healthz")) == {"status": "ok", "ready": {"default": True, "starting": False}}
    assert "binary_tensor_data" in (await get(client, "/v2"))["extensions"]
    model = await get(client, "/v2/models/default/versions/1")
    assert model["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 2]}]
    assert [output["name"] for output in model["outputs"]] == ["x", "confidence"]
    assert (await get(client, "/v2/models/starting"))["inputs"] == []
    config = await get(client, "/v2/models/default/config")
    assert config["input"] == [{"name": "x", "data_type": "TYPE_FP32", "dims": [2]}]
    assert (await get(client, "/v2/health/live")) == {"live": True}
    assert (await get(client, "/v2/models/default/ready")) == {"ready": True}


async def test_repository_index(client):
    async def index(body):
        status, _, reply = await client("POST", "/v2/repository/index", body)
        return status, json.loads(reply)

    status, models = await index(b"")
    assert status == 200
    assert [(model["name"], model["state"]) for model in models] == [
        ("default", "READY"),
        ("starting", "UNAVAILABLE"),
    ]
    assert [model["name"] for model in (await index(b'{"ready": true}'))[1]] == ["default"]
    for bad in (b"{", b"[]", b'{"ready": 1}'):
        assert (await index(bad))[0] == 400


async def test_statistics(client):
    await client.infer({"inputs": [{"name": "x", "shape": [2, 2], "datatype": "FP32", "data": [1, 2, 3, 4]}]})
    await client.infer({"inputs": []})
    await client.infer(path="/v2/models/nope/infer")
    (stats,) = (await get(client, "/v2/models/default/stats"))["model_stats"]
    assert (stats["inference_count"], stats["execution_count"]) == (2, 1)
    assert stats["inference_stats"]["success"]["count"] == stats["inference_stats"]["fail"]["count"] == 1
    assert stats["inference_stats"]["success"]["ns"] > 0
    assert stats["last_inference"] > 1_600_000_000_000
    names = [each["name"] for each in (await get(client, "/v2/models/stats"))["model_stats"]]
    assert names == ["default", "starting"]
    assert client.seen.requests[-1] == ("unknown", "http", "404", 0)


async def test_openapi_documents_inference(client):
    document = await get(client, "/openapi.json")
    operation = document["paths"]["/v2/models/{name}/infer"]["post"]
    assert operation["requestBody"]["content"]["application/json"]["example"]["inputs"]
    assert {"400", "404", "413", "503", "504"} <= set(operation["responses"])
    assert "/v2/models/{name}/versions/{version}/stats" in document["paths"]
    for operations in document["paths"].values():
        assert all("422" not in each["responses"] for each in operations.values())
        for method, each in operations.items():
            assert ({"408", "411", "413"} <= set(each["responses"])) == (method != "get")
    status, _, body = await client("GET", "/docs")
    assert status == 200
    assert b"openapi.json" in body


async def test_lifespan_is_answered(client):
    messages = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    sent = []

    async def receive():
        return messages.pop(0)

    async def send(message):
        sent.append(message["type"])

    await client.app({"type": "lifespan"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
