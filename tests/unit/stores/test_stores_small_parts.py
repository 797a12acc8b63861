"""Times, kept windows, the codec, the rows that leave a cold day, and how rows are written for people."""

import csv
import io
import json

import numpy as np
import pytest

from mesh.cli.feature_rows import Format, write_rows
from mesh.errors import InvalidInput
from mesh.stores import Window
from mesh.stores.kept_windows import read_kept_windows
from mesh.stores.online_codec import pack, unpack
from mesh.stores.predictions import BEGINNING, RedisLog
from mesh.stores.sampling import inside, last_of_each_period
from mesh.stores.times import parse_time, show_time
from tests.fakes.feature_rows import T0, a_batch, a_view


@pytest.mark.parametrize(
    "text", ["2026-01-02T03:04:05.678Z", "2026-01-02 03:04:05.678", "2026-01-02T04:04:05.678+01:00", str(T0)]
)
def test_times_are_read_as_people_write_them(text):
    assert parse_time("--from", text) == T0


def test_a_time_is_shown_as_it_is_read():
    assert show_time(T0) == "2026-01-02T03:04:05.678Z"
    assert parse_time("x", show_time(1)) == 1


def test_what_is_no_time_is_named():
    with pytest.raises(InvalidInput, match=r"--as-of: 'noon' is no time: write 2026-01-02T03:04:05Z"):
        parse_time("--as-of", "noon")


@pytest.mark.parametrize("text", ["--5", "9" * 15, "-" + "9" * 15, "9" * 5_000, "1e3", "²", "", "-"])
def test_a_number_that_is_no_time_is_named(text):
    with pytest.raises(InvalidInput, match=r"--as-of: .* is no time"):
        parse_time("--as-of", text)


@pytest.mark.parametrize(
    "text", ["0001-01-01", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.9999", "-62135596800000", "0"]
)
def test_every_time_of_the_calendar_can_be_shown(text):
    assert parse_time("x", show_time(parse_time("x", text))) == parse_time("x", text)


async def test_nothing_is_asked_of_redis_for_what_is_before_the_beginning():
    assert list(await RedisLog("redis://127.0.0.1:1/0", "c").before("0-0", BEGINNING, 9)) == []


def test_kept_windows_are_read(tmp_path):
    file = tmp_path / "labels.csv"
    file.write_text(f"label,entity,from,to\nleak,pump-7,2026-01-02T03:04:05.678Z,{T0 + 5}\n")
    assert read_kept_windows(file) == (Window("pump-7", T0, T0 + 5),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("entity,start,to\n", r"labels.csv: has no column from: begin with entity,from,to"),
        ("entity,from,to\n,1,2\n", r"labels.csv:2 entity: is empty"),
        ("entity,from,to\na,1,2\nb,x,2\n", r"labels.csv:3 from: 'x' is no time"),
        ("entity,from,to\na,2,1\n", r"labels.csv:2 from: '2' is after to, '1'"),
        ("entity,from,to\na,1\n", r"labels.csv:2 to: '' is no time"),
    ],
)
def test_a_mistake_in_kept_windows_is_named_with_its_line(tmp_path, text, message):
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(InvalidInput, match=message):
        read_kept_windows(tmp_path / "labels.csv")


def test_a_packed_row_comes_back_bit_by_bit():
    values = np.array([0.1, -1e300, 5e-324, 3.0])
    row = unpack("pump-7", "telemetry", pack(T0, T0 + 1, "00ff" * 4, values))
    assert (row.entity, row.view, row.transform) == ("pump-7", "telemetry", "00ff" * 4)
    assert (row.event_time, row.created_time, row.age_ms(T0 + 7)) == (T0, T0 + 1, 7)
    assert row.values.tobytes() == values.tobytes()


@pytest.mark.parametrize("size", [0, 23, 25])
def test_bytes_that_are_no_row_are_refused(size):
    with pytest.raises(ValueError, match="no row of features"):
        unpack("a", "v", bytes(size))


def test_the_last_row_of_each_minute_stays_and_windows_stay_whole():
    entity = np.array([0, 0, 0, 1, 1])
    time = np.array([1_000, 59_000, 60_000, 61_000, 62_000])
    assert last_of_each_period(entity, time, 60_000).tolist() == [False, True, True, False, True]
    windows = [Window("b", 61_000, 61_500), Window("nobody", 0, 10**9)]
    assert inside(windows, ["a", "b"], entity, time).tolist() == [False, False, False, True, False]


def test_rows_are_written_as_json_lines_and_csv(tmp_path):
    view, batches = a_view(), [a_batch([("pump-7", 0)]), a_batch([("pump-7", 1000)])]
    write_rows(view, batches, Format.JSON, tmp_path / "rows.json")
    lines = [json.loads(line) for line in (tmp_path / "rows.json").read_text().splitlines()]
    assert lines[1]["features"] == {"temp.mean": 1.0, "temp.std": 2.1, "flow.mean": 3.0}
    assert lines[0]["event_time"] == "2026-01-02T03:04:05.678Z"
    write_rows(view, batches, Format.CSV, tmp_path / "rows.csv")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "rows.csv").read_text())))
    assert [row["temp.mean"] for row in rows] == ["0.0", "1.0"]
    assert rows[0]["created_time"] == "2026-01-02T03:04:05.728Z"


def test_a_table_says_what_it_leaves_out(capsys):
    batch = a_batch([("pump-7", n) for n in range(60)])
    write_rows(a_view(), [batch], Format.TABLE, None)
    assert "50 rows; more rows with --format" in capsys.readouterr().out


def test_parquet_needs_a_file():
    with pytest.raises(InvalidInput, match="--output: is missing"):
        write_rows(a_view(), [], Format.PARQUET, None)
