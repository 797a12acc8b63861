"""`hyperstream train`: the user's files, their mistakes, and the entry that hosts what was trained."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
import yaml

pytest.importorskip("skl2onnx", reason="training needs the extra 'train'")

from typer.testing import CliRunner

from mesh.cli.app import app
from mesh.cli.artifacts import Output, models_entry, write_artifacts
from mesh.cli.labelled import LabelledColumns, csv_files, read_labelled
from mesh.cli.training_anomaly import recorded_windows, train_anomaly
from mesh.errors import InvalidInput
from mesh.learning.anomaly import score_onnx
from mesh.signals.sensors import Grid, Sensor, Telemetry
from mesh.spec.model_file import ModelsFile

SENSORS = ("temp", "flow")
COLUMNS = LabelledColumns()
TELEMETRY_YAML = """sensors: {temp: {low: 0, high: 200}, flow: {low: 0, high: 50}}
grid: {period_ms: 1000, window: 16, hop: 4}
"""


def written(folder: Path, text: str, name: str = "a.csv") -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


def pumps(count: int, seconds: int, fault_from: int | None = None) -> str:
    """Steady pumps with a little noise; from `fault_from` on the first one's flow is far too high and said to be."""
    draw = np.random.default_rng(1)
    lines = ["time,asset,temp,flow,label"]
    for pump in range(count):
        for second in range(seconds):
            fault = pump == 0 and fault_from is not None and second >= fault_from
            temp, flow = 80 + draw.normal(), 10 + 0.1 * draw.normal() + 20 * fault
            lines.append(
                f"{1_700_000_000 + second},pump-{pump},{temp:.3f},{flow:.3f},{'leak' if fault else ''}"
            )
    return "\n".join(lines)


def test_files_and_folders_are_read_as_one(tmp_path: Path) -> None:
    written(tmp_path, "time,asset,flow,temp,label\n2,b,1,,leak\n1,b,2,20,normal\n")
    written(tmp_path, "temp,time,other\n5,1970-01-01T00:00:03Z,x\n", "lone.csv.gz")
    found = read_labelled(csv_files([tmp_path]), COLUMNS, SENSORS)
    assert found.assets == ("b", "lone")
    assert found.kinds == ("", "leak")
    assert found.time.tolist() == [1_000, 2_000, 3_000]
    assert found.asset.tolist() == [0, 0, 1]
    assert found.kind.tolist() == [0, 1, 0]
    np.testing.assert_array_equal(found.values, [[20, 2], [np.nan, 1], [5, np.nan]])


@pytest.mark.parametrize("label", ["", "0", "0.0", "False", "normal", " Healthy "])
def test_what_says_that_nothing_is_wrong(tmp_path: Path, label: str) -> None:
    path = written(tmp_path, f"time,temp,label\n1,2,{label}\n")
    assert read_labelled([path], COLUMNS, SENSORS).kinds == ("",)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("temp\n1\n", "a.csv: has no column 'time'; it has temp; --time names another"),
        (
            "time,tmp\n1,2\n",
            "a.csv: has no column with the name of a sensor, such as 'temp'; it has time, tmp",
        ),
        ("time,temp\n1,2\n2,warm\n", "a.csv: line 3: column 'temp': 'warm' is not a number; leave it empty"),
        (
            "time,temp\nsoon,2\n",
            "a.csv: line 2: timestamp 'soon' is neither ISO 8601 nor a number of seconds",
        ),
        ("time,temp\n1\n", "a.csv: line 2: 1 cells where the header has 2"),
        ("time,temp\n", "--data: .*a.csv has no readings below its header"),
    ],
)
def test_a_mistake_is_named_with_its_file_and_line(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        read_labelled([written(tmp_path, text)], COLUMNS, SENSORS)


def test_missing_files_and_empty_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"--data: .* holds no .csv or .csv.gz file"):
        csv_files([tmp_path])
    with pytest.raises(InvalidInput, match=r"gone\.csv: No such file"):
        read_labelled(csv_files([tmp_path / "gone.csv"]), COLUMNS, SENSORS)


def test_a_run_of_readings_with_one_label_is_an_episode(tmp_path: Path) -> None:
    telemetry = Telemetry(
        (Sensor("temp"), Sensor("flow")), Grid(window=16, hop=4), ("mean", "std", "coverage")
    )
    labelled = read_labelled([written(tmp_path, pumps(2, 60, fault_from=30))], COLUMNS, SENSORS)
    windows = recorded_windows(telemetry, labelled)
    (episode,) = windows.episodes
    assert (episode.kind, windows.assets[episode.asset]) == ("leak", "pump-0")
    assert (episode.from_ms, episode.to_ms) == (1_700_000_030_000, 1_700_000_059_001)
    spoilt = windows.take(~windows.healthy)
    assert set(spoilt.asset) == {episode.asset}
    assert spoilt.time.min() == 1_700_000_031_000


def test_a_user_s_file_becomes_a_model_with_card_metrics_and_entry(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = written(tmp_path, TELEMETRY_YAML, "telemetry.yaml")
    data = written(tmp_path, pumps(8, 600, fault_from=500))
    model = tmp_path / "new/pumps.onnx"
    train_anomaly(config, (data,), COLUMNS, 3, (), model)
    card = json.loads((tmp_path / "new/pumps.metrics.json").read_text())
    assert card["sensors"] == ["temp", "flow"]
    assert card["data"]["files"].keys() == {str(data)}
    said = score_onnx(
        model.read_bytes(), np.zeros((1, len(card["sensors"]) * len(card["features"])), np.float32)
    )
    assert said.contribution.shape == (1, 2)
    assert "# telemetry-anomaly" in (tmp_path / "new/pumps.md").read_text()
    assert f"path: {model}" in capsys.readouterr().out


def test_too_few_readings_are_refused_with_what_to_do(tmp_path: Path) -> None:
    config = written(tmp_path, TELEMETRY_YAML, "telemetry.yaml")
    data = written(tmp_path, pumps(2, 60))
    with pytest.raises(InvalidInput, match=r"--data: \d+ healthy windows to fit on are too few"):
        train_anomaly(config, (data,), COLUMNS, 3, (), tmp_path / "m.onnx")
    assert not (tmp_path / "m.onnx").exists()


def test_a_file_without_sensors_and_a_folder_without_scenarios_are_named(tmp_path: Path) -> None:
    config = written(tmp_path, TELEMETRY_YAML, "telemetry.yaml")
    with pytest.raises(InvalidInput, match="has no scenario whose faults change values"):
        train_anomaly(config, (), COLUMNS, 3, (4,), tmp_path / "m.onnx")
    with pytest.raises(InvalidInput, match="declares no sensors"):
        train_anomaly(
            written(tmp_path, "sensors: {}\n", "none.yaml"), (), COLUMNS, 3, (4,), tmp_path / "m.onnx"
        )


def test_measuring_on_the_training_seed_is_refused() -> None:
    done = CliRunner().invoke(app, ["train", "anomaly", "--seed", "5", "--scenario-seeds", "5"])
    assert done.exit_code == 2
    assert "5 is the training seed too" in done.output


def test_degradation_says_what_its_folder_lacks(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["train", "degradation", "--data", str(tmp_path)])
    assert isinstance(done.exception, InvalidInput)
    assert "has neither train_FD001.txt nor train.csv" in str(done.exception)


def test_the_entry_is_one_that_models_yaml_takes() -> None:
    outputs = (Output("score"), Output("confidence"), Output("contribution", 16))
    text = "models:\n" + models_entry(Path("models/telemetry-anomaly.onnx"), 336, outputs)
    entry = ModelsFile.model_validate(yaml.safe_load(text)).models["telemetry-anomaly"]
    assert entry.path == "models/telemetry-anomaly.onnx"
    assert [(one.name, one.shape) for one in entry.outputs or ()] == [
        ("score", (-1,)),
        ("confidence", (-1,)),
        ("contribution", (-1, 16)),
    ]
    assert entry.confidence is not None
    assert entry.score is not None


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    blocked = written(tmp_path, "", "file")
    with pytest.raises(InvalidInput, match=r"--output: .* cannot be written"):
        write_artifacts(blocked / "m.onnx", b"", {}, "")
