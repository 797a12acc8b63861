import sys
from pathlib import Path

import numpy as np
import pytest

from mesh.errors import ArtifactError
from mesh.routing.types import Signature, TensorSpec
from mesh.runtimes import describe, open_runtime
from mesh.runtimes.base import Artifact

SOURCE = """
import numpy as np

closed = []

class Scaler:
    def __init__(self, factor=1.0):
        self.factor = factor
    def score(self, tensors):
        return {"scaled": tensors["x"] * self.factor}
    def close(self):
        closed.append(self.factor)

def names():
    return lambda tensors: {"names": np.array([["low", "high"]] * len(tensors["x"]))}

def broken():
    return 7

def bare():
    return lambda tensors: tensors["x"]

not_callable = 3
"""
X = TensorSpec("x", "FP32", (-1, -1))


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "some_user_models.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "some_user_models", raising=False)
    return "some_user_models"


def artifact(path: str, inputs: tuple[TensorSpec, ...] = (X,), **options: object) -> Artifact:
    return Artifact("m", "python", path=path, signature=Signature(inputs, ()), options=options)


def test_options_are_keyword_arguments_and_close_is_called(module: str) -> None:
    runtime = open_runtime(artifact(f"{module}:Scaler", factor=3.0))
    outputs = runtime.score({"x": np.ones((2, 5), np.float32)})
    np.testing.assert_array_equal(outputs["scaled"], np.full((2, 5), 3.0))
    runtime.close()
    assert sys.modules[module].closed == [3.0]


def test_outputs_are_found_by_asking(module: str) -> None:
    assert describe(artifact(f"{module}:Scaler")).outputs == (TensorSpec("scaled", "FP32", (-1, -1)),)
    assert describe(artifact(f"{module}:names")).outputs == (TensorSpec("names", "BYTES", (-1, 2)),)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("Scaler", "is not an import path such as 'package.module:ClassOrFactory'"),
        ("{}:Nothing", "has nothing callable named 'Nothing'"),
        ("{}:not_callable", "has nothing callable named 'not_callable'"),
        ("no_such_module:Scaler", "no module named 'no_such_module'; is its folder on PYTHONPATH"),
        ("{}:broken", "gave an object that has no score"),
        ("{}:bare", "gave ndarray, expected a dict"),
    ],
)
def test_wrong_paths_are_explained(module: str, path: str, message: str) -> None:
    with pytest.raises(ArtifactError, match=message):
        open_runtime(artifact(path.format(module)))


def test_undeclared_inputs_are_explained(module: str) -> None:
    with pytest.raises(ArtifactError, match=r"declare them, for example inputs: \[\{name: features"):
        open_runtime(artifact(f"{module}:Scaler", inputs=()))


def test_unknown_keyword_is_explained(module: str) -> None:
    with pytest.raises(ArtifactError, match="unexpected keyword argument 'speed'"):
        open_runtime(artifact(f"{module}:Scaler", speed=3))
