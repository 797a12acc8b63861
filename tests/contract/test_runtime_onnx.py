"""What is particular to ONNX files: maps, text, shapes that are not stated, threads."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from runtime_cases import CASES, required

from mesh.errors import ArtifactError
from mesh.routing.types import Signature, TensorSpec
from mesh.runtimes import describe, open_runtime
from mesh.runtimes.base import Artifact
from mesh.runtimes.scorer import Scorer

onnx = required("onnx")
from onnx import TensorProto, helper  # noqa: E402 - after the check that it is there


def saved(path: Path, nodes: list, inputs: list, outputs: list, domains: tuple[str, ...] = ("",)) -> str:
    graph = helper.make_graph(nodes, "g", inputs, outputs)
    versions = {"": 17, "ai.onnx.ml": 3}
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid(name, versions[name]) for name in domains]
    )
    model.ir_version = 9
    path.write_bytes(model.SerializeToString())
    return str(path)


def value(name: str, kind: int, shape: list | None) -> object:
    return helper.make_tensor_value_info(name, kind, shape)


def test_fixed_batch_is_refused(tmp_path: Path) -> None:
    x, y = (value(name, TensorProto.FLOAT, [1, 4]) for name in "xy")
    path = saved(tmp_path / "m.onnx", [helper.make_node("Identity", ["x"], ["y"])], [x], [y])
    with pytest.raises(ArtifactError, match="input 'x': the batch dimension is fixed at 1"):
        open_runtime(Artifact("m", "onnx", path=path))


def test_classifier_with_a_map_is_served_by_its_other_outputs(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("ArgMax", ["x"], ["label"], axis=1, keepdims=0),
        helper.make_node("ZipMap", ["x"], ["by_class"], domain="ai.onnx.ml", classlabels_int64s=[0, 1]),
    ]
    maps = helper.make_sequence_type_proto(
        helper.make_map_type_proto(TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, None))
    )
    outputs = [value("label", TensorProto.INT64, ["N"]), helper.make_value_info("by_class", maps)]
    x = value("x", TensorProto.FLOAT, ["N", 2])
    path = saved(tmp_path / "m.onnx", nodes, [x], outputs, ("", "ai.onnx.ml"))
    with pytest.raises(ArtifactError, match=r"'by_class' is seq.*zipmap.*declare the other outputs"):
        open_runtime(Artifact("m", "onnx", path=path))
    declared = Signature((), (TensorSpec("label", "INT64", (-1,)),))
    artifact = Artifact("m", "onnx", path=path, signature=declared)
    scored = Scorer(open_runtime(artifact), artifact).score({"x": np.array([[0, 1], [1, 0]], np.float32)})
    assert scored.outputs["label"].tolist() == [1, 0]


def test_output_of_unknown_shape_is_found_by_asking(tmp_path: Path) -> None:
    x = value("x", TensorProto.FLOAT, ["N", 4])
    node = helper.make_node("Unknown", ["x"], ["y"])
    node.op_type = "Identity"
    path = saved(tmp_path / "m.onnx", [node], [x], [value("y", TensorProto.FLOAT, None)])
    assert describe(Artifact("m", "onnx", path=path)).outputs == (TensorSpec("y", "FP32", (-1, 4)),)


def test_bytes_that_are_no_text_fail_their_row_alone(tmp_path: Path) -> None:
    case = next(case for case in CASES if case.kind == "onnx")
    artifact = case.artifact(tmp_path, "echo")
    scorer = Scorer(open_runtime(artifact), artifact)
    shapes = {spec.name: spec for spec in scorer.signature.inputs}
    tensors = {
        name: np.zeros((3, 3), name.removeprefix("x_").replace("fp", "float"))
        for name in shapes
        if "bytes" not in name
    }
    tensors["x_bytes"] = np.array([[b"a"] * 3, [b"\xff"] * 3, [b"c"] * 3], dtype=object)
    scored = scorer.score(tensors)
    assert list(scored.failed) == [1]
    assert scored.failed[1].startswith("UnicodeDecodeError")
    assert scored.outputs["y_bytes"][:, 0].tolist() == [b"a", b"", b"c"]


@pytest.mark.parametrize("option", ["intra_threads", "inter_threads"])
def test_threads_are_whole_numbers(tmp_path: Path, option: str) -> None:
    case = next(case for case in CASES if case.kind == "onnx")
    path = case.artifact(tmp_path, "adder").path
    assert open_runtime(Artifact("m", "onnx", path=path, options={option: 2})).signature.inputs[0].name == "a"
    with pytest.raises(
        ArtifactError, match=f"options.{option}: expected a whole number of at least 1, got 1.5"
    ):
        open_runtime(Artifact("m", "onnx", path=path, options={option: 1.5}))


def test_cuda_that_cannot_be_used_is_no_silent_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The GPU build lists its provider wherever it runs, and ONNX Runtime goes on without one that does not start.
    monkeypatch.setattr(
        "onnxruntime.get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"]
    )
    path = next(case for case in CASES if case.kind == "onnx").artifact(tmp_path, "adder").path
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        with pytest.raises(ArtifactError, match=r"device 'cuda' was asked for, but ONNX Runtime cannot use"):
            open_runtime(Artifact("m", "onnx", path=path, device="cuda"))
        open_runtime(Artifact("m", "onnx", path=path, device="auto"))
