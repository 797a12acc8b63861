"""Whatever a client sends, a parser says `InvalidInput` or understands it; nothing else ever comes out."""

import contextlib
import json

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tritonclient.grpc import service_pb2 as pb

from mesh.errors import InvalidInput
from serve.oip.grpc_bytes import join_response, split_request
from serve.oip.grpc_messages import read_request
from serve.oip.request import Asked, InferRequest, parse_infer
from tests.fakes.echo_engine import signature

KNOWN = Asked("default", "1", signature(("x", "FP32", (-1, 2))), frozenset({"a.b"}), 0.0, 8, "id")
OPEN = Asked("default", "1", None, frozenset({"a.b"}), 0.0, 8, "id")

numbers = st.integers(-3, 9) | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | numbers | st.text(max_size=5)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
datatypes = st.sampled_from(["FP32", "FP64", "FP16", "INT8", "INT64", "UINT64", "BOOL", "BYTES", "BF16", ""])


def sometimes(good):
    """Mostly what belongs there, else anything at all."""
    return st.one_of(good, good, good, anything)


tensors = st.fixed_dictionaries(
    {
        "name": sometimes(st.sampled_from(["x", "y"])),
        "shape": sometimes(st.lists(st.integers(-1, 4), max_size=3)),
        "datatype": sometimes(datatypes),
    },
    optional={
        "data": sometimes(st.lists(numbers | st.lists(numbers, max_size=3), max_size=8)),
        "parameters": sometimes(
            st.fixed_dictionaries({}, optional={"binary_data_size": sometimes(st.integers(-1, 20))})
        ),
    },
)
requests = st.fixed_dictionaries(
    {"inputs": sometimes(st.lists(tensors, max_size=3))},
    optional={
        "id": sometimes(st.text(max_size=4)),
        "outputs": sometimes(st.lists(st.fixed_dictionaries({"name": sometimes(st.just("x"))}), max_size=2)),
        "parameters": sometimes(
            st.fixed_dictionaries(
                {},
                optional={
                    "mesh_attributes": anything,
                    "mesh_keys": anything,
                    "mesh_row_ids": anything,
                    "timeout": anything,
                    "mesh_partial": anything,
                },
            )
        ),
    },
)


def check(body: bytes, length: int | None) -> None:
    for asked in (KNOWN, OPEN):
        try:
            request = parse_infer(body, length, asked)
        except InvalidInput:
            continue
        assert_understood(request)


def assert_understood(request: InferRequest) -> None:
    rows = len(request.batch)
    assert 1 <= rows <= 8
    assert all(
        len(array) == rows and isinstance(array, np.ndarray) for array in request.batch.tensors.values()
    )
    assert set(request.batch.attributes) == {"a.b"}
    assert all(len(column) == rows for column in request.batch.attributes.values())


@settings(max_examples=400, deadline=None)
@given(requests, st.binary(max_size=24))
def test_requests_of_almost_the_right_shape(request, tail):
    head = json.dumps(request).encode("utf-8", "surrogatepass")
    check(head, None)
    check(head + tail, len(head))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=64), st.none() | st.integers(0, 80))
def test_bytes_of_any_kind(body, length):
    check(body, length)


@settings(max_examples=300, deadline=None)
@given(requests, st.data())
def test_a_good_body_with_damage(request, data):
    body = bytearray(json.dumps(request).encode("utf-8", "surrogatepass"))
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    check(bytes(body), None)


shapes = st.lists(st.integers(-1, 4) | st.integers(-(2**63), 2**63 - 1), max_size=3)
messages = st.builds(
    pb.ModelInferRequest,
    model_name=st.just("default"),
    id=st.text("ab", max_size=2),
    inputs=st.lists(
        st.builds(
            pb.ModelInferRequest.InferInputTensor,
            name=st.sampled_from(["x", "y", ""]),
            datatype=datatypes,
            shape=shapes,
            contents=st.builds(
                pb.InferTensorContents,
                fp32_contents=st.lists(st.floats(width=32), max_size=4),
                int_contents=st.lists(st.integers(-(2**31), 2**31 - 1), max_size=4),
                bool_contents=st.lists(st.booleans(), max_size=2),
                bytes_contents=st.lists(st.binary(max_size=3), max_size=2),
            ),
        ),
        max_size=2,
    ),
    raw_input_contents=st.lists(st.binary(max_size=16), max_size=2),
    parameters=st.dictionaries(
        st.sampled_from(["mesh_attributes", "mesh_keys", "mesh_row_ids", "mesh_partial", "timeout"]),
        st.builds(pb.InferParameter, string_param=st.text('[]{}a1":', max_size=4))
        | st.builds(pb.InferParameter, int64_param=st.integers(-5, 5))
        | st.builds(pb.InferParameter, bool_param=st.booleans()),
        max_size=3,
    ),
)


@settings(max_examples=400, deadline=None)
@given(messages)
def test_grpc_messages_of_almost_the_right_shape(message):
    for asked in (KNOWN, OPEN):
        try:
            request = read_request(message, message.raw_input_contents, asked)
        except InvalidInput:
            continue
        assert_understood(request)


@settings(max_examples=200, deadline=None)
@given(messages, st.integers(0, 1 << 18))
def test_large_grpc_requests_lose_nothing_when_cut(message, size):
    message.raw_input_contents.append(bytes(size))
    cut, raw = split_request(message.SerializeToString())
    assert [bytes(tensor) for tensor in raw] == list(message.raw_input_contents)
    del message.raw_input_contents[:]
    del cut.raw_input_contents[:]
    assert cut == message


@settings(max_examples=200, deadline=None)
@given(messages, st.integers(65_536, 70_000), st.data())
def test_damaged_large_grpc_requests_are_refused_or_read(message, size, data):
    message.raw_input_contents.append(bytes(size))
    damaged = bytearray(message.SerializeToString())
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(InvalidInput):
        split_request(bytes(damaged[: data.draw(st.integers(65_536, len(damaged)))]))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=300), max_size=3))
def test_joined_grpc_responses_are_read_back(tensors):
    joined = join_response(pb.ModelInferResponse(model_name="m", id="i"), tensors)
    assert pb.ModelInferResponse.FromString(joined) == pb.ModelInferResponse(
        model_name="m", id="i", raw_output_contents=tensors
    )
