"""Raw records: what they say, and that what is missing, absent or in another unit is written as the decode stage reads it."""

import json

import numpy as np

from mesh.simulation.encode import RawEncoder
from mesh.simulation.records import Records


def records(values, absent=None, units=None, asset=0):
    values = np.array(values, float)
    n, shape = len(values), values.shape
    time = np.arange(n) * 1_000
    return Records(
        np.full(n, asset), time, time, time, values,
        np.zeros(shape, bool) if absent is None else np.array(absent),
        np.zeros(shape, np.int16) if units is None else np.array(units, np.int8),
    )  # fmt: skip


def encoder(*assets):
    return RawEncoder(assets or ("pump-1",), ("t", "p"), 1_700_000_000_123, np.array([2, 0]), ("", "degF"))


def test_a_plain_record():
    [one, two] = encoder().encode(records([[71.30499, 2.0], [-0.001, 1e6]]))
    assert one == b'{"asset":"pump-1","ts":1700000000123,"sensors":{"t":71.3,"p":2.0}}'
    assert json.loads(two) == {"asset": "pump-1", "ts": 1_700_000_001_123, "sensors": {"t": 0.0, "p": 1e6}}


def test_null_absent_and_unit():
    nan = float("nan")
    made = records(
        [[nan, 1.0], [2.0, 3.0], [4.0, nan], [5.0, 6.0]],
        [[False, False], [False, True], [True, False], [False, False]],
        [[0, 0], [0, 1], [0, 0], [1, 0]],
    )
    said = [json.loads(text) for text in encoder().encode(made)]
    assert [record["sensors"] for record in said] == [
        {"t": None, "p": 1.0},
        {"t": 2.0},
        {"p": None},
        {"t": 5.0, "p": 6.0},
    ]
    assert [record.get("unit") for record in said] == [None, None, None, {"t": "degF"}]


def test_any_name_of_a_machine_is_written_as_json():
    name = '50% "é"\\n'
    for values in ([[1.0, 2.0]], [[float("nan"), 2.0]]):
        [text] = encoder("x", name).encode(records(values, asset=1))
        assert json.loads(text)["asset"] == name
