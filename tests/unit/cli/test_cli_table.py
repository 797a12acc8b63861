import gzip
import json

import pytest

from mesh.cli.attributes import Setting, parse_setting, typed
from mesh.cli.feed import SAMPLE, sample
from mesh.cli.feeding import rows_of
from mesh.cli.table import Columns, Table, seconds
from mesh.errors import InvalidInput

NAB = "timestamp,value\n2013-12-02 21:15:00,73.96732207\n2013-12-02 21:20:00,74.935882\n"


def table(tmp_path, text, columns=None, **more):
    path = tmp_path / "file.csv"
    path.write_text(text)
    return Table(path, columns or Columns(), **more)


def values(one):
    return [json.loads(record.value) for record in one.records()]


def test_a_nab_file_becomes_records(tmp_path):
    nab = table(tmp_path, NAB, Columns(features=("value",), timestamp="timestamp"))
    first, second = nab.records()
    assert json.loads(first.value) == {
        "input_id": "file-0",
        "features": [[73.96732207]],
        "metadata": {"timestamp": "2013-12-02 21:15:00"},
    }
    assert second.time - first.time == 300
    assert nab.count() == 2


def test_without_features_every_other_column_of_numbers_is_one(tmp_path):
    one = table(tmp_path, "id,site,a,b\n7,north,1,2.5\n", Columns(key="id", attributes=("site",)), model="m")
    [record] = one.records()
    assert record.key == b"7"
    assert json.loads(record.value) == {
        "input_id": "file-0", "model_id": "m", "features": [[1.0, 2.5]], "metadata": {"site": "north"},
    }  # fmt: skip


def test_attributes_keep_the_type_that_they_spell(tmp_path):
    one = table(tmp_path, "x,n,t,s\n1,7,true,7a\n", Columns(features=("x",), attributes=("n", "t", "s")))
    assert values(one)[0]["metadata"] == {"n": 7, "t": True, "s": "7a"}


def test_lines_that_are_no_records_are_counted_with_the_first_reason(tmp_path):
    one = table(tmp_path, "a,b\n1,2\n1,NA\n1\nnan,2\n3,4\n", Columns(features=("a", "b")))
    assert [value["features"] for value in values(one)] == [[[1.0, 2.0]], [[3.0, 4.0]]]
    assert one.skipped.count == 3
    assert one.skipped.first == "line 3: column 'b': 'NA' is not a number"


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (Columns(features=("valeu",)), r"--features: file.csv has no column 'valeu'; did you mean 'value'\?"),
        (Columns(timestamp="zeit"), "--timestamp: .* no column 'zeit'; it has timestamp, value"),
        (Columns(key="k"), "--key: "),
        (Columns(attributes=("value", "b")), "--attributes: "),
        (Columns(attributes=("value",)), "--features: .* no column of numbers"),
    ],
)
def test_a_wrong_column_is_named_with_the_option(tmp_path, columns, message):
    with pytest.raises(InvalidInput, match=message):
        table(tmp_path, NAB, columns).check()


def test_files_that_cannot_be_read_say_why(tmp_path):
    with pytest.raises(InvalidInput, match="No such file"):
        Table(tmp_path / "none.csv", Columns()).check()
    with pytest.raises(InvalidInput, match="is empty"):
        table(tmp_path, "").check()
    with pytest.raises(InvalidInput, match="'a' more than once"):
        table(tmp_path, "a,a\n1,2\n").check()
    packed = tmp_path / "packed.csv"
    packed.write_bytes(gzip.compress(NAB.encode()))
    with pytest.raises(InvalidInput, match=r"must end in \.gz"):
        Table(packed, Columns()).check()
    broken = tmp_path / "broken.csv.gz"
    broken.write_bytes(gzip.compress(NAB.encode() * 1000)[:200])
    with pytest.raises(InvalidInput, match="ended before"):
        list(Table(broken, Columns(features=("value",))).records())


def test_a_cell_without_end_and_a_packed_file_with_a_fault_are_told(tmp_path):
    wide = table(tmp_path, 'a,b\n1,2\n"' + "x" * 200_000, Columns(features=("a",)))
    with pytest.raises(InvalidInput, match="field larger than field limit"):
        list(wide.records())
    packed = bytearray(gzip.compress(NAB.encode()))
    packed[10] = 0x07  # a block of a type that there is not, right after the header
    broken = tmp_path / "fault.csv.gz"
    broken.write_bytes(packed)
    with pytest.raises(InvalidInput, match=r"cannot be read: .*invalid block type"):
        list(Table(broken, Columns(features=("a",))).records())


def test_looping_goes_on_counting(tmp_path):
    one = table(tmp_path, "a\n1\nx\n2\n", Columns(features=("a",)))
    ids = [json.loads(record.value)["input_id"] for record in rows_of(one, loop=True, limit=5)]
    assert ids == ["file-0", "file-2", "file-3", "file-5", "file-6"]


def test_a_file_without_a_good_line_does_not_loop_for_ever(tmp_path):
    assert list(rows_of(table(tmp_path, "a\nx\n", Columns(features=("a",))), loop=True, limit=None)) == []


def test_the_shipped_sample_has_24_features_and_three_in_ten_rows_roll_out(request):
    shipped = sample(request.config.rootpath)
    assert (request.config.rootpath / SAMPLE).exists()
    found = values(shipped)
    assert shipped.skipped.count == 0
    assert {len(value["features"][0]) for value in found} == {24}
    rolled = sum(value["metadata"].get("rollout") is True for value in found)
    assert rolled / len(found) == pytest.approx(0.3, abs=0.005)
    assert set(found[0]["metadata"]) - {"rollout"} == {"unit", "cycle"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rollout=true", Setting("rollout", True)),
        ("rollout=true:30%", Setting("rollout", True, 0.3)),
        ("tenant=blue-team", Setting("tenant", "blue-team")),
        ("n=7", Setting("n", 7)),
        ('n="7"', Setting("n", "7")),
        ("url=http://x:80", Setting("url", "http://x:80")),
        ("site=a=b:12.5%", Setting("site", "a=b", 0.125)),
    ],
)
def test_settings(text, expected):
    assert parse_setting(text) == expected


@pytest.mark.parametrize("text", ["rollout", "=true", "a=1:150%"])
def test_wrong_settings_are_refused(text):
    with pytest.raises(InvalidInput, match="--set"):
        parse_setting(text)


def test_a_share_is_even_in_every_stretch():
    setting = Setting("rollout", True, 0.3)
    for start in range(0, 5000, 250):
        assert sum(setting.applies(row) for row in range(start, start + 100)) in range(28, 33)


def test_two_settings_of_one_share_do_not_fall_on_the_same_rows():
    both = sum(Setting("a", 1, 0.5).applies(row) and Setting("b", 1, 0.5).applies(row) for row in range(1000))
    assert 0 <= both < 500


def test_timestamps():
    assert seconds("12.5") == 12.5
    assert seconds("1970-01-01T00:00:10") == 10
    assert seconds("1970-01-01 01:00:10+01:00") == 10
    with pytest.raises(ValueError, match="neither ISO"):
        seconds("yesterday")


def test_typed_leaves_text_alone():
    assert typed("0123") == "0123"
    assert typed("null") is None
