"""Finding out what a model gives by asking it: a call with zeros."""

from collections.abc import Callable, Iterable

import numpy as np

from mesh.errors import ArtifactError
from mesh.routing.datatypes import NUMPY_OF, datatype_of
from mesh.routing.types import Signature, Tensors, TensorSpec
from mesh.runtimes.base import Artifact
from mesh.runtimes.outputs import carryable

Score = Callable[[Tensors], dict[str, np.ndarray]]


def zeros(inputs: Iterable[TensorSpec], rows: int, open_size: int = 1) -> dict[str, np.ndarray]:
    """`rows` rows of zeros (empty bytes) that fit `inputs`; sizes that are left open are `open_size`."""
    return {spec.name: _zeros(spec, rows, open_size) for spec in inputs}


def with_outputs(artifact: Artifact, signature: Signature, score: Score) -> Signature:
    """`signature` with the outputs that neither the artifact nor its user states, found by calls with zeros.

    Called with two sizes where an input's size is open, so that an output's size which follows it stays open
    too. `ArtifactError` where the call fails: the user must then declare the outputs.
    """
    if signature.outputs and all(spec.shape for spec in signature.outputs):
        return signature
    try:
        found = probe(score, signature.inputs)
    except Exception as error:
        # Whatever a model raises on zeros: it cannot be asked, so it must be told.
        raise ArtifactError(
            f"model '{artifact.name}': its outputs are not stated, and a call with zeros raised "
            f"{type(error).__name__}: {error}; declare inputs with exact sizes, or declare outputs"
        ) from error
    if not signature.outputs:
        return Signature(signature.inputs, found)
    shapes = {spec.name: spec for spec in found}
    missing = [spec.name for spec in signature.outputs if spec.name not in shapes]
    if missing:
        raise ArtifactError(
            f"model '{artifact.name}': declared outputs {missing}, but the artifact gives {sorted(shapes)}"
        )
    outputs = tuple(spec if spec.shape else shapes[spec.name] for spec in signature.outputs)
    return Signature(signature.inputs, outputs)


def probe(score: Score, inputs: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
    """The outputs of a call with zeros; raises what the model raises."""
    first = _specs(score(zeros(inputs, 1)))
    if all(-1 not in spec.shape[1:] for spec in inputs):
        return first
    try:
        second = {spec.name: spec.shape for spec in _specs(score(zeros(inputs, 1, open_size=2)))}
    except Exception:  # noqa: BLE001
        # Only one size is known to work, so nothing says that another size would change the outputs.
        return first
    return tuple(_opened(spec, second.get(spec.name, ())) for spec in first)


def _opened(spec: TensorSpec, other: tuple[int, ...]) -> TensorSpec:
    if len(spec.shape) != len(other):
        return spec
    sizes = tuple(a if a == b else -1 for a, b in zip(spec.shape, other, strict=True))
    return TensorSpec(spec.name, spec.datatype, sizes)


def _specs(outputs: Tensors) -> tuple[TensorSpec, ...]:
    arrays = {name: carryable(array) for name, array in outputs.items()}
    return tuple(
        TensorSpec(name, datatype_of(array), (-1, *array.shape[1:])) for name, array in arrays.items()
    )


def _zeros(spec: TensorSpec, rows: int, open_size: int) -> np.ndarray:
    shape = (rows, *(open_size if size == -1 else size for size in spec.shape[1:]))
    if spec.datatype == "BYTES":
        return np.full(shape, b"", dtype=object)
    return np.zeros(shape, dtype=NUMPY_OF[spec.datatype])
