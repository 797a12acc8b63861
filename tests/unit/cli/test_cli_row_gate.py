"""Rows that are played back with `--sampling`."""

import json

import pytest

from mesh.cli.row_gate import RowGate
from mesh.cli.table import Columns, Table
from mesh.signals import Grid, SamplingRules, Sensor
from mesh.signals.sensors import Telemetry

TELEMETRY = Telemetry(
    (Sensor("temp", tolerance_ms=60_000, delta=1.0),),
    Grid(),
    (),
    max_assets=2,
    sampling=SamplingRules(heartbeat_ms=5_000),
)


def test_a_row_passes_where_a_sensor_moved_or_anything_else_changed():
    gate = RowGate(TELEMETRY, ["temp", "state"])
    rows = [(0, 20, 1), (1, 20.5, 1), (2, 21.5, 1), (3, 21.5, 2), (4, 21.5, 2), (8, 21.5, 2)]
    assert [gate.passes(b"p", time, row) for time, *row in rows] == [True, False, True, True, False, True]
    assert gate.kept == pytest.approx(4 / 6)


def test_machines_are_told_apart_and_the_longest_silent_is_forgotten():
    gate = RowGate(TELEMETRY, ["temp"])
    assert [gate.passes(key, 0, [20]) for key in (b"a", b"b", b"a", b"c", b"b")] == [
        True,
        True,
        False,
        True,
        True,
    ]


def test_a_table_leaves_out_what_does_not_pass(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text("t,pump,temp\n0,a,20\n1,a,20.2\n1,b,3\n2,a,22\n")
    table = Table(
        path, Columns(timestamp="t", key="pump", features=("temp",)), gate=RowGate(TELEMETRY, ["temp"])
    )
    found = [(record.key, json.loads(record.value)["features"]) for record in table.records()]
    assert found == [(b"a", [[20.0]]), (b"b", [[3.0]]), (b"a", [[22.0]])]
    assert not table.skipped.count
