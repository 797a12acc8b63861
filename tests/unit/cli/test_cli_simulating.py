"""What the options of `hyperstream simulate` make of a scenario: machines, rate, start, the CSV file, and the truth."""

import gzip
import io
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mesh.cli.lines import Lines
from mesh.cli.pacing import AtOnce, at_factor, factor_of
from mesh.cli.recorded import RecordedTable
from mesh.cli.simulating import Wanted, begins_at, run_of, with_truth
from mesh.errors import InvalidInput
from mesh.signals.sensors import Grid, Sensor, Telemetry
from mesh.simulation.scenario import Injection, RecordedFile, Scenario, SensorColumn

TELEMETRY = Telemetry((Sensor("temp", low=0, high=100), Sensor("flow", low=0, high=10)), Grid(), ())
SHIFT = Injection("level_shift", begins_s=10.0, lasts_s=5.0, share=1.0, size=10.0)
SCENARIO = Scenario("test", "", 60.0, (SHIFT,))
NOW_S = 1_700_000_000.0
CSV = """id,when,temp,q
a,2026-01-01 00:00:00,20.5,1
b,2026-01-01 00:00:02,30,2
a,2026-01-01 00:00:10,,3
b,2026-01-01 00:00:12,31,4
a,2026-01-01 00:00:20,21.5,5
"""


def made(scenario=SCENARIO, telemetry=TELEMETRY, root=Path(), **more):
    return run_of(scenario, telemetry, root, Wanted(**{"seed": 7, "factor": 1.0, **more}), NOW_S)


def table(folder, text=CSV, **more):
    (folder / "mine.csv").write_text(text)
    file = RecordedFile("mine.csv", **{"asset": "id", "time": "when", **more})
    return RecordedTable(file, folder, ["temp", "flow"])


def test_the_rate_is_that_of_all_machines_together():
    run = made(assets=20, rate=100.0)
    assert (len(run.assets), run.hz) == (20, 5.0)
    assert sum(1 for _ in run.records()) == 6_000


def test_without_a_rate_each_machine_speaks_once_a_step_of_the_grid():
    assert (made().hz, len(made().assets)) == (1.0, 50)
    assert made(telemetry=replace(TELEMETRY, grid=Grid(period_ms=100))).hz == 10.0


def test_known_machines_are_the_ones_that_speak():
    telemetry = replace(TELEMETRY, known_assets=frozenset({"b", "a", "c"}))
    assert made(telemetry=telemetry).assets == ("a", "b", "c")
    assert made(telemetry=telemetry, assets=2).assets == ("a", "b")
    with pytest.raises(InvalidInput, match=r"--assets: telemetry.yaml's assets.known has 3 machines, not 4"):
        made(telemetry=telemetry, assets=4)


@pytest.mark.parametrize("speed", ["0.5x", "1x", "4x", "max"])
def test_by_default_no_reading_is_ahead_of_the_clock_and_the_last_is_now(speed):
    factor = factor_of(speed)
    start = begins_at(NOW_S, 600.0, factor)
    for passed in (0.0, 300.0, 600.0):
        wall = NOW_S + passed / factor
        assert start + passed <= wall
    if factor >= 1:
        assert start + 600.0 == pytest.approx(NOW_S + (0.0 if math.isinf(factor) else 600.0 / factor))
    assert made(factor=factor).start_ms == math.floor(begins_at(NOW_S, 60.0, factor) * 1e3)


def test_a_start_can_be_given():
    assert made(start="2026-01-02T03:04:05.678Z").start_ms == 1_767_323_045_678
    assert made(start="100").start_ms == 100_000
    for wrong in ("yesterday", "1767323045678", "-1"):
        with pytest.raises(InvalidInput, match="--start"):
            made(start=wrong)


def test_the_speed_changes_no_byte():
    kept = [list(made(start="100", factor=factor).records()) for factor in (1.0, 10.0, math.inf)]
    assert kept[0] == kept[1] == kept[2]
    assert isinstance(at_factor(math.inf), AtOnce)
    assert [at_factor(10.0).due(0, time) for time in (0.0, 5.0)] == [0.0, 0.0]


def test_a_fault_is_told_before_the_first_record_in_it():
    told, run = [], made(assets=2, start="0")
    for record in with_truth(run, [told.append]):
        assert len(told) == (2 if record.time >= 10.0 else 0)
    assert [truth.asset for truth in told] == ["pump-1", "pump-2"]


def test_a_recording_keeps_its_machines_times_and_gaps(tmp_path):
    recording = table(
        tmp_path, sensors={"temp": SensorColumn("temp"), "flow": SensorColumn("q", "l/s")}
    ).recording(None, None)
    assert (recording.assets, recording.units) == (("a", "b"), ("", "l/s"))
    np.testing.assert_array_equal(recording.seconds, [0, 2, 10, 12, 20])
    np.testing.assert_array_equal(recording.values[:, 0], [20.5, 30, np.nan, 31, 21.5])
    assert recording.period_s == 10.0
    assert table(tmp_path).recording(None, None).absent.tolist() == [False, True]
    assert table(tmp_path).recording(1, None).assets == ("a",)


def test_without_a_time_the_rate_spaces_the_rows(tmp_path):
    recording = table(tmp_path, time=None).recording(None, 4.0)
    np.testing.assert_allclose(recording.seconds, [0, 0.25, 0.5, 0.75, 1.0])
    np.testing.assert_array_equal(recording.values[:, 0], [20.5, 30, np.nan, 31, 21.5])


def test_a_recording_is_played_to_its_end_with_a_fault(tmp_path):
    (tmp_path / "mine.csv.gz").write_bytes(gzip.compress(CSV.encode()))
    scenario = replace(SCENARIO, source=RecordedFile("mine.csv.gz", "id", "when"))
    run = made(scenario, root=tmp_path, start="0")
    said = [json.loads(sent.value) for sent in run.records()]
    assert [one["ts"] for one in said] == [0, 2_000, 10_000, 12_000, 20_000]
    assert said[0] == {"asset": "a", "ts": 0, "sensors": {"temp": 20.5}}
    assert said[2]["sensors"] == {"temp": None}
    assert said[3]["sensors"]["temp"] > 31
    assert run.expected == 5
    assert [truth.sensors for truth in run.truths] == [("temp",), ("temp",)]


@pytest.mark.parametrize(
    ("change", "more", "assets", "rate", "message"),
    [
        ((), {"asset": "idd"}, None, None, "mine.csv: has no column 'idd'; did you mean 'id'"),
        ((), {"sensors": {"flow": SensorColumn("flow")}}, None, None, "mine.csv: has no column 'flow'"),
        (("temp", "heat"), {}, None, None, "has no column with the name of a sensor in telemetry.yaml: .*id, when, heat, q"),
        ((), {}, 3, None, "--assets: mine.csv has 2 machines, not 3"),
        ((), {}, None, 5.0, "--rate: mine.csv has times of its own; use --speed"),
        ((CSV[CSV.index("a,"):], ""), {}, None, None, "mine.csv: has no readings"),
    ],
)  # fmt: skip
def test_mistakes_in_a_recording_say_what_there_is(tmp_path, change, more, assets, rate, message):
    text = CSV.replace(*change) if change else CSV
    with pytest.raises(InvalidInput, match=message):
        table(tmp_path, text, **more).recording(assets, rate)


def test_a_line_that_is_no_reading_is_named(tmp_path):
    (tmp_path / "mine.csv").write_text(CSV + "a,soon,1,2\n")
    scenario = replace(SCENARIO, source=RecordedFile("mine.csv", "id", "when"))
    with pytest.raises(InvalidInput, match="1 lines are no readings; line 7: timestamp 'soon' is neither"):
        made(scenario, root=tmp_path)


def test_without_sensors_there_is_nothing_to_simulate():
    with pytest.raises(InvalidInput, match="declares no sensors"):
        made(telemetry=replace(TELEMETRY, sensors=()))


def test_lines_are_written_until_nobody_reads_them():
    class Closed(io.BytesIO):
        def write(self, line):
            if self.tell() > 100:
                raise BrokenPipeError
            return super().write(line)

    whole, seen = io.BytesIO(), []
    lines = Lines(whole, AtOnce(), progress=lambda: seen.append(1))
    assert lines.run(with_truth(made(assets=3), [])) == len(seen) == 180
    assert len(whole.getvalue().splitlines()) == 180
    assert 0 < Lines(Closed(), AtOnce()).run(with_truth(made(assets=3), [])) < 5
