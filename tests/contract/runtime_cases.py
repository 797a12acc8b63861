"""The same three models as artifacts of every runtime, for the one contract suite that runs over all of them.

adder   a, b FP32 [N, 4] → sum FP32 [N, 4]
echo    x_bool, x_uint8, … [N, 3], one per datatype that the runtime claims → y_bool, …, unchanged
picky   x INT64 [N, 1] → y FP32 [N, 1] = 2x for 0 to 3; raises for every other value
"""

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from mesh.routing.datatypes import NUMPY_OF
from mesh.routing.types import Signature, Tensors, TensorSpec
from mesh.runtimes.base import Artifact, ConfidenceRule

ALL = tuple(NUMPY_OF)
NUMBERS = tuple(name for name in ALL if name != "BYTES")
POISON = 666
TABLE = np.array([0, 2, 4, 6], dtype=np.float32)

ADDER = Signature(
    (TensorSpec("a", "FP32", (-1, 4)), TensorSpec("b", "FP32", (-1, 4))),
    (TensorSpec("sum", "FP32", (-1, 4)),),
)
PICKY = Signature((TensorSpec("x", "INT64", (-1, 1)),), (TensorSpec("y", "FP32", (-1, 1)),))


def echo_signature(claims: Sequence[str]) -> Signature:
    return Signature(
        tuple(TensorSpec(f"x_{name.lower()}", name, (-1, 3)) for name in claims),
        tuple(TensorSpec(f"y_{name.lower()}", name, (-1, 3)) for name in claims),
    )


def sample(datatype: str, rows: int) -> np.ndarray:
    """[rows, 3] of values that do not survive being read as another datatype."""
    numbers = np.arange(rows * 3).reshape(rows, 3)
    if datatype == "BYTES":
        return np.array([f"ä{number}".encode() for number in numbers.flat], dtype=object).reshape(rows, 3)
    if datatype == "BOOL":
        return numbers % 2 == 0
    dtype = NUMPY_OF[datatype]
    top = np.iinfo(dtype).max if dtype.kind in "iu" else np.finfo(dtype).max
    return (
        (top - numbers.astype(dtype)) if dtype.kind in "iu" else np.asarray(top / (1 + numbers), dtype=dtype)
    )


def required(module: str) -> ModuleType:
    """The framework, or a skip; in CI its absence is a failure."""
    if os.environ.get("CI"):
        return __import__(module)
    return pytest.importorskip(module)


@dataclass(frozen=True)
class Case:
    """One runtime. `artifact(folder, model)` writes one of the `models` that it can be.

    `states` says that the artifact itself states its signature; `damage` breaks an artifact that was written.
    """

    kind: str
    claims: tuple[str, ...]
    artifact: Callable[[Path, str], Artifact]
    states: bool = False
    damage: Callable[[Artifact], Artifact] | None = None
    models: tuple[str, ...] = ("adder", "echo", "picky")

    @property
    def is_file(self) -> bool:
        return self.damage in (_overwritten, _cut)


# --- identity and rules: no artifact


def identity(_: Path, model: str) -> Artifact:
    inputs = echo_signature(ALL).inputs if model == "echo" else ADDER.inputs
    return Artifact("m", "identity", signature=Signature(inputs, ()))


def rules(_: Path, model: str) -> Artifact:
    assert model == "adder", "its outputs are its own; it is an adder by its input only"
    options = {"columns": ["p", "q", "r", "s"], "rules": [{"column": "q", "above": 0.5}], "input": "a"}
    return Artifact("m", "rules", options=options, confidence=ConfidenceRule("output", "confidence"))


# --- python: the objects that the import path names


class Adder:
    signature = ADDER

    def score(self, tensors: Tensors) -> Tensors:
        return {"sum": tensors["a"] + tensors["b"]}


class Echo:
    signature = echo_signature(ALL)

    def score(self, tensors: Tensors) -> Tensors:
        return {name.replace("x_", "y_"): array for name, array in tensors.items()}


def picky_factory() -> Callable[[Tensors], Tensors]:
    return lambda tensors: {"y": TABLE[tensors["x"]]}


def python(_: Path, model: str) -> Artifact:
    name = {"adder": "Adder", "echo": "Echo", "picky": "picky_factory"}[model]
    signature = Signature(PICKY.inputs, ()) if model == "picky" else None
    return Artifact("m", "python", path=f"{__name__}:{name}", signature=signature)


# --- onnx


def onnx(folder: Path, model: str) -> Artifact:
    required("onnx")
    from onnx import TensorProto as T
    from onnx import helper

    odd = {"BYTES": "STRING", "FP16": "FLOAT16", "FP32": "FLOAT", "FP64": "DOUBLE"}
    types = {name: getattr(T, odd.get(name, name)) for name in ALL}

    def values(specs: Sequence[TensorSpec]) -> list[Any]:
        return [helper.make_tensor_value_info(s.name, types[s.datatype], ["N", *s.shape[1:]]) for s in specs]

    known = {"adder": ADDER, "echo": echo_signature(ALL), "picky": PICKY}[model]
    constants = []
    if model == "adder":
        nodes = [helper.make_node("Add", ["a", "b"], ["sum"])]
    elif model == "echo":
        nodes = [helper.make_node("Identity", [f"x_{name.lower()}"], [f"y_{name.lower()}"]) for name in ALL]
    else:
        nodes = [helper.make_node("Gather", ["table", "x"], ["y"])]
        constants = [helper.make_tensor("table", T.FLOAT, [4], TABLE)]
    graph = helper.make_graph(nodes, model, values(known.inputs), values(known.outputs), constants)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    made.ir_version = 9
    path = folder / f"{model}.onnx"
    path.write_bytes(made.SerializeToString())
    return Artifact("m", "onnx", path=str(path))


# --- torch


def torch_module(model: str) -> tuple[Any, tuple[Any, ...]]:
    torch = required("torch")

    class Table(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = torch.nn.Embedding(4, 1, _weight=torch.from_numpy(TABLE.reshape(4, 1).copy()))

        def forward(self, x):
            return {"y": self.table(x.reshape(-1))}

    class Sum(torch.nn.Module):
        def forward(self, a, b):
            return {"sum": a + b}

    if model == "picky":
        return Table(), (torch.zeros((2, 1), dtype=torch.int64),)
    if model == "adder":
        return Sum(), (torch.zeros(2, 4), torch.zeros(2, 4))
    names = [f"x_{name.lower()}" for name in NUMBERS]
    scope: dict[str, Any] = {}
    source = f"def forward(self, {', '.join(names)}): return {', '.join(f'{name}.clone()' for name in names)}"
    exec(source, scope)  # noqa: S102 - torch names a model's inputs after the arguments of its forward
    echo = type("EchoModule", (torch.nn.Module,), {"forward": scope["forward"]})
    return echo(), tuple(torch.from_numpy(sample(name, 2)) for name in NUMBERS)


def torch_script(folder: Path, model: str) -> Artifact:
    torch = required("torch")
    module, example = torch_module(model)
    path = folder / f"{model}.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        traced = torch.jit.trace(module.eval(), example, strict=False)
    traced.save(str(path))
    known = {"adder": ADDER, "echo": echo_signature(NUMBERS), "picky": PICKY}[model]
    outputs = known.outputs if model == "echo" else ()
    return Artifact("m", "torch", path=str(path), signature=Signature(known.inputs, outputs))


def torch_export(folder: Path, model: str) -> Artifact:
    torch = required("torch")
    module, example = torch_module(model)
    rows = torch.export.Dim("rows")
    program = torch.export.export(module.eval(), example, dynamic_shapes=tuple({0: rows} for _ in example))
    path = folder / f"{model}.pt2"
    torch.export.save(program, str(path))
    signature = Signature((), echo_signature(NUMBERS).outputs) if model == "echo" else None
    return Artifact("m", "torch", path=str(path), signature=signature)


# --- tensorflow


def tensorflow(folder: Path, model: str) -> Artifact:
    tf = required("tensorflow")
    known = {"adder": ADDER, "echo": echo_signature(ALL), "picky": PICKY}[model]
    table = tf.constant(TABLE)

    def specs() -> dict[str, Any]:
        return {
            s.name: tf.TensorSpec(
                [None, *s.shape[1:]], tf.string if s.datatype == "BYTES" else NUMPY_OF[s.datatype], s.name
            )
            for s in known.inputs
        }

    def call(**inputs):
        if model == "adder":
            return {"sum": inputs["a"] + inputs["b"]}
        if model == "picky":
            with tf.control_dependencies([tf.debugging.assert_less(inputs["x"], tf.constant(4, tf.int64))]):
                return {"y": tf.gather(table, tf.minimum(inputs["x"], 3))}
        return {name.replace("x_", "y_"): tf.identity(value) for name, value in inputs.items()}

    holder = tf.Module()
    holder.call = tf.function(call, autograph=False)
    concrete = holder.call.get_concrete_function(**specs())
    path = folder / model
    tf.saved_model.save(holder, str(path), signatures={"serving_default": concrete})
    return Artifact("m", "tensorflow", path=str(path))


# --- triton: the address of the server is known once it runs

_triton_address: list[str] = []


@contextmanager
def triton_at(address: str) -> Iterator[None]:
    _triton_address.append(address)
    try:
        yield
    finally:
        _triton_address.clear()


def triton(_: Path, model: str) -> Artifact:
    return Artifact("m", "triton", path=f"grpc://{_triton_address[0]}/{model}", options={"timeout_s": 20})


# --- damage


def _overwritten(artifact: Artifact) -> Artifact:
    path = Path(str(artifact.path))
    target = path / "saved_model.pb" if path.is_dir() else path
    target.write_bytes(b"not a model at all")
    return artifact


def _cut(artifact: Artifact) -> Artifact:
    path = Path(str(artifact.path))
    path.write_bytes(path.read_bytes()[:-100])
    return artifact


def _no_such_model(artifact: Artifact) -> Artifact:
    return replace(artifact, path=str(artifact.path) + "-that-is-not-there")


def _no_such_name(artifact: Artifact) -> Artifact:
    return replace(artifact, path=f"{__name__}:NotThere")


CASES = (
    Case("identity", ALL, identity, models=("adder", "echo")),
    Case("rules", ("FP32",), rules, models=("adder",)),
    Case("python", ALL, python, states=True, damage=_no_such_name),
    Case("onnx", ALL, onnx, states=True, damage=_overwritten),
    Case("torch-script", NUMBERS, torch_script, damage=_cut),
    Case("torch-export", NUMBERS, torch_export, states=True, damage=_cut),
    Case("tensorflow", ALL, tensorflow, states=True, damage=_overwritten),
    Case("triton", ALL, triton, states=True, damage=_no_such_model),
)
