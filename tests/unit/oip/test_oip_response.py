"""Answers on their way out, and what a failure becomes."""

import json

import numpy as np
import pytest

from mesh.errors import (
    DeadlineExceeded,
    InvalidInput,
    MeshError,
    NotFound,
    Overloaded,
    RowsFailed,
    Unavailable,
)
from mesh.routing.types import Answer, Batch, Origin, RowFailure
from serve.oip.failures import retry_after, status_of, whole_failure
from serve.oip.request import InferRequest
from serve.oip.response import ReplyWriter
from serve.oip.tensors import bytes_array

RULES = Origin("rules", "1", "baseline", "primary")
ANOMALY = Origin("anomaly", "3", "rollout", "canary")


def request(rows=1, *, outputs=None, binary=False, partial=False, request_id="") -> InferRequest:
    ids = [str(row) for row in range(rows)]
    return InferRequest("default", "1", Batch({}, ids), request_id, outputs, binary, partial, None, None)


def answer(outputs, *, origin_of=(0,), confidence=None, degraded=None, failed=None) -> Answer:
    rows = len(origin_of)
    return Answer(
        outputs,
        confidence,
        (RULES, ANOMALY),
        np.array(origin_of, np.intp),
        np.zeros(rows, bool) if degraded is None else np.array(degraded),
        failed or {},
        "abc",
    )


def written(request, answer) -> dict:
    reply = ReplyWriter().write(request, answer)
    assert reply.json_length is None
    return json.loads(b"".join(reply.pieces))


def test_one_row_says_all():
    reply = written(
        request(request_id='a"b'),
        answer({"score": np.float32([[0.1, 2]])}, confidence=np.float32([0.75]), degraded=[True]),
    )
    assert reply == {
        "model_name": "default",
        "model_version": "1",
        "id": 'a"b',
        "parameters": {
            "mesh_rules": "abc",
            "mesh_answered_by": '{"model":"rules","version":"1","route":"baseline","role":"primary"}',
            "mesh_degraded": True,
        },
        "outputs": [
            {"name": "score", "datatype": "FP32", "shape": [1, 2], "data": [0.1, 2.0]},
            {"name": "confidence", "datatype": "FP32", "shape": [1], "data": [0.75]},
        ],
    }


def test_what_is_remembered_does_not_leak_into_the_next_reply():
    writer = ReplyWriter()
    first = answer({"score": np.float32([[1]])})
    second = answer({"score": np.float64([[1, 2]])}, origin_of=(1,), degraded=[True])
    for _ in range(2):
        for each, model, datatype in ((first, "rules", "FP32"), (second, "anomaly", "FP64")):
            reply = json.loads(b"".join(writer.write(request(), each).pieces))
            assert json.loads(reply["parameters"]["mesh_answered_by"])["model"] == model
            assert reply["outputs"][0]["datatype"] == datatype
            assert reply["parameters"]["mesh_degraded"] is (model == "anomaly")


def test_rows_that_differ_are_listed():
    same = written(request(2), answer({"y": np.int64([1, 2])}, origin_of=(1, 1)))
    assert json.loads(same["parameters"]["mesh_answered_by"])["model"] == "anomaly"
    differ = written(request(2), answer({"y": np.int64([1, 2])}, origin_of=(0, 1)))
    assert [by["model"] for by in json.loads(differ["parameters"]["mesh_answered_by"])] == [
        "rules",
        "anomaly",
    ]


@pytest.mark.parametrize("dtype", ["bool", "u1", "u8", "i1", "i8", "f2", "f4", "f8"])
def test_every_dtype_in_json(dtype):
    array = np.array([[0, 1], [1, 0]]).astype(dtype)
    output = written(request(2), answer({"y": array}, origin_of=(0, 0)))["outputs"][0]
    np.testing.assert_array_equal(np.array(output["data"], dtype).reshape(output["shape"]), array)


def test_large_integers_and_strided_arrays_keep_their_values():
    data = written(request(), answer({"y": np.uint64([2**64 - 1])}))["outputs"][0]["data"]
    assert data == [2**64 - 1]
    strided = np.arange(12, dtype=np.float32).reshape(3, 4)[:, ::2]
    data = written(request(3), answer({"y": strided}, origin_of=(0, 0, 0)))["outputs"][0]["data"]
    assert data == [0, 2, 4, 6, 8, 10]


def test_nan_and_infinity_are_null_in_json_and_exact_in_binary():
    array = np.float32([[np.nan, np.inf, -np.inf, 1]])
    assert written(request(), answer({"y": array}))["outputs"][0]["data"] == [None, None, None, 1.0]
    reply = ReplyWriter().write(request(binary=True), answer({"y": array}))
    assert reply.json_length is not None
    assert b"".join(reply.pieces)[reply.json_length :] == array.tobytes()


def test_texts_in_json_and_binary():
    texts = bytes_array([b"caf\xc3\xa9", b""], (2,))
    assert written(request(2), answer({"t": texts}, origin_of=(0, 0)))["outputs"][0]["data"] == ["café", ""]
    reply = ReplyWriter().write(request(2, binary=True), answer({"t": texts}, origin_of=(0, 0)))
    assert b"".join(reply.pieces[1:]) == b"\x05\0\0\0caf\xc3\xa9\0\0\0\0"
    with pytest.raises(InvalidInput, match="binary_data"):
        ReplyWriter().write(request(), answer({"t": bytes_array([b"\xff"], (1,))}))


def test_outputs_are_chosen_and_each_says_how():
    outputs = {"a": np.int8([1]), "b": np.int8([2]), "c": np.int8([3])}
    reply = ReplyWriter().write(request(outputs={"c": True, "a": False}), answer(outputs))
    text = json.loads(reply.pieces[0])
    assert [output["name"] for output in text["outputs"]] == ["c", "a"]
    assert text["outputs"][0]["parameters"] == {"binary_data_size": 1}
    assert text["outputs"][1]["data"] == [1]
    assert b"".join(reply.pieces[1:]) == b"\x03"
    with pytest.raises(InvalidInput, match="no output 'd'"):
        ReplyWriter().write(request(outputs={"d": False}), answer(outputs))


def test_a_partial_answer_fills_failed_rows_and_says_why():
    failed = {1: RowFailure("rules", "raised", "ValueError: bad")}
    outputs = {
        "f": np.float32([1, 5]),
        "n": np.int32([1, 5]),
        "b": np.array([True, True]),
        "t": bytes_array([b"x", b"y"], (2,)),
    }
    reply = written(request(2, partial=True), answer(outputs, origin_of=(0, -1), failed=failed))
    data = {output["name"]: output["data"] for output in reply["outputs"]}
    assert data == {"f": [1.0, None], "n": [1, 0], "b": [True, False], "t": ["x", ""]}
    assert json.loads(reply["parameters"]["mesh_errors"]) == {"1": "model 'rules' raised: ValueError: bad"}
    assert json.loads(reply["parameters"]["mesh_answered_by"])[1] is None
    np.testing.assert_array_equal(outputs["f"], [1, 5])


@pytest.mark.parametrize(
    ("error", "http", "grpc", "wait"),
    [
        (InvalidInput("x", "no"), 400, "INVALID_ARGUMENT", None),
        (NotFound("no"), 404, "NOT_FOUND", None),
        (Unavailable("m", "away", 2.0), 503, "UNAVAILABLE", 2.0),
        (Overloaded("m", "full", 3.0), 503, "RESOURCE_EXHAUSTED", 3.0),
        (DeadlineExceeded("late"), 504, "DEADLINE_EXCEEDED", None),
        (RowsFailed("m", {0: "no"}), 500, "INTERNAL", None),
        (MeshError("?"), 500, "INTERNAL", None),
    ],
)
def test_every_error_has_a_status(error, http, grpc, wait):
    assert (status_of(error).http, status_of(error).grpc, retry_after(error)) == (http, grpc, wait)


def test_what_fails_a_request_as_a_whole():
    def failing(*kinds, partial=False, rows=3):
        failed = {row: RowFailure("m", kind, "why", 4.0) for row, kind in enumerate(kinds)}
        return whole_failure("default", answer({}, origin_of=(0,) * rows, failed=failed), partial=partial)

    assert failing() is None
    assert isinstance(failing("raised"), RowsFailed)
    assert "row 0" in str(failing("raised"))
    assert "'m'" in str(failing("raised"))
    assert failing("raised", partial=True) is None
    assert isinstance(failing("raised", "away", "raised", partial=True), RowsFailed)
    away = failing("away", "overloaded")
    assert type(away) is Unavailable
    assert away.retry_after_s == 4.0
    assert type(failing("overloaded")) is Overloaded
    assert isinstance(failing("deadline", "away"), DeadlineExceeded)
