"""Bytes → groups; every kind of bad record is refused by name, and the good ones beside it pass."""

import numpy as np
import pytest
from polls import polled, record

from ingest.decode import Opener
from ingest.envelope import open_narrow, open_wide
from ingest.record import RejectKind

GOOD = record(model_id="a", input_id="e1", features=[[1, 2, 3]], metadata={"tenant": "blue"})
OPENER = Opener("a", 10_000)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (None, RejectKind.NULL_VALUE),
        (b"", RejectKind.EMPTY_VALUE),
        (b" \n", RejectKind.EMPTY_VALUE),
        (b"not json", RejectKind.NOT_JSON),
        (b"\xff\xfe", RejectKind.NOT_JSON),
        (GOOD + b"x", RejectKind.NOT_JSON),
        (b'{"features":[[NaN]]}', RejectKind.NOT_JSON),
        (b'{"model_id":"a\xff","features":[[1]]}', RejectKind.NOT_JSON),
        (b'{"features":[[1]],"metadata":{"a":"\xff"}}', RejectKind.NOT_JSON),
        (b"[1,2]", RejectKind.WRONG_TYPE),
        (b"null", RejectKind.WRONG_TYPE),
        (b'"text"', RejectKind.WRONG_TYPE),
        (record(model_id=5, features=[[1]]), RejectKind.WRONG_TYPE),
        (record(input_id=5, features=[[1]]), RejectKind.WRONG_TYPE),
        (record(features=[[1]], metadata=[1]), RejectKind.WRONG_TYPE),
        (record(model_id="a"), RejectKind.NO_FEATURES),
        (record(model_id="a", features=None), RejectKind.NO_FEATURES),
        (record(model_id="nobody", features=[[1]]), RejectKind.UNKNOWN_MODEL),
        (b'{"features":' + b"[" * 4_000 + b"]" * 4_000 + b"}", RejectKind.TOO_DEEP),
        (b"x" * 10_001, RejectKind.TOO_LARGE),
        (b'{"features":[[' + b"1," * 6_000 + b"1]]}", RejectKind.TOO_LARGE),
    ],
)
def test_a_bad_record_is_refused_by_kind_and_its_neighbours_pass(
    value: bytes | None, kind: RejectKind
) -> None:
    groups, rejected = OPENER.open(polled([GOOD, value, GOOD]), ["a"])
    assert [(each.position, each.kind) for each in rejected] == [(1, kind)]
    assert rejected[0].reason
    assert [list(group.positions) for group in groups] == [[0, 2]]


def test_megabytes_of_brackets_are_refused_and_cost_no_stack() -> None:
    _, rejected = Opener("a", 20_000_000).open(polled([b"[" * 5_000_000, b'{"a":' + b"[" * 5_000_000]), ["a"])
    assert [each.kind for each in rejected] == [RejectKind.WRONG_TYPE, RejectKind.TOO_DEEP]


def test_records_group_by_endpoint_and_the_default_takes_those_that_name_none() -> None:
    values = [
        record(features=[[1]]),
        record(model_id="b", features=[[2]]),
        record(model_id="a", features=[[3]]),
    ]
    groups, rejected = OPENER.open(polled(values), ["a", "b"])
    assert not rejected
    assert {group.endpoint: list(group.positions) for group in groups} == {"a": [0, 2], "b": [1]}


def test_a_header_asks_for_a_variant_and_unknown_ones_ask_for_nothing() -> None:
    headers = [[("X-Mesh-Variant", b"canary")], None, [("x-mesh-variant", b"other")]]
    groups, _ = OPENER.open(polled([GOOD] * 3, headers=headers), ["a"])
    assert {group.variant: list(group.positions) for group in groups} == {"canary": [0], None: [1, 2]}


def test_metadata_stays_raw_and_absent_or_null_metadata_is_an_empty_object() -> None:
    values = [
        b'{"features":[[1]],"metadata":{ "a" : 1.10 }}',
        record(features=[[1]]),
        record(features=[[1]], metadata=None),
    ]
    (group,), _ = OPENER.open(polled(values), ["a"])
    assert group.metadata == [b'{ "a" : 1.10 }', b"{}", b"{}"]


def test_metadata_in_other_scripts_passes() -> None:
    value = '{"features":[[1]],"metadata":{"ort":"Köln 東京"}}'.encode()
    (group,), rejected = OPENER.open(polled([value]), ["a"])
    assert not rejected
    assert group.metadata[0].decode() == '{"ort":"Köln 東京"}'


def wide(rest: bytes = b"", features: bytes | None = None) -> bytes:
    row = b"[[" + b",".join(b"%d.5" % i for i in range(1_000)) + b"]]"
    return b'{"model_id":"a","features":%b%b}' % (features or row, rest)


@pytest.mark.parametrize(
    "value",
    [
        wide(),
        wide(b',"metadata":{"list":[[1]]}'),
        wide(b',"metadata":{"features":[[9]]}'),
        wide(b',"features":[[9]]'),
        wide(b',"note":"\\"features"'),
        wide(features=b"[[" + b"1," * 3_000 + b"1],[2]]"),
        wide(features=b"[" + b"[[1]]," * 1_000 + b"[[1]]]"),
        wide(features=b'{"x":[[' + b"1," * 3_000 + b"1]]}"),
        wide(b',"\\u0066eatures":[[9]]'),
    ],
)
def test_cutting_a_long_record_gives_what_decoding_it_gives(value: bytes) -> None:
    envelope, features = open_wide(value)
    expected = open_narrow(value)
    assert bytes(features) == bytes(expected.features)
    assert (envelope.model_id, bytes(envelope.metadata)) == (expected.model_id, bytes(expected.metadata))


def test_a_plain_long_record_is_cut_without_a_copy() -> None:
    value = wide()
    _, features = open_wide(value)
    assert isinstance(features, memoryview)
    assert features.obj is value
    assert np.frombuffer(features, np.uint8).size == len(value) - len(b'{"model_id":"a","features":}')
