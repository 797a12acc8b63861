"""What is particular to PyTorch files: widths found from weights, names of outputs, models that write into their input."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runtime_cases import required

from mesh.errors import ArtifactError
from mesh.routing.types import Signature, TensorSpec
from mesh.runtimes import describe, open_runtime
from mesh.runtimes.base import Artifact
from mesh.runtimes.scorer import Scorer

torch = required("torch")


def traced(path: Path, module: Any, *example: Any) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(module.eval(), example, strict=False).save(str(path))
    return str(path)


def module(forward: Any) -> Any:
    return type("FromFunction", (torch.nn.Module,), {"forward": forward})()


def test_undeclared_script_is_known_by_its_weights(tmp_path: Path) -> None:
    network = torch.nn.Sequential(torch.nn.Linear(16, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
    path = traced(tmp_path / "m.pt", network, torch.zeros(2, 16))
    signature = describe(Artifact("m", "torch", path=path))
    assert [(spec.datatype, spec.shape) for spec in signature.inputs] == [("FP32", (-1, 16))]
    assert signature.outputs == (TensorSpec("output", "FP32", (-1, 3)),)


def test_declared_open_width_is_known_by_the_weights(tmp_path: Path) -> None:
    path = traced(tmp_path / "m.pt", torch.nn.Linear(16, 3), torch.zeros(2, 16))
    declared = Signature(
        (TensorSpec("features", "FP32", (-1, -1)),), (TensorSpec("logits", "FP32", (-1, 3)),)
    )
    signature = describe(Artifact("m", "torch", path=path, signature=declared))
    assert signature == Signature((TensorSpec("features", "FP32", (-1, 16)),), declared.outputs)


def test_script_that_takes_any_width_stays_open(tmp_path: Path) -> None:
    path = traced(tmp_path / "m.pt", module(lambda _, x: x * 2), torch.zeros(2, 4))
    signature = describe(Artifact("m", "torch", path=path))
    assert signature == Signature(
        (TensorSpec("x", "FP32", (-1, -1)),), (TensorSpec("output", "FP32", (-1, -1)),)
    )


def test_undeclared_script_that_cannot_be_guessed_says_so(tmp_path: Path) -> None:
    path = traced(tmp_path / "m.pt", torch.nn.Conv2d(3, 2, 3), torch.zeros(2, 3, 8, 8))
    with pytest.raises(ArtifactError, match="declare inputs"):
        open_runtime(Artifact("m", "torch", path=path))


def test_outputs_of_a_tuple_are_named_by_their_place_or_as_declared(tmp_path: Path) -> None:
    path = traced(tmp_path / "m.pt", module(lambda _, x: (x, x.sum(dim=1))), torch.zeros(2, 4))
    inputs = (TensorSpec("x", "FP32", (-1, 4)),)
    assert [spec.name for spec in describe(Artifact("m", "torch", path=path)).outputs] == [
        "output_0",
        "output_1",
    ]
    declared = (TensorSpec("same", "FP32", (-1, 4)), TensorSpec("total", "FP32", (-1,)))
    runtime = open_runtime(Artifact("m", "torch", path=path, signature=Signature(inputs, declared)))
    assert runtime.score({"x": np.ones((3, 4), np.float32)})["total"].tolist() == [4, 4, 4]


def test_arguments_are_matched_by_name_where_the_names_agree(tmp_path: Path) -> None:
    path = traced(tmp_path / "m.pt", module(lambda _, a, b: a - b), torch.zeros(2, 1), torch.zeros(2, 1))
    inputs = tuple(TensorSpec(name, "FP32", (-1, 1)) for name in ("b", "a"))
    runtime = open_runtime(Artifact("m", "torch", path=path, signature=Signature(inputs, ())))
    answer = runtime.score({"a": np.full((1, 1), 5, np.float32), "b": np.full((1, 1), 2, np.float32)})
    assert answer["output"].tolist() == [[3]]


def scripted(folder: Path, forward: str) -> str:
    """A TorchScript file of a module whose `forward` is this source; scripting reads the source from a file."""
    source = folder / "script_source.py"
    lines = [
        "import torch",
        "from torch import Tensor",
        "from typing import Optional",
        "class M(torch.nn.Module):",
    ]
    source.write_text("\n".join([*lines, *(f"    {line}" for line in forward.splitlines())]) + "\n")
    scope: dict[str, Any] = {}
    exec(compile(source.read_text(), str(source), "exec"), scope)  # noqa: S102
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(scope["M"]()).save(str(folder / "m.pt"))
    return str(folder / "m.pt")


@pytest.mark.parametrize(
    "forward",
    [
        "def forward(self, a: Tensor, b: Tensor, scale: float = 1.0):\n    return (a - b) * scale",
        "def forward(self, a: Tensor, m: int = 1, b: Optional[Tensor] = None):\n    return a if b is None else a - b",
    ],
    ids=["last", "between"],
)
def test_arguments_with_a_default_may_be_left_out(tmp_path: Path, forward: str) -> None:
    inputs = tuple(TensorSpec(name, "FP32", (-1, 1)) for name in ("b", "a"))
    artifact = Artifact("m", "torch", path=scripted(tmp_path, forward), signature=Signature(inputs, ()))
    answer = open_runtime(artifact).score(
        {"a": np.full((1, 1), 5, np.float32), "b": np.full((1, 1), 2, np.float32)}
    )
    assert answer["output"].tolist() == [[3]]


def test_model_that_writes_into_its_input_harms_only_zeros(tmp_path: Path) -> None:
    path = traced(tmp_path / "m.pt", module(lambda _, x: x.add_(1) * 1), torch.zeros(2, 4))
    inputs = (TensorSpec("x", "FP32", (-1, 4)),)
    runtime = open_runtime(Artifact("m", "torch", path=path, signature=Signature(inputs, ())))
    x = np.zeros((2, 4), np.float32)
    x.flags.writeable = False
    assert (runtime.score({"x": x})["output"] == 1).all()
    assert (x == 0).all()


def test_large_input_is_not_copied(tmp_path: Path) -> None:
    path = traced(tmp_path / "m.pt", module(lambda _, x: x), torch.zeros(2, 4))
    runtime = open_runtime(Artifact("m", "torch", path=path))
    x = np.frombuffer(bytes(4 * 4 * 3), dtype=np.float32).reshape(3, 4)
    assert np.shares_memory(runtime.score({"x": x})["output"], x)


def test_what_a_script_raises_is_said_in_one_line(tmp_path: Path) -> None:
    path = scripted(
        tmp_path,
        "def forward(self, x: Tensor):\n    if bool((x > 5).any()):\n        raise ValueError('too hot')\n    return x * 1",
    )
    inputs = Signature((TensorSpec("x", "FP32", (-1, 1)),), ())
    runtime = open_runtime(Artifact("m", "torch", path=path, signature=inputs))
    with pytest.raises(RuntimeError, match=r"^[^\n]*too hot[^\n]*$"):
        runtime.score({"x": np.full((1, 1), 9, np.float32)})


def test_bfloat16_is_answered_as_float32(tmp_path: Path) -> None:
    path = traced(tmp_path / "m.pt", module(lambda _, x: x.to(torch.bfloat16)), torch.zeros(2, 4))
    assert describe(Artifact("m", "torch", path=path)).outputs[0].datatype == "FP32"


def test_exported_model_that_takes_bfloat16_is_given_float32(tmp_path: Path) -> None:
    weights = torch.ones(2, 3, dtype=torch.bfloat16)
    network = module(lambda _, a: torch.nn.functional.linear(a, weights))
    path = exported(tmp_path / "m.pt2", network, (torch.zeros(2, 3, dtype=torch.bfloat16),))
    artifact = Artifact("m", "torch", path=path)
    scorer = Scorer(open_runtime(artifact), artifact)
    scorer.warm_up()
    assert scorer.score({"a": np.ones((2, 3), np.float32)}).outputs["output"].tolist() == [[3, 3]] * 2


def test_weights_alone_are_not_a_model(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    torch.save(torch.nn.Linear(2, 2).state_dict(), str(path))
    with pytest.raises(ArtifactError, match=r"neither TorchScript nor torch.export.*torch.export.save"):
        open_runtime(Artifact("m", "torch", path=str(path)))


def exported(
    path: Path, network: Any, args: tuple, kwargs: dict | None = None, *, dynamic: bool = True
) -> str:
    rows = torch.export.Dim("rows")
    every = {**dict(zip("abcdef", args, strict=False)), **(kwargs or {})}
    shapes = {name: {0: rows} for name in every} if dynamic else None
    torch.export.save(torch.export.export(network.eval(), args, kwargs, dynamic_shapes=shapes), str(path))
    return str(path)


def test_exported_model_with_keyword_arguments(tmp_path: Path) -> None:
    network = module(lambda _, a, *, b: {"difference": a - b})
    path = exported(tmp_path / "anything", network, (torch.zeros(2, 3),), {"b": torch.zeros(2, 3)})
    runtime = open_runtime(Artifact("m", "torch", path=path))
    assert [spec.name for spec in runtime.signature.inputs] == ["a", "b"]
    assert runtime.signature.outputs == (TensorSpec("difference", "FP32", (-1, 3)),)
    answer = runtime.score({"a": np.full((5, 3), 5, np.float32), "b": np.full((5, 3), 2, np.float32)})
    assert (answer["difference"] == 3).all()


def test_exported_model_of_fixed_batch_is_refused(tmp_path: Path) -> None:
    path = exported(tmp_path / "m.pt2", torch.nn.Linear(2, 2), (torch.zeros(3, 2),), dynamic=False)
    with pytest.raises(ArtifactError, match="batch dimension is fixed at 3; export the model with a dynamic"):
        open_runtime(Artifact("m", "torch", path=path))


def test_threads(tmp_path: Path) -> None:
    path = traced(tmp_path / "m.pt", torch.nn.Linear(2, 2), torch.zeros(2, 2))
    before = torch.get_num_threads()
    try:
        open_runtime(Artifact("m", "torch", path=path, options={"threads": 1}))
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
    with pytest.raises(ArtifactError, match=r"options.threads: expected a whole number of at least 1, got 0"):
        open_runtime(Artifact("m", "torch", path=path, options={"threads": 0}))
    bytes_ = Signature((TensorSpec("x", "BYTES", (-1, 2)),), ())
    with pytest.raises(ArtifactError, match="BYTES"):
        open_runtime(Artifact("m", "torch", path=path, signature=bytes_))
