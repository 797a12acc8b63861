"""What is particular to SavedModels: the signature by name."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runtime_cases import required

from mesh.errors import ArtifactError
from mesh.routing.types import TensorSpec
from mesh.runtimes import open_runtime
from mesh.runtimes.base import Artifact
from mesh.runtimes.scorer import Scorer


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


def saved(folder: Path, call: Any, **inputs: Any) -> str:
    tf = required("tensorflow")
    holder = tf.Module()
    holder.call = tf.function(call, autograph=False)
    tf.saved_model.save(holder, str(folder), signatures=holder.call.get_concrete_function(**inputs))
    return str(folder)


def test_bfloat16_is_taken_and_answered_as_float32(tmp_path: Path) -> None:
    tf = required("tensorflow")
    path = saved(tmp_path / "m", lambda x: {"y": x * 2}, x=tf.TensorSpec([None, 2], tf.bfloat16, "x"))
    artifact = Artifact("m", "tensorflow", path=path)
    scorer = Scorer(open_runtime(artifact), artifact)
    scorer.warm_up()
    assert scorer.score({"x": np.ones((3, 2), np.float32)}).outputs["y"].tolist() == [[2, 2]] * 3


@pytest.mark.parametrize("operation", ["CSVDatasetV2", "ExperimentalSqlDataset", "TextLineReaderV2"])
def test_an_operation_on_files_needs_trust_under_each_of_its_names(tmp_path: Path, operation: str) -> None:
    tf = required("tensorflow")
    path = saved(tmp_path / "m", lambda x: {"y": x * 2}, x=tf.TensorSpec([None, 2], tf.float32, "x"))
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    graph = Path(path, "saved_model.pb")
    model = SavedModel.FromString(graph.read_bytes())
    model.meta_graphs[0].graph_def.node.add(name="evil", op=operation)
    graph.write_bytes(model.SerializeToString())
    with pytest.raises(ArtifactError, match=f"the operation {operation}.*trusted: true"):
        open_runtime(Artifact("m", "tensorflow", path=path))


def test_a_replica_takes_the_threads_and_the_gpu_memory_that_it_needs() -> None:
    required("tensorflow")
    look = (
        "import mesh.runtimes.tensorflow_runtime, os, tensorflow as tf\n"
        "tf.linalg.matmul(tf.ones((512, 512)), tf.ones((512, 512)))\n"
        "pools = [name for name in os.listdir('/proc/self/task')]\n"
        "print(len(pools), os.environ['TF_FORCE_GPU_ALLOW_GROWTH'])"
    )

    def threads(wanted: str) -> tuple[int, str]:
        environ = {**os.environ, "OMP_NUM_THREADS": wanted}
        done = subprocess.run(
            [sys.executable, "-c", look], env=environ, capture_output=True, text=True, timeout=120, check=True
        )
        count, growth = done.stdout.split()
        return int(count), growth

    few, growth = threads("1")
    many, _ = threads("16")
    assert growth == "true"
    assert many - few >= 15
