"""Labelled files: what a column or a file of windows says was wrong, and the run that its rows become."""

import pytest

from ingest.evaluation.cases import LabelledFile, recorded
from ingest.evaluation.labels import labelled_rows, labelled_windows
from ingest.evaluation.scoring import Fault
from mesh.errors import InvalidInput
from mesh.signals.sensors import Grid, Sensor, Telemetry

TELEMETRY = Telemetry((Sensor("temp"), Sensor("flow")), Grid(), ())
BEGAN_MS = 1_767_225_600_000
ROWS = """time,asset,temp,flow,label
2026-01-01 00:00:00,a,20,5,0
2026-01-01 00:00:01,b,20,5,
2026-01-01 00:00:02,a,20,5,1
2026-01-01 00:00:03,b,20,5,leak
2026-01-01 00:00:04,a,20,5,true
2026-01-01 00:00:05,b,20,5,leak
2026-01-01 00:00:06,a,20,5,normal
"""
WINDOWS = "asset,from,to,kind\nb,2026-01-01 00:00:03,2026-01-01 00:00:05,leak\na,1767225602,1767225604,\n"


def written(folder, name, text):
    path = folder / name
    path.write_text(text)
    return path


def case(folder, labels, **more):
    path = written(folder, "pumps.csv", ROWS)
    return recorded(
        LabelledFile(path, labels, **{"asset_column": "asset", "time_column": "time", **more}), TELEMETRY
    )


def test_neighbouring_rows_with_a_label_are_a_fault_until_the_next_row_of_the_asset(tmp_path):
    rows = labelled_rows(written(tmp_path, "pumps.csv", ROWS), "asset", "time", "label")
    assert rows.begins_ms == BEGAN_MS
    assert rows.faults == (
        Fault("a", "labelled", BEGAN_MS + 2_000, BEGAN_MS + 6_000),
        Fault("b", "leak", BEGAN_MS + 3_000, BEGAN_MS + 6_001),
    )


def test_a_file_of_windows_says_the_same(tmp_path):
    faults = labelled_windows(written(tmp_path, "windows.csv", WINDOWS), ("a", "b"))
    assert faults == (
        Fault("a", "labelled", BEGAN_MS + 2_000, BEGAN_MS + 4_000),
        Fault("b", "leak", BEGAN_MS + 3_000, BEGAN_MS + 5_000),
    )


def test_the_rows_are_played_at_their_own_times(tmp_path):
    by_column = case(tmp_path, "label")
    by_windows = case(tmp_path, str(written(tmp_path, "windows.csv", WINDOWS)))
    assert by_column.name == "pumps.csv"
    assert by_column.run.assets == ("a", "b")
    assert [round(one.seconds) for one in by_column.run.records()] == list(range(7))
    assert by_column.run.start_ms == by_windows.run.start_ms == BEGAN_MS
    assert len(by_column.faults) == len(by_windows.faults) == 2


def test_without_an_asset_column_the_file_is_one_asset(tmp_path):
    assert case(tmp_path, "label", asset_column="machine").run.assets == ("pumps",)


@pytest.mark.parametrize(
    ("windows", "message"),
    [
        ("asset,from\n", "has no column 'to'"),
        ("asset,from,to\nc,1,2\n", r"windows.csv:2: asset 'c' has no readings"),
        ("asset,from,to\na,2,2\n", r"windows.csv:2: to '2' is not after from '2'"),
        ("asset,from,to\na,soon,2\n", r"windows.csv:2: timestamp 'soon' is neither"),
        ("asset,from,to\na,1\n", r"windows.csv:2"),
    ],
)
def test_a_wrong_file_of_windows_is_named_with_its_line(tmp_path, windows, message):
    path = written(tmp_path, "windows.csv", windows)
    with pytest.raises(InvalidInput, match=message):
        labelled_windows(path, ("a", "b"))


def test_a_label_that_is_neither_a_column_nor_a_file_is_named(tmp_path):
    with pytest.raises(InvalidInput, match=r"has no column 'lable'.*label"):
        case(tmp_path, "lable")
