"""A model of a real MLflow server as a source: alias and version, what is not there, and a row through it."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mesh.errors import ArtifactError, NotFound
from mesh.registry.mlflow import MlflowAway, MlflowServer
from mesh.registry.reference import parse_reference
from mesh.registry.sources import located
from mesh.runtimes import open_runtime
from mesh.runtimes.scorer import Scorer
from mesh.settings import Settings
from mesh.spec import load_mesh
from tests.fakes.machine import free_port, missing

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "models/anomaly.onnx"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    python = Path(os.environ.get("MLFLOW_PYTHON") or ROOT / ".venv-mlflow/bin/python")
    if not python.exists():
        missing(f"no MLflow: {python} is not there (make mlflow-env, or set MLFLOW_PYTHON)")
    port = free_port()
    words = [str(python), str(Path(__file__).with_name("mlflow_server.py")), str(port)]
    words += [str(tmp_path_factory.mktemp("mlflow")), str(MODEL)]
    running = subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert running.stdout is not None
        for line in running.stdout:
            if line.strip() == "ready":
                break
        assert running.poll() is None, "the MLflow server ended while it started"
        yield f"http://127.0.0.1:{port}"
    finally:
        running.communicate(timeout=120)  # closing its input ends it


def artifact(tmp_path: Path, path: str):
    (tmp_path / "config").mkdir()
    entry = f"models:\n  anomaly:\n    runtime: onnx\n    path: {path}\n"
    (tmp_path / "config/models.yaml").write_text(entry)
    return load_mesh(tmp_path / "config", Settings()).models["anomaly"].artifact()


@pytest.mark.parametrize("reference", ["models:/pumps@champion", "models:/pumps/1"])
def test_the_model_scores_as_its_file_does(server: str, tmp_path: Path, reference: str) -> None:
    found = located(
        artifact(tmp_path, reference), "store/registry", tmp_path, {"MLFLOW_TRACKING_URI": server}
    )
    assert found.version == "1"
    scorer = Scorer(open_runtime(found), found)
    rows = np.random.default_rng(1).normal(size=(5, 24)).astype(np.float32)
    scored = scorer.score({"features": rows})
    scorer.close()
    import onnxruntime

    direct = onnxruntime.InferenceSession(str(MODEL)).run(["probabilities"], {"features": rows})[0]
    assert np.array_equal(scored.outputs["probabilities"], direct)


@pytest.mark.parametrize("reference", ["models:/pumps@nobody", "models:/none@champion", "models:/pumps/7"])
def test_what_is_not_there_is_told(server: str, reference: str) -> None:
    with pytest.raises(NotFound, match="MLflow at http"):
        MlflowServer(server, {}).fetch(parse_reference(reference))


def test_without_a_server_the_variable_is_named(tmp_path: Path) -> None:
    one = artifact(tmp_path, "models:/pumps@champion")
    with pytest.raises(ArtifactError, match="needs MLFLOW_TRACKING_URI"):
        located(one, "store/registry", tmp_path, {})
    with pytest.raises(MlflowAway, match=r"does not answer.*MLFLOW_TRACKING_URI"):
        located(one, "store/registry", tmp_path, {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"})
