"""Requests that are understood: tensors, rows, parameters."""

import json
import struct

import numpy as np
import pytest

from mesh.errors import InvalidInput
from mesh.routing.types import MISSING
from serve.oip.request import Asked, InferRequest, parse_infer
from tests.fakes.echo_engine import signature

X16 = signature(("x", "FP32", (-1, 4)))


def asked(sig=X16, reads=frozenset(), **more) -> Asked:
    return Asked("default", "1", sig, frozenset(reads), 100.0, 64, "made-up", **more)


def parse(request: object, sig=X16, *, tail: bytes = b"", reads=frozenset(), **more) -> InferRequest:
    body = json.dumps(request).encode()
    return parse_infer(body + tail, len(body) if tail else None, asked(sig, reads, **more))


def one(data: object, shape=(1, 4), datatype="FP32", **parameters) -> dict:
    request: dict = {"inputs": [{"name": "x", "shape": list(shape), "datatype": datatype, "data": data}]}
    if parameters:
        request["parameters"] = parameters
    return request


@pytest.mark.parametrize("data", [[1, 2.5, -3, 4e0], [[1, 2.5, -3, 4]]])
def test_flat_and_nested_data_are_the_same(data):
    array = parse(one(data)).batch.tensors["x"]
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, np.float32([[1, 2.5, -3, 4]]))


def test_data_of_any_depth_and_with_spaces():
    values = np.arange(12).reshape(2, 3, 2).tolist()
    array = parse(one(values, (2, 3, 2), "INT16"), None).batch.tensors["x"]
    assert array.dtype == np.int16
    np.testing.assert_array_equal(array, values)
    spaced = b'{"inputs":[{"name":"x","shape":[2,1],"datatype":"INT8","data":[ [ 1 ] , [ -2 ] ]}]}'
    np.testing.assert_array_equal(parse_infer(spaced, None, asked(None)).batch.tensors["x"], [[1], [-2]])


@pytest.mark.parametrize(
    ("datatype", "values"),
    [
        ("BOOL", [True, False]),
        ("UINT8", [0, 255]),
        ("UINT16", [0, 65535]),
        ("UINT32", [0, 2**32 - 1]),
        ("UINT64", [0, 2**64 - 1]),
        ("INT8", [-128, 127]),
        ("INT16", [-(2**15), 2**15 - 1]),
        ("INT32", [-(2**31), 2**31 - 1]),
        ("INT64", [-(2**63), 2**63 - 1]),
        ("FP16", [0.5, 65504]),
        ("FP32", [0.1, -3e38]),
        ("FP64", [0.1, 1e308]),
        ("BYTES", ["é", ""]),
    ],
)
def test_every_datatype_in_json(datatype, values):
    array = parse(one(values, (2,), datatype), None).batch.tensors["x"]
    expected = [value.encode() for value in values] if datatype == "BYTES" else np.array(values, array.dtype)
    assert list(array) == list(expected)


@pytest.mark.parametrize("dtype", ["bool", "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8"])
def test_every_datatype_in_binary(dtype):
    names = {
        "b1": "BOOL",
        "u1": "UINT8",
        "u2": "UINT16",
        "u4": "UINT32",
        "u8": "UINT64",
        "i1": "INT8",
        "i2": "INT16",
    }
    names |= {"i4": "INT32", "i8": "INT64", "f2": "FP16", "f4": "FP32", "f8": "FP64"}
    sent = np.array([[0, 1], [1, 100]]).astype(dtype)
    tensor = {
        "name": "x",
        "shape": [2, 2],
        "datatype": names[sent.dtype.str[1:]],
        "parameters": {"binary_data_size": sent.nbytes},
    }
    array = parse({"inputs": [tensor]}, None, tail=sent.tobytes()).batch.tensors["x"]
    assert array.dtype == sent.dtype
    np.testing.assert_array_equal(array, sent)


def test_bytes_in_binary_and_two_inputs_in_one_body():
    texts = b"".join(struct.pack("<I", len(text)) + text for text in (b"\xff\x00", b""))
    request = {
        "inputs": [
            {
                "name": "t",
                "shape": [2, 1],
                "datatype": "BYTES",
                "parameters": {"binary_data_size": len(texts)},
            },
            {"name": "n", "shape": [2], "datatype": "INT32", "data": [7, 8]},
            {"name": "f", "shape": [2], "datatype": "FP32", "parameters": {"binary_data_size": 8}},
        ]
    }
    tensors = parse(request, None, tail=texts + np.float32([1, 2]).tobytes()).batch.tensors
    assert tensors["t"].tolist() == [[b"\xff\x00"], [b""]]
    assert tensors["n"].tolist() == [7, 8]
    assert tensors["f"].tolist() == [1, 2]


def test_a_raw_body_is_one_row():
    row = np.float32([1, 2, 3, 4])
    request = parse_infer(row.tobytes(), 0, asked())
    np.testing.assert_array_equal(request.batch.tensors["x"], [row])
    assert request.binary
    open_width = parse_infer(row.tobytes(), 0, asked(signature(("x", "FP32", (-1, -1)))))
    assert open_width.batch.tensors["x"].shape == (1, 4)
    text = parse_infer(b"hello", 0, asked(signature(("t", "BYTES", (-1, 1)))))
    assert text.batch.tensors["t"].tolist() == [[b"hello"]]


def test_ids_come_from_rows_then_request_then_nowhere():
    two = one([0] * 8, (2, 4))
    assert list(parse(two).batch.ids) == ["made-up/0", "made-up/1"]
    assert list(parse({**two, "id": "r"}).batch.ids) == ["r/0", "r/1"]
    assert list(parse({**one([0] * 4), "id": "r"}).batch.ids) == ["r"]
    assert list(parse(one([0] * 8, (2, 4), mesh_row_ids=["a", "b"])).batch.ids) == ["a", "b"]
    assert list(parse(one([0] * 8, (2, 4), mesh_row_ids='["a", "b"]')).batch.ids) == ["a", "b"]
    assert list(parse(one([0] * 8, (2, 4), mesh_row_ids="a")).batch.ids) == ["a/0", "a/1"]


def test_keys_are_explicit_or_absent():
    assert parse(one([0] * 4)).batch.keys is None
    assert list(parse(one([0] * 8, (2, 4), mesh_keys="k")).batch.keys or ()) == ["k", "k"]
    assert list(parse(one([0] * 8, (2, 4), mesh_keys='["k", "l"]')).batch.keys or ()) == ["k", "l"]


@pytest.mark.parametrize(
    "given",
    [{"a": {"b": 1}, "c": True, "unread": 0}, '{"a": {"b": 1}, "c": true}', [{"a": {"b": 1}, "c": True}] * 2],
)
def test_attributes_become_the_columns_that_rules_read(given):
    batch = parse(one([0] * 8, (2, 4), mesh_attributes=given), reads={"a.b", "c", "d"}).batch
    assert {name: list(column) for name, column in batch.attributes.items()} == {
        "a.b": [1, 1],
        "c": [True, True],
        "d": [MISSING, MISSING],
    }


def test_rows_without_attributes_hold_missing():
    assert {name: list(c) for name, c in parse(one([0] * 4), reads={"rollout"}).batch.attributes.items()} == {
        "rollout": [MISSING]
    }


def test_the_earliest_deadline_wins():
    assert parse(one([0] * 4)).deadline is None
    assert parse(one([0] * 4, timeout=2_000_000)).deadline == 102.0
    assert parse(one([0] * 4, timeout=2_000_000), timeout_ms="500").deadline == 100.5
    assert parse(one([0] * 4, timeout=2_000_000), due=101.0).deadline == 101.0
    assert parse(one([0] * 4), due=101.0).deadline == 101.0


def test_outputs_variant_and_partial():
    outputs = [{"name": "x", "parameters": {"binary_data": False}}, {"name": "confidence"}]
    request = parse(
        {**one([0] * 4, binary_data_output=True, mesh_partial=True), "outputs": outputs}, variant="canary"
    )
    assert request.outputs == {"x": False, "confidence": True}
    assert (request.binary, request.partial, request.variant) == (True, True, "canary")
    assert parse(one([0] * 4)).outputs is None


def test_unknown_keys_are_ignored():
    assert len(parse({**one([0] * 4, sequence_id=3, priority=1), "more": {"x": [1]}}).batch) == 1


X = {"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 4]}


def but(**changes) -> bytes:
    return json.dumps({"inputs": [{**X, **changes}]}).encode()


def having(**parameters) -> bytes:
    return json.dumps({"inputs": [X], "parameters": parameters}).encode()


BAD = [
    (b"", "body"),
    (b"not json", "body"),
    (b"\xff\xfe\x00", "body"),
    (b'{"inputs"', "body"),
    (b"[]", "body"),
    (b'"text"', "body"),
    (b"{}", "inputs"),
    (b'{"inputs": {}}', "inputs"),
    (b'{"inputs": []}', "inputs"),
    (b'{"inputs": [1]}', "inputs[0]"),
    (b'{"inputs": [{}]}', "inputs[0].name"),
    (b'{"id": 7, "inputs": []}', "id"),
    (b'{"id": "\\ud800", "inputs": []}', "body"),
    (but(name=1), "inputs[0].name"),
    (but(name="y"), "input 'x'"),
    (json.dumps({"inputs": [X, X]}).encode(), "inputs[1].name"),
    (json.dumps({"inputs": [X, {**X, "name": "y"}]}).encode(), "input 'y'"),
    (but(datatype="FP64"), "input 'x'"),
    (but(datatype="BF16"), "inputs[0].datatype"),
    (but(datatype="float"), "inputs[0].datatype"),
    (but(datatype=None), "inputs[0].datatype"),
    (but(shape="1"), "inputs[0].shape"),
    (but(shape=[1, "4"]), "inputs[0].shape[1]"),
    (but(shape=[1.0, 4]), "inputs[0].shape[0]"),
    (but(shape=[True, 4]), "inputs[0].shape[0]"),
    (but(shape=[]), "inputs[0].shape"),
    (but(shape=[1] * 17, data=[1]), "inputs[0].shape"),
    (but(shape=[-1, 4]), "inputs[0].shape"),
    (but(shape=[0, 4], data=[]), "inputs[0].shape"),
    (but(shape=[1, 0], data=[]), "inputs[0].shape"),
    (but(shape=[10**30, 4]), "inputs[0].data"),
    (but(shape=[1, 5]), "inputs[0].data"),
    (but(shape=[1, 3], data=[1, 2, 3]), "input 'x'"),
    (but(shape=[4], data=[1, 2, 3, 4]), "input 'x'"),
    (but(data=[1, 2, 3]), "inputs[0].data"),
    (but(data=[[1, 2, 3]]), "inputs[0].data"),
    (but(shape=[2, 4], data=[[1, 2, 3, 4], [1, 2, 3]]), "inputs[0].data"),
    (but(data=[[[1, 2, 3, 4]]]), "inputs[0].data"),
    (but(data=[1, [2], 3, 4]), "inputs[0].data[1]"),
    (but(data=[1, 2, None, 4]), "inputs[0].data[2]"),
    (but(data=[1, 2, "3", 4]), "inputs[0].data[2]"),
    (but(data=[1, 2, True, 4]), "inputs[0].data[2]"),
    (but(data={}), "inputs[0].data"),
    (but(data="1,2,3,4"), "inputs[0].data"),
    (but(data=None), "inputs[0].data"),
    (json.dumps({"inputs": [{k: v for k, v in X.items() if k != "data"}]}).encode(), "inputs[0].data"),
    (but(data=[1, 2, 3, 1e39]), "inputs[0].data"),
    (but(data=[1, 2, 3, 10**400]), "inputs[0].data[3]"),
    (but().replace(b"4]}", b"NaN]}"), "body"),
    (but().replace(b"4]}", b"1e999]}"), "inputs[0].data[3]"),
    (but(datatype="INT8", data=[1, 2, 3, 128]), "inputs[0].data"),
    (but(datatype="INT64", data=[1, 2, 3, 2**70]), "inputs[0].data"),
    (but(datatype="UINT8", data=[1, 2, 3, -1]), "inputs[0].data"),
    (but(datatype="INT32", data=[1, 2, 3, 4.5]), "inputs[0].data[3]"),
    (but(datatype="BOOL", data=[1, 0, 1, 0]), "inputs[0].data[0]"),
    (but(datatype="BYTES", data=[1, 2, 3, 4]), "inputs[0].data[0]"),
    (but(shape=[65, 4], data=[0] * 260), "inputs"),
    (but(data=0).replace(b": 0}", b": " + b"[" * 100_000 + b"]" * 100_000 + b"}"), "body"),
    (but(data=0).replace(b": 0}", b": " + b"[" * 900 + b"]" * 900 + b"}"), "inputs[0].data"),
    (but(parameters=1), "inputs[0].parameters"),
    (but(parameters={"binary_data_size": "4"}), "inputs[0].parameters.binary_data_size"),
    (but(parameters={"binary_data_size": 16}), "inputs[0].data"),
    (but(parameters={"shared_memory_region": "r"}), "inputs[0].parameters.shared_memory_region"),
    (having(timeout="1"), "parameters.timeout"),
    (having(timeout=-1), "parameters.timeout"),
    (having(timeout=10**20), "parameters.timeout"),
    (having(mesh_partial=1), "parameters.mesh_partial"),
    (having(binary_data_output="yes"), "parameters.binary_data_output"),
    (having(mesh_keys=3), "parameters.mesh_keys"),
    (having(mesh_keys=[1]), "parameters.mesh_keys"),
    (having(mesh_keys=["a", "b"]), "parameters.mesh_keys"),
    (having(mesh_keys="[1, "), "parameters.mesh_keys"),
    (having(mesh_row_ids={}), "parameters.mesh_row_ids"),
    (having(mesh_row_ids=[]), "parameters.mesh_row_ids"),
    (having(mesh_attributes=3), "parameters.mesh_attributes"),
    (having(mesh_attributes="text"), "parameters.mesh_attributes"),
    (having(mesh_attributes=[{}, {}]), "parameters.mesh_attributes"),
    (having(mesh_attributes=[3]), "parameters.mesh_attributes"),
    (having(mesh_attributes="[" * 100_000), "parameters.mesh_attributes"),
    (json.dumps({"inputs": [X], "parameters": []}).encode(), "parameters"),
    (json.dumps({"inputs": [X], "outputs": {}}).encode(), "outputs"),
    (json.dumps({"inputs": [X], "outputs": [{}]}).encode(), "outputs[0].name"),
    (json.dumps({"inputs": [X], "outputs": [{"name": "nope"}]}).encode(), "outputs"),
    (json.dumps({"inputs": [X], "outputs": [{"name": "x"}] * 2}).encode(), "outputs[1].name"),
    (
        json.dumps({"inputs": [X], "outputs": [{"name": "x", "parameters": {"classification": 2}}]}).encode(),
        "outputs[0].parameters.classification",
    ),
]


@pytest.mark.parametrize(("body", "field"), BAD, ids=[f"{i}-{f}" for i, (_, f) in enumerate(BAD)])
def test_bad_json_names_the_field(body, field):
    with pytest.raises(InvalidInput) as refused:
        parse_infer(body, None, asked())
    assert refused.value.field == field
    assert len(str(refused.value)) < 400


def binary(size: object, **changes) -> bytes:
    tensor = (
        {k: v for k, v in X.items() if k != "data"} | {"parameters": {"binary_data_size": size}} | changes
    )
    return json.dumps({"inputs": [tensor]}).encode()


@pytest.mark.parametrize(
    ("head", "tail", "field"),
    [
        (binary(16), bytes(15), "inputs[0].parameters.binary_data_size"),
        (binary(16), bytes(17), "body"),
        (binary(12), bytes(12), "inputs[0]"),
        (binary(8, datatype="FP64"), bytes(8), "inputs[0]"),
        (binary(4, datatype="BYTES", shape=[1, 4]), bytes(4), "inputs[0]"),
        (binary(3, datatype="BYTES", shape=[1, 1]), bytes(3), "inputs[0]"),
        (binary(8, datatype="BYTES", shape=[1, 1]), b"\xff\xff\xff\xff1234", "inputs[0]"),
        (binary(8, datatype="BYTES", shape=[1, 1]), bytes(8), "inputs[0]"),
        (binary(-1), b"", "inputs[0].parameters.binary_data_size"),
        (binary(16, data=[1, 2, 3, 4]), bytes(16), "inputs[0].data"),
    ],
)
def test_bad_binary_names_the_place(head, tail, field):
    with pytest.raises(InvalidInput) as refused:
        parse_infer(head + tail, len(head), asked())
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("body", "length", "sig"),
    [(b"{}", 3, X16), (bytes(16), 0, None), (bytes(16), 0, signature(("x", "FP32", (-1, -1, -1))))],
)
def test_bad_header_lengths(body, length, sig):
    with pytest.raises(InvalidInput) as refused:
        parse_infer(body, length, asked(sig))
    assert refused.value.field == "inference-header-content-length"


@pytest.mark.parametrize("text", ["", "0", "-5", "1.5", "abc", "9" * 9, "²"])
def test_bad_timeout_headers(text):
    with pytest.raises(InvalidInput, match="x-request-timeout-ms"):
        parse(one([0] * 4), timeout_ms=text)


def test_a_bad_variant():
    with pytest.raises(InvalidInput, match="x-mesh-variant"):
        parse(one([0] * 4), variant="both")


def test_inputs_that_differ_in_rows_without_a_signature():
    inputs = [
        {"name": "a", "shape": [1], "datatype": "INT8", "data": [1]},
        {"name": "b", "shape": [2], "datatype": "INT8", "data": [1, 2]},
    ]
    with pytest.raises(InvalidInput, match="differ in their rows"):
        parse({"inputs": inputs}, None)


@pytest.mark.parametrize("datatype", ["FP32", "BYTES"])
@pytest.mark.parametrize("binary", [False, True])
def test_sizes_without_end_are_refused(datatype, binary):
    shape = f"[{'9' * 3000},{'9' * 3000}]"
    data = '"parameters":{"binary_data_size":4}' if binary else '"data":[1]'
    body = f'{{"inputs":[{{"name":"x","shape":{shape},"datatype":"{datatype}",{data}}}]}}'.encode()
    with pytest.raises(InvalidInput, match=r"inputs\[0\].shape"):
        parse_infer(body + b"abcd" * binary, len(body) if binary else None, asked(None))
