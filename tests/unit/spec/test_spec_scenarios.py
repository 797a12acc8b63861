"""Scenarios: the shipped ones, what a file may say, and its mistakes by line and key."""

import shutil
from pathlib import Path
from typing import get_args

import jsonschema
import pytest
import yaml

from mesh.errors import InvalidConfig, NotFound
from mesh.settings import Settings
from mesh.simulation.faults import SIGNAL_FAULTS
from mesh.simulation.kinds import KINDS, FaultKind
from mesh.simulation.scenario import RecordedFile, SensorColumn
from mesh.simulation.transport import TRANSPORT_FAULTS
from mesh.spec import load_scenario, load_scenarios, load_telemetry, load_topics, scenarios_folder
from mesh.spec.schema import FOLDER

ROOT = Path(__file__).resolve().parents[3]
CONFIG = ROOT / "config"
SCENARIOS = CONFIG / "scenarios"
TELEMETRY = load_telemetry(CONFIG)


def load(folder: Path, text: str):
    (folder / "mine.yaml").write_text(text)
    return load_scenario(SCENARIOS, str(folder / "mine.yaml"), TELEMETRY)


def fault(text: str) -> str:
    return f"description: d\nduration_s: 60\nfaults:\n  - {{begins_s: 1, lasts_s: 2, {text}}}\n"


def test_every_kind_of_fault_is_done_and_can_be_asked_for():
    assert set(get_args(FaultKind)) == set(KINDS) == SIGNAL_FAULTS.keys() | TRANSPORT_FAULTS.keys()


def test_the_shipped_scenarios_show_every_kind_of_fault_within_their_time():
    shipped = load_scenarios(SCENARIOS, TELEMETRY)
    injections = [(one, injection) for one in shipped.values() for injection in one.injections]
    assert {injection.kind for _, injection in injections} == set(KINDS)
    assert not shipped["healthy"].injections
    for one, injection in injections:
        assert injection.begins_s + injection.spread_s + injection.lasts_s <= one.duration_s, one.name


def test_the_shipped_files_fit_their_schemas():
    scenario = yaml.safe_load((FOLDER / "scenario.json").read_text())
    for path in (CONFIG / "scenarios").iterdir():
        jsonschema.validate(yaml.safe_load(path.read_text()), scenario)
    telemetry = yaml.safe_load((FOLDER / "telemetry.json").read_text())
    jsonschema.validate(yaml.safe_load((CONFIG / "telemetry.yaml").read_text()), telemetry)


def test_the_shipped_fleet_has_sixteen_sensors_with_unit_and_range():
    assert len(TELEMETRY.sensors) == 16
    assert all(sensor.unit and sensor.low < sensor.high for sensor in TELEMETRY.sensors)
    assert TELEMETRY.grid.period_ms == 1_000


def test_a_fault_takes_its_kinds_size(tmp_path):
    [one] = load(tmp_path, fault("kind: late, part: 0.2, share: 0.5")).injections
    assert (one.size, one.part, one.share) == (KINDS["late"].size, 0.2, 0.5)
    [one] = load(tmp_path, fault("kind: unit_change, unit: psi, scale: 14.5, offset: 0")).injections
    assert (one.unit, one.scale, one.offset) == ("psi", 14.5, 0)


def test_a_source_with_its_columns(tmp_path):
    text = "description: d\nduration_s: 60\nsource: pump.csv\n"
    assert load(tmp_path, text).source == RecordedFile("pump.csv")
    columns = (
        "columns: {asset: id, time: when, sensors: {flow: {column: q, unit: l/s}, power: {column: p}}}\n"
    )
    assert load(tmp_path, text + columns).source == RecordedFile(
        "pump.csv", "id", "when", {"flow": SensorColumn("q", "l/s"), "power": SensorColumn("p")}
    )
    assert load(tmp_path, text + columns).units() == ("", "l/s")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (fault("kind: stcuk"), r"mine.yaml:4: faults\[0\].kind: 'stcuk' is not one of .*did you mean 'stuck'"),
        (fault("kind: stuck, sensors: [flw]"), r":4: faults\[0\].sensors\[0\]: telemetry.yaml has no sensor 'flw'; did you"),
        (fault("kind: stuck, size: 1"), "stuck has no size: leave it out"),
        (fault("kind: flood, size: 1"), "size of flood must be 2 to 100, got 1"),
        (fault("kind: late, size: 301"), "size of late must be 0.001 to 300, got 301"),
        (fault("kind: flood, sensors: [flow]"), "flood touches whole records: leave sensors out"),
        (fault("kind: drift, part: 0.5"), "drift touches all records in its time: leave part out"),
        (fault("kind: drift, scale: 2, unit: psi"), "scale, unit: belongs to unit_change, not to drift"),
        (fault("kind: drift, share: 0.5, assets: [pump-1]"), "assets and share are both given"),
        (fault("kind: drift, share: 0"), r"faults\[0\].share: must be above 0, got 0"),
        ("duration_s: 60", "description: is missing"),
        ("description: d\nduration_s: 0", ":2: duration_s: must be above 0, got 0"),
        ("description: d\nduration_s: 1\ncolumns: {asset: a}", "columns: belongs to source"),
        (
            "description: d\nduration_s: 1\nsource: a.csv\ncolumns:\n  sensors: {flw: {column: q}}",
            r":5: columns.sensors.flw: telemetry.yaml has no sensor 'flw'; did you mean 'flow'",
        ),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_line_key_and_fix(tmp_path, text, message):
    with pytest.raises(InvalidConfig, match=message):
        load(tmp_path, text)


def test_an_unknown_name_says_the_nearest():
    with pytest.raises(NotFound, match=r"no scenario 'drfit' in .*; did you mean 'drift'"):
        load_scenario(SCENARIOS, "drfit", TELEMETRY)
    with pytest.raises(InvalidConfig, match=r"nothing.yaml: cannot be read"):
        load_scenario(SCENARIOS, "nothing.yaml", TELEMETRY)


def test_a_file_that_nobody_reads_is_refused(tmp_path):
    shutil.copytree(CONFIG / "scenarios", tmp_path / "scenarios")
    (tmp_path / "scenarios/mine.yml").write_text("")
    with pytest.raises(InvalidConfig, match=r"mine.yml: is not read: name it mine.yaml"):
        load_scenarios(tmp_path / "scenarios", TELEMETRY)


def test_the_truths_topic_has_a_default_and_can_be_named(tmp_path):
    assert load_topics(CONFIG)["truth"] == "hyperstream.truth"
    (tmp_path / "topics.yml").write_text("truth: {topic: mine}")
    assert load_topics(tmp_path) == {
        "raw": "hyperstream.raw", "features": "hyperstream.features", "alerts": "hyperstream.alerts",
        "audit": "hyperstream.audit", "truth": "mine",
    }  # fmt: skip


def test_the_folder_can_be_elsewhere():
    elsewhere = Settings.from_environ({"MESH_SCENARIOS": "/srv/scenarios"})
    assert scenarios_folder(CONFIG, elsewhere) == Path("/srv/scenarios")
    assert scenarios_folder(CONFIG, Settings.from_environ({})) == SCENARIOS
