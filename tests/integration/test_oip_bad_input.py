"""Bad input at every edge: a clear refusal that names the field, never a 500, and the server lives."""

import http.client
import json
import socket

import grpc
import pytest
from tritonclient.grpc import service_pb2 as pb
from tritonclient.grpc import service_pb2_grpc as stubs

from serve.oip.ports import Limits
from tests.fakes.echo_engine import EchoEngine, signature
from tests.fakes.edge_server import EdgeServer

PATH = "/v2/models/default/infer"
X = {"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 4]}
MAX_BODY = 2_000_000


@pytest.fixture(scope="module")
def server():
    server = serving(10.0)
    yield server
    server.close()


@pytest.fixture(scope="module")
def hasty():
    """Waits for the rest of a body for half a second."""
    server = serving(0.5)
    yield server
    server.close()


def serving(body_idle_s):
    limits = Limits(body_bytes=MAX_BODY, rows=100, body_idle_s=body_idle_s)
    return EdgeServer(EchoEngine({"default": signature(("x", "FP32", (-1, 4)))}), limits)


def post(server, body, path=PATH, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=60)
    try:
        connection.request("POST", path, body, headers or {})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def but(**changes) -> bytes:
    return json.dumps({"inputs": [{**X, **changes}]}).encode()


HTTP = {
    "not JSON": (b"<xml/>", 400, "body"),
    "empty": (b"", 400, "body"),
    "5 MB of garbage": (b"\x00" * 5_000_000, 413, "body"),
    "missing input": (b'{"inputs": []}', 400, "inputs"),
    "wrong name": (but(name="y"), 400, "input 'x'"),
    "duplicate input": (json.dumps({"inputs": [X, X]}).encode(), 400, "inputs[1].name"),
    "unknown input": (json.dumps({"inputs": [X, {**X, "name": "y"}]}).encode(), 400, "input 'y'"),
    "wrong dtype": (but(datatype="FP64"), 400, "input 'x'"),
    "ragged": (but(shape=[2, 4], data=[[1, 2, 3, 4], [1, 2, 3]]), 400, "inputs[0].data"),
    "wrong width": (but(shape=[1, 3], data=[1, 2, 3]), 400, "input 'x'"),
    "NaN": (but().replace(b"4]", b"NaN]"), 400, "body"),
    "Infinity": (but().replace(b"4]", b"Infinity]"), 400, "body"),
    "shape and data differ": (but(shape=[2, 4]), 400, "inputs[0].data"),
    "empty batch": (but(shape=[0, 4], data=[]), 400, "inputs[0].shape"),
    "too many rows": (but(shape=[101, 4], data=[0] * 404), 400, "inputs"),
    "deep nesting": (but(data=0).replace(b": 0}", b": " + b"[" * 500_000 + b"}"), 400, "body"),
    "deep parameters": (b'{"inputs":[],"parameters":{"mesh_attributes":' + b'{"a":' * 100_000, 400, "body"),
    "huge integer": (but(shape=[10**40, 4]), 400, "inputs[0].data"),
    "huge number": (but(data=[1, 2, 3, 10**300]), 400, "inputs[0].data"),
    "text for a number": (but(data=[1, 2, 3, "4"]), 400, "inputs[0].data[3]"),
    "null for a number": (but(data=[1, 2, 3, None]), 400, "inputs[0].data[3]"),
    "inputs is an object": (b'{"inputs": {}}', 400, "inputs"),
    "id is a number": (json.dumps({"inputs": [X], "id": 1}).encode(), 400, "id"),
    "unknown output": (json.dumps({"inputs": [X], "outputs": [{"name": "y"}]}).encode(), 400, "outputs"),
}


@pytest.mark.parametrize("case", HTTP)
def test_http(server, case):
    body, status, field = HTTP[case]
    got, reply = post(server, body)
    assert got == status, reply
    assert set(reply) == {"error"}
    assert reply["error"].startswith(field)
    assert post(server, but())[0] == 200


@pytest.mark.parametrize(
    ("path", "headers", "status", "field"),
    [
        ("/v2/models/nope/infer", {}, 404, "no model 'nope'"),
        ("/v2/models/default/versions/3/infer", {}, 404, "model 'default' has no version"),
        (PATH, {"Inference-Header-Content-Length": "abc"}, 400, "inference-header-content-length"),
        (PATH, {"Inference-Header-Content-Length": "99999"}, 400, "inference-header-content-length"),
        (PATH, {"Inference-Header-Content-Length": "5"}, 400, "body"),
        (PATH, {"Inference-Header-Content-Length": "0"}, 400, "body"),
        (PATH, {"Content-Encoding": "br"}, 415, "content-encoding"),
        (PATH, {"Content-Encoding": "gzip"}, 400, "body"),
        (PATH, {"X-Request-Timeout-Ms": "soon"}, 400, "x-request-timeout-ms"),
        (PATH, {"X-Mesh-Variant": "other"}, 400, "x-mesh-variant"),
    ],
)
def test_http_addresses_and_headers(server, path, headers, status, field):
    got, reply = post(server, but(), path, headers)
    assert got == status
    assert reply["error"].startswith(field)


def raw(server, data: bytes, *, shut: bool = False) -> bytes:
    with socket.create_connection(("127.0.0.1", server.http_port), timeout=60) as connection:
        connection.sendall(data)
        if shut:
            connection.shutdown(socket.SHUT_WR)
        received = b""
        while piece := connection.recv(65536):
            received += piece
        return received


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: abc\r\n\r\n{{}}", 400),
        ("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n{{}}", 400),
        ("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{{}}", 400),
        ("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n{{}}", 413),
        ("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\n\r\n{{}}", 408),
        ("POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        ("POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 1\r\n\r\n{{}}", 400),
        ("nonsense\r\n\r\n", 400),
        ("\x16\x03\x01\x02\x00", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nBad Header\r\n\r\n", 400),
        ("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ],
)
def test_broken_http(server, hasty, head, status):
    reply = raw(hasty if status == 408 else server, head.format(path=PATH).encode("latin-1"))
    assert reply.startswith(b"HTTP/1.1 %d " % status), reply
    assert set(json.loads(reply.split(b"\r\n\r\n", 1)[1])) == {"error"}


def grpc_request(**changes) -> pb.ModelInferRequest:
    tensor = {"name": "x", "datatype": "FP32", "shape": [1, 4], **changes.pop("tensor", {})}
    fields = {"model_name": "default", "raw_input_contents": [bytes(16)], **changes}
    return pb.ModelInferRequest(inputs=[pb.ModelInferRequest.InferInputTensor(**tensor)], **fields)


def twice() -> pb.ModelInferRequest:
    request = grpc_request(raw_input_contents=[bytes(16)] * 2)
    request.inputs.append(request.inputs[0])
    return request


def with_parameter(name, **value) -> pb.ModelInferRequest:
    return grpc_request(parameters={name: pb.InferParameter(**value)})


def contents(**values):
    return {"contents": pb.InferTensorContents(**values)}


GRPC = {
    "unknown model": (grpc_request(model_name="nope"), "NOT_FOUND", "no model 'nope'"),
    "unknown version": (grpc_request(model_version="3"), "NOT_FOUND", "model 'default'"),
    "no input": (pb.ModelInferRequest(model_name="default"), "INVALID_ARGUMENT", "inputs"),
    "wrong name": (grpc_request(tensor={"name": "y"}), "INVALID_ARGUMENT", "input 'x'"),
    "duplicate input": (twice(), "INVALID_ARGUMENT", "inputs[1].name"),
    "wrong dtype": (grpc_request(tensor={"datatype": "INT32"}), "INVALID_ARGUMENT", "input 'x'"),
    "unknown dtype": (grpc_request(tensor={"datatype": "BF16"}), "INVALID_ARGUMENT", "inputs[0].datatype"),
    "shape and data differ": (grpc_request(tensor={"shape": [2, 4]}), "INVALID_ARGUMENT", "inputs[0]"),
    "wrong width": (
        grpc_request(tensor={"shape": [1, 3]}, raw_input_contents=[bytes(12)]),
        "INVALID_ARGUMENT",
        "input 'x'",
    ),
    "no shape": (grpc_request(tensor={"shape": []}), "INVALID_ARGUMENT", "inputs[0].shape"),
    "negative shape": (grpc_request(tensor={"shape": [-1, 4]}), "INVALID_ARGUMENT", "inputs[0].shape"),
    "huge shape": (grpc_request(tensor={"shape": [2**62, 2**62]}), "INVALID_ARGUMENT", "inputs[0]"),
    "empty batch": (
        grpc_request(tensor={"shape": [0, 4]}, raw_input_contents=[b""]),
        "INVALID_ARGUMENT",
        "inputs[0].shape",
    ),
    "too many rows": (
        grpc_request(tensor={"shape": [101, 4]}, raw_input_contents=[bytes(1616)]),
        "INVALID_ARGUMENT",
        "inputs",
    ),
    "too many raw": (
        grpc_request(raw_input_contents=[bytes(16)] * 2),
        "INVALID_ARGUMENT",
        "raw_input_contents",
    ),
    "both contents": (
        grpc_request(tensor=contents(fp32_contents=[1] * 4)),
        "INVALID_ARGUMENT",
        "inputs[0].contents",
    ),
    "wrong contents": (
        grpc_request(tensor=contents(int_contents=[1] * 4), raw_input_contents=[]),
        "INVALID_ARGUMENT",
        "inputs[0].contents",
    ),
    "no contents": (grpc_request(raw_input_contents=[]), "INVALID_ARGUMENT", "inputs[0].contents"),
    "number too large": (
        grpc_request(tensor={"datatype": "INT8", **contents(int_contents=[300] * 4)}, raw_input_contents=[]),
        "INVALID_ARGUMENT",
        "inputs[0].contents",
    ),
    "FP16 contents": (
        grpc_request(tensor={"datatype": "FP16"}, raw_input_contents=[]),
        "INVALID_ARGUMENT",
        "inputs[0].contents",
    ),
    "bad attributes": (
        with_parameter("mesh_attributes", string_param="{"),
        "INVALID_ARGUMENT",
        "parameters.mesh_attributes",
    ),
    "attributes is a number": (
        with_parameter("mesh_attributes", int64_param=1),
        "INVALID_ARGUMENT",
        "parameters.mesh_attributes",
    ),
    "too many keys": (
        with_parameter("mesh_keys", string_param='["a", "b"]'),
        "INVALID_ARGUMENT",
        "parameters.mesh_keys",
    ),
    "partial is a text": (
        with_parameter("mesh_partial", string_param="true"),
        "INVALID_ARGUMENT",
        "parameters.mesh_partial",
    ),
    "timeout is negative": (
        with_parameter("timeout", int64_param=-1),
        "INVALID_ARGUMENT",
        "parameters.timeout",
    ),
    "unknown output": (
        grpc_request(outputs=[pb.ModelInferRequest.InferRequestedOutputTensor(name="y")]),
        "INVALID_ARGUMENT",
        "outputs",
    ),
}


@pytest.mark.parametrize("case", GRPC)
def test_grpc(server, case):
    request, code, field = GRPC[case]
    with grpc.insecure_channel(server.grpc) as channel:
        stub = stubs.GRPCInferenceServiceStub(channel)
        with pytest.raises(grpc.RpcError) as refused:
            stub.ModelInfer(request, timeout=60)
        assert refused.value.code().name == code
        assert refused.value.details().startswith(field)
        assert stub.ModelInfer(grpc_request(), timeout=60).model_name == "default"


def test_grpc_messages_are_bounded(server):
    with grpc.insecure_channel(server.grpc) as channel:
        stub = stubs.GRPCInferenceServiceStub(channel)
        with pytest.raises(grpc.RpcError) as refused:
            stub.ModelInfer(grpc_request(raw_input_contents=[bytes(MAX_BODY + (2 << 20))]), timeout=60)
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_grpc_typed_contents_are_understood(server):
    with grpc.insecure_channel(server.grpc) as channel:
        request = grpc_request(tensor=contents(fp32_contents=[1, 2, 3, 4]), raw_input_contents=[])
        reply = stubs.GRPCInferenceServiceStub(channel).ModelInfer(request, timeout=60)
        assert reply.raw_output_contents[0] == b"\0\0\x80?\0\0\0@\0\0@@\0\0\x80@"
