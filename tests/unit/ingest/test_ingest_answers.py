"""Answers as JSON: the contract's fields, for one row and several, several outputs, odd dtypes and values."""

import json

import numpy as np
import pytest
from polls import Facts, polled, record, signature

from ingest.answers import encode_answers, received_at
from ingest.assemble import Assembler
from ingest.decode import Opener
from ingest.record import Polled, RecordBatch
from mesh.routing.types import Answer, Origin

ORIGINS = (Origin("m", "1", "baseline", "primary"), Origin("n", "2", "canary", "canary"))


def batch_of(values: list[bytes]) -> tuple[Polled, RecordBatch]:
    poll = polled(values, partition=3, first=40)
    (group,), _ = Opener("m", 10_000).open(poll, ["m"])
    (records,), _ = Assembler(Facts(signature())).assemble(poll, group)
    return poll, records


def answer_of(n: int, **changed: object) -> Answer:
    fields: dict[str, object] = {
        "outputs": {"y": np.arange(2 * n, dtype=np.float32).reshape(n, 2)},
        "confidence": np.full(n, 0.25, np.float32),
        "origins": ORIGINS,
        "origin_of": np.arange(n) % 2,
        "degraded": np.arange(n) == 1,
        "failed": {},
        "rules": "abc",
    }
    return Answer(**{**fields, **changed})  # type: ignore[arg-type]


def test_one_row_gives_every_field_of_the_contract() -> None:
    poll, records = batch_of([record(input_id='e"1', features=[[1, 2, 3]], metadata={"tenant": "ü"})])
    (text,) = encode_answers(poll, records, answer_of(1), None, 1.23456)
    assert json.loads(text) == {
        "inference_id": "t-3-40",
        "model_id": "m",
        "input_id": 'e"1',
        "predictions": [[0.0, 1.0]],
        "confidence": [0.25],
        "answered_by": [{"model": "m", "version": "1", "route": "baseline", "role": "primary"}],
        "rules_version": "abc",
        "latency_ms": 1.235,
        "received_at": "2023-11-14T22:13:20.250Z",
        "degraded": False,
        "metadata": {"tenant": "ü"},
    }


def test_several_rows_of_a_record_are_one_answer() -> None:
    two = record(features=[[1, 2, 3], [4, 5, 6]])
    poll, records = batch_of([two, two])
    first, second = (json.loads(text) for text in encode_answers(poll, records, answer_of(4), None, 1.0))
    assert first["predictions"] == [[0, 1], [2, 3]]
    assert second["predictions"] == [[4, 5], [6, 7]]
    assert [origin["model"] for origin in first["answered_by"]] == ["m", "n"]
    assert (first["degraded"], second["degraded"]) == (True, False)
    assert first["confidence"] == [0.25, 0.25]
    assert first["input_id"] is None


def test_only_chosen_records_are_encoded() -> None:
    poll, records = batch_of([record(features=[[i, 2, 3]]) for i in range(3)])
    answer = answer_of(3, origin_of=np.array([0, -1, 1]), degraded=np.zeros(3, bool))
    texts = [json.loads(text) for text in encode_answers(poll, records, answer, [0, 2], 1.0)]
    assert [text["inference_id"] for text in texts] == ["t-3-40", "t-3-42"]
    assert [text["predictions"] for text in texts] == [[[0, 1]], [[4, 5]]]
    assert [text["answered_by"][0]["model"] for text in texts] == ["m", "n"]


def test_what_json_cannot_carry_is_null_and_no_confidence_is_null() -> None:
    poll, records = batch_of([record(features=[[1, 2, 3]])])
    outputs = {"y": np.array([[np.nan, np.inf]], np.float32)}
    (text,) = encode_answers(poll, records, answer_of(1, outputs=outputs, confidence=None), None, 1.0)
    assert json.loads(text)["predictions"] == [[None, None]]
    assert json.loads(text)["confidence"] == [None]


def test_further_outputs_stand_under_their_names() -> None:
    poll, records = batch_of([record(features=[[1, 2, 3]])] * 2)
    outputs = {"label": np.array([7, 8], np.int64), "p": np.array([[0.5], [0.25]])}
    first, second = (
        json.loads(text) for text in encode_answers(poll, records, answer_of(2, outputs=outputs), None, 1.0)
    )
    assert (first["predictions"], second["predictions"]) == ([7], [8])
    assert (first["outputs"], second["outputs"]) == ({"p": [[0.5]]}, {"p": [[0.25]]})


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.array([[True, False]]), [[True, False]]),
        (np.array([[1, -2]], np.int8), [[1, -2]]),
        (np.array([[2**64 - 1]], np.uint64), [[2**64 - 1]]),
        (np.array([[1.5]], np.float16), [[1.5]]),
        (np.array([[[1, 2], [3, 4]]], np.float32), [[[1, 2], [3, 4]]]),
        (np.zeros((1, 0), np.float32), [[]]),
        (np.array([[b"a,b", b"\xff"]], object), [["a,b", "\ufffd"]]),
    ],
)
def test_every_dtype_and_rank_is_written(array: np.ndarray, expected: object) -> None:
    poll, records = batch_of([record(features=[[1, 2, 3]])])
    (text,) = encode_answers(poll, records, answer_of(1, outputs={"y": array}), None, 1.0)
    assert json.loads(text)["predictions"] == expected


def test_float32_keeps_its_shortest_form() -> None:
    poll, records = batch_of([record(features=[[1, 2, 3]])])
    outputs = {"y": np.array([[0.1, 0.2]], np.float32)}
    (text,) = encode_answers(poll, records, answer_of(1, outputs=outputs), None, 1.0)
    assert b'"predictions":[[0.1,0.2]]' in text


def test_times_are_rfc_3339_in_utc() -> None:
    assert received_at(0.0) == "1970-01-01T00:00:00.000Z"
