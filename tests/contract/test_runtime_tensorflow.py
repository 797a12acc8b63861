"""What is particular to SavedModels: the signature by name."""

from pathlib import Path

import numpy as np
import pytest
from runtime_cases import required

from mesh.errors import ArtifactError
from mesh.routing.types import TensorSpec
from mesh.runtimes import open_runtime
from mesh.runtimes.base import Artifact


def test_saved_model_by_a_named_signature(tmp_path: Path) -> None:
    tf = required("tensorflow")
    holder = tf.Module()
    spec = tf.TensorSpec([None, 2], tf.float32, "x")
    holder.one = tf.function(lambda x: {"y": x + 1}, autograph=False)
    holder.two = tf.function(lambda x: {"z": x + 2}, autograph=False)
    signatures = {name: getattr(holder, name).get_concrete_function(x=spec) for name in ("one", "two")}
    tf.saved_model.save(holder, str(tmp_path / "m"), signatures=signatures)
    with pytest.raises(ArtifactError, match=r"no signature 'serving_default'; it has \['one', 'two'\]"):
        open_runtime(Artifact("m", "tensorflow", path=str(tmp_path / "m")))
    runtime = open_runtime(
        Artifact("m", "tensorflow", path=str(tmp_path / "m"), options={"signature": "two"})
    )
    assert runtime.signature.outputs == (TensorSpec("z", "FP32", (-1, 2)),)
    assert runtime.score({"x": np.zeros((3, 2), np.float32)})["z"].tolist() == [[2, 2]] * 3
