"""Records become rows by what the view declares; what is none is refused with its reason."""

import json

import pytest

from mesh.stores.records import FeatureRecord, RowDecoder
from tests.fakes.feature_rows import T0, a_record, a_view


def test_a_record_becomes_a_row_with_its_place():
    found = RowDecoder(a_view()).decode([a_record("pump-7", T0, 41, 3), a_record("pump-8", T0 + 1, 7)])
    assert list(found.rows.entities) == ["pump-7", "pump-8"]
    assert found.rows.event_time.tolist() == [T0, T0 + 1]
    assert found.rows.created_time.tolist() == [T0 + 500, T0 + 501]
    assert found.rows.values.tolist() == [[1.5, 0.1, -2.0]] * 2
    assert (found.partition.tolist(), found.offset.tolist()) == ([3, 0], [41, 7])
    assert found.refused == {}


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (FeatureRecord(0, 0, 1, b"{"), "not a record of features"),
        (FeatureRecord(0, 0, 1, b""), "not a record of features"),
        (a_record("a", T0, 0, features=[["1"]]), "not a record of features"),
        (a_record("a", T0, 0, features=[[1.0, None, 2.0]]), "not a record of features"),
        (a_record("a", T0, 0, metadata={}), "another transform"),
        (a_record("a", T0, 0, transform="0" * 16), "another transform"),
        (a_record("", T0, 0), "no entity"),
        (a_record("a" * 257, T0, 0), "no entity"),
        (a_record("a", T0, 0, values=(1.0, 2.0)), "another width"),
        (a_record("a", T0, 0, features=[]), "another width"),
        (a_record("a", -1, 0), "no time"),
        (a_record("a", 1.5, 0), "no time"),
        (a_record("a", 10**15, 0), "no time"),
    ],
)
def test_what_is_no_row_is_refused_and_the_others_go_on(record, reason):
    found = RowDecoder(a_view()).decode([record, a_record("ok", T0, 1)])
    assert found.refused == {reason: 1}
    assert (list(found.rows.entities), found.offset.tolist()) == (["ok"], [1])


def test_created_time_may_stand_in_the_record():
    value = json.loads(a_record("a", T0, 0).value)
    value["metadata"]["made"] = T0 + 9
    found = RowDecoder(a_view(created_time="made")).decode(
        [FeatureRecord(0, 0, 1, json.dumps(value).encode())]
    )
    assert found.rows.created_time.tolist() == [T0 + 9]


def test_no_records_are_no_rows():
    found = RowDecoder(a_view()).decode([])
    assert (len(found.rows), found.rows.values.shape) == (0, (0, 3))
