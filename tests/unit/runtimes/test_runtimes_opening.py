"""Opening: nothing is imported early, what is missing is named, what is declared is checked."""

import subprocess
import sys

import pytest

from mesh.errors import ArtifactError
from mesh.routing.types import Signature, TensorSpec
from mesh.runtimes import describe, open_runtime
from mesh.runtimes.agreement import agreed
from mesh.runtimes.base import Artifact, RuntimeKind

FRAMEWORKS = ("torch", "tensorflow", "onnxruntime", "tritonclient", "ray", "pydantic")
FEATURES = TensorSpec("features", "FP32", (-1, -1))


def test_no_framework_is_imported_before_a_model_is_opened() -> None:
    look = f"import sys, mesh.runtimes, mesh.runtimes.scorer; print([f for f in {FRAMEWORKS} if f in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", look], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("kind", "module", "command"),
    [
        ("torch", "torch", "pip install 'hyperstream-mesh[torch]'"),
        ("tensorflow", "tensorflow", "pip install 'hyperstream-mesh[tensorflow]'"),
        ("onnx", "onnxruntime", "pip install onnxruntime"),
        ("triton", "tritonclient", "pip install 'tritonclient[grpc]'"),
    ],
)
def test_missing_framework_gives_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, kind: RuntimeKind, module: str, command: str
) -> None:
    for name in [name for name in sys.modules if name.startswith((f"{module}.", f"mesh.runtimes.{kind}_"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ArtifactError) as caught:
        open_runtime(Artifact("m", kind, path="somewhere"))
    assert str(caught.value) == f"model 'm': the {kind} runtime is not installed; install it with: {command}"


def test_unknown_kind_lists_the_known_ones() -> None:
    with pytest.raises(ArtifactError, match="'sklearn' is not one of identity, rules, python, torch"):
        open_runtime(Artifact("m", "sklearn"))  # type: ignore[arg-type]


def test_identity_by_default_takes_features_of_any_width() -> None:
    assert describe(Artifact("m", "identity")) == Signature((FEATURES,), (FEATURES,))


def test_identity_with_declared_inputs() -> None:
    image = TensorSpec("image", "UINT8", (-1, 3, 8, 8))
    assert describe(Artifact("m", "identity", signature=Signature((image,), ()))) == Signature(
        (image,), (image,)
    )


def test_identity_has_no_path_and_no_other_outputs() -> None:
    with pytest.raises(ArtifactError, match="remove path"):
        open_runtime(Artifact("m", "identity", path="model.onnx"))
    other = Signature((FEATURES,), (TensorSpec("y", "FP32", (-1, 1)),))
    with pytest.raises(ArtifactError, match=r"declared outputs \['y'\], but the artifact has \['features'\]"):
        open_runtime(Artifact("m", "identity", signature=other))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (TensorSpec("x", "FP32", (4, 2)), "batch dimension is fixed at 4; export the model with a dynamic"),
        (TensorSpec("x", "FP32", ()), "states no shape; declare it"),
        (TensorSpec("x", "FLOAT", (-1, 2)), "datatype 'FLOAT' is not one of BOOL"),
    ],
)
def test_inputs_that_cannot_be_served(spec: TensorSpec, message: str) -> None:
    with pytest.raises(ArtifactError, match=message):
        open_runtime(Artifact("m", "identity", signature=Signature((spec,), ())))


def test_outputs_that_cannot_be_carried() -> None:
    stated = Signature((FEATURES,), (TensorSpec("y", "BF16", (-1, 1)),))
    with pytest.raises(ArtifactError, match="output 'y': datatype 'BF16' is not one of BOOL"):
        agreed(Artifact("m", "triton"), stated)


def test_each_side_fills_what_the_other_leaves_open() -> None:
    stated = Signature(
        (TensorSpec("a", "FP32", (-1, 3, -1)), TensorSpec("b", "INT64", ())),
        (TensorSpec("y", "FP32", (1, -1)), TensorSpec("z", "FP32", (-1,))),
    )
    declared = Signature(
        (TensorSpec("a", "FP32", (-1, -1, 5)), TensorSpec("b", "INT64", (-1, 2))),
        (TensorSpec("y", "FP32", (-1, 7)),),
    )
    assert agreed(Artifact("m", "onnx", signature=declared), stated) == Signature(
        (TensorSpec("a", "FP32", (-1, 3, 5)), TensorSpec("b", "INT64", (-1, 2))),
        (TensorSpec("y", "FP32", (-1, 7)),),
    )
