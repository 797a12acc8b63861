"""What `sha256` promises: what is loaded is what was checked, all of it."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from runtime_cases import CASES, required

from mesh.errors import ArtifactError
from mesh.runtimes import digest, open_runtime
from mesh.runtimes.base import Artifact

FILES = [case for case in CASES if case.kind in ("onnx", "torch-script", "torch-export")]


@pytest.mark.parametrize("case", FILES, ids=lambda case: case.kind)
def test_a_file_that_is_exchanged_after_the_check_is_not_loaded(case, tmp_path, monkeypatch):
    artifact = case.artifact(tmp_path, "adder")
    path = Path(str(artifact.path))
    artifact = replace(artifact, sha256=digest.digest_of(path))
    runtime = open_runtime(artifact)
    ones = {name: np.ones((2, 4), np.float32) for name in "ab"}
    assert (runtime.score(ones)["sum"] == 2).all()
    other = Path(str(case.artifact(tmp_path, "picky").path)).read_bytes()
    checked: Callable[[Artifact], None] = digest.check_digest

    def exchanged(artifact: Artifact) -> None:
        checked(artifact)
        path.write_bytes(other)

    monkeypatch.setattr("mesh.runtimes.check_digest", exchanged)
    with pytest.raises(ArtifactError, match=r"was changed while it was loaded"):
        open_runtime(artifact)


def test_onnx_weights_beside_the_file_are_not_covered(tmp_path, monkeypatch):
    required("onnx")
    from onnx import TensorProto, helper

    monkeypatch.chdir(tmp_path)
    (tmp_path / "w.bin").write_bytes(np.array([1, 2], np.float32).tobytes())
    weights = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2], data_location=TensorProto.EXTERNAL)
    weights.external_data.add(key="location", value="w.bin")
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 2]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "g", [x], [y], [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path = tmp_path / "m.onnx"
    path.write_bytes(model.SerializeToString())
    artifact = Artifact("m", "onnx", path=str(path))
    assert open_runtime(artifact).score({"x": np.zeros((1, 2), np.float32)})["y"].tolist() == [[1, 2]]
    declared = replace(artifact, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    with pytest.raises(ArtifactError, match=r"weights lie in files beside it, which sha256 does not cover"):
        open_runtime(declared)
