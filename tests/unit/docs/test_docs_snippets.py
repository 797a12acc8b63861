"""The models, the stage and the rules that tutorials and how-tos have readers write, loaded and run as they stand there."""

import json
import sys
from inspect import signature
from pathlib import Path

import numpy as np
import pytest
import yaml
from docs_fences import EVERY, ROOT
from tritonclient.grpc import InferenceServerClient
from typer.testing import CliRunner

from ingest.stages.rows import Rows
from mesh.cli.app import app
from mesh.routing.types import Signature, TensorSpec
from mesh.runtimes import open_runtime
from mesh.runtimes.base import Artifact
from mesh.runtimes.scorer import Scorer
from mesh.settings import Settings
from mesh.signals import Grid, Sensor
from mesh.signals.sensors import Telemetry
from mesh.spec import load_mesh
from mesh.spec.rollouts import read_rollout, rollout_fits

USUAL = "0.0023 0.0003 100 518.67 643.02 1585.29 1398.21 14.62 21.61 553.9 2388.04 9050.17 1.3 47.2 521.72 2388.03 8125.55"
STUMPS = [{"column": 3, "above": 0.5, "adds": 1.5}, {"column": 0, "above": 0.0, "adds": -0.5}]


def snippet(page: str, title: str, at: int = 0) -> str:
    found = [block.text for block in EVERY if block.page == page and block.title == title]
    return found[at]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's folder with the shipped models, which Python finds modules in."""
    (tmp_path / "models").symlink_to(ROOT / "models")
    (tmp_path / "my_models").mkdir()
    (tmp_path / "config").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.startswith("my_models")]:
        monkeypatch.delitem(sys.modules, name)
    return tmp_path


def configured(project: Path, models: list[str], routing: str):
    """The shipped models with those of the snippets, and a snippet's rules."""
    entries = yaml.safe_load((ROOT / "config/models.yaml").read_text())["models"]
    for text in models:
        entries |= yaml.safe_load(text)["models"]
    (project / "config/models.yaml").write_text(yaml.safe_dump({"models": entries}))
    (project / "config/routing.yaml").write_text(routing)
    return load_mesh(project / "config", Settings())


def test_a_model_of_your_own(project: Path) -> None:
    page, title = "docs/tutorials/own-model.md", "my_models/two_sensors.py"
    (project / title).write_text(snippet(page, title))
    models = [snippet(page, "config/models.yaml", at) for at in (0, 1)]
    mesh = configured(project, models, snippet(page, "config/routing.yaml"))
    spec = mesh.models["two-sensors"]
    scorer = Scorer(open_runtime(spec.artifact()), spec.artifact())
    row = np.zeros((2, 24), np.float32)
    row[:, : len(USUAL.split())] = np.array(USUAL.split(), np.float32)
    row[1, 6], row[1, 9] = 1440, 550  # hotter, and with less pressure
    usual, degrading = scorer.score({"features": row}).outputs["probabilities"][:, 1]
    assert usual < 0.2
    assert degrading > 0.8
    assert str(mesh.models["two-sensors@2"].path).endswith("models/anomaly.onnx")


def test_the_first_meshs_changed_rules(project: Path) -> None:
    mesh = configured(project, [], snippet("docs/tutorials/first-mesh.md", "routing.yaml"))
    assert [route.name for route in mesh.tables["default"].routes] == ["baseline", "everybody"]


def test_an_object_and_a_runtime_for_the_same_file_say_the_same(project: Path) -> None:
    page = "docs/how-to/own-runtime.md"
    (project / "my_models/boosted.py").write_text(snippet(page, "my_models/boosted.py"))
    file = project / "my_models/stumps.json"
    file.write_text(json.dumps(STUMPS))
    declared = Signature((TensorSpec("features", "FP32", (-1, 24)),), ())
    path, options = "my_models.boosted:Stumps", {"file": str(file)}
    mine = open_runtime(Artifact("boosted", "python", path=path, signature=declared, options=options))
    names: dict = {}
    exec(compile(snippet(page, "mesh/runtimes/stumps_runtime.py"), "stumps_runtime.py", "exec"), names)  # noqa: S102
    ours = names["StumpsRuntime"](Artifact("boosted", "onnx", path=str(file)))
    rows = {"features": np.random.default_rng(1).normal(size=(9, 24)).astype(np.float32)}
    np.testing.assert_allclose(mine.score(rows)["score"], ours.score(rows)["score"])
    assert len(set(ours.score(rows)["score"].tolist())) > 1
    for runtime in (mine, ours):
        runtime.close()
    routing = "routes: [{name: all, when: always, send: [boosted]}]"
    mesh = configured(project, [snippet(page, "config/models.yaml")], routing)
    assert mesh.models["boosted"].version == "3"


def test_a_stage_gives_the_same_however_the_stream_is_cut() -> None:
    names: dict = {}
    code = snippet("docs/how-to/own-stage.md", "ingest/stages/worst.py")
    exec(compile(code, "worst.py", "exec"), names)  # noqa: S102
    telemetry = Telemetry(sensors=(Sensor("temp"),), grid=Grid(), features=("mean",))
    slot, z = np.array([0, 1, 0, 1, 0]), np.array([1.0, 9.0, 5.0, 2.0, 3.0])

    def rows(chosen: slice) -> Rows:
        at = np.arange(5)[chosen]
        assets = [f"pump-{each}" for each in slot[chosen]]
        return Rows(slot[chosen], assets, at * 1000, at, np.zeros((len(at), 1, 1)), {"z": z[chosen]})

    whole = names["Worst"](telemetry).step(rows(slice(0, 5))).columns["worst"]
    stage = names["Worst"](telemetry)
    cut = [stage.step(rows(part)).columns["worst"] for part in (slice(0, 2), slice(2, 5))]
    assert whole.tolist() == [1.0, 9.0, 5.0, 9.0, 5.0] == np.concatenate(cut).tolist()


@pytest.mark.parametrize("step", [0, 1])
def test_a_canary_by_hand(project: Path, step: int) -> None:
    page = "docs/how-to/canary.md"
    mesh = configured(
        project, [snippet(page, "config/models.yaml")], snippet(page, "config/routing.yaml", step)
    )
    route = mesh.tables["default"].routes[0]
    assert "anomaly@2" in repr(route)


def test_a_canary_by_evidence(project: Path) -> None:
    page = "docs/how-to/canary.md"
    routing = "routes:\n  - {name: score, when: always, send: [anomaly]}\n"
    mesh = configured(project, [snippet(page, "config/models.yaml")], routing)
    file = project / "anomaly.yaml"
    file.write_text(snippet(page, "config/rollouts/anomaly.yaml"))
    plan = read_rollout(file, mesh)
    rollout_fits(plan, yaml.safe_load(routing), mesh)
    assert (plan.primary, plan.candidate) == ("anomaly", "anomaly@2")


def test_what_explain_is_shown_to_say_is_what_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    shown = next(one.text for one in EVERY if one.page == "docs/model-mesh.md" and one.language == "console")
    command, _, expected = shown.partition("\n")
    said = CliRunner().invoke(app, command.split()[2:])
    assert said.exit_code == 0
    assert said.stdout.strip() == expected.strip()


def test_ask_py_uses_the_client_as_it_is() -> None:
    parameters = signature(InferenceServerClient.infer).parameters
    assert {"model_name", "inputs", "parameters"} <= parameters.keys()
    assert "client.infer(" in snippet("docs/tutorials/first-mesh.md", "ask.py")
