"""One number per row that says how sure a model is."""

from collections.abc import Callable, Mapping

import numpy as np

from mesh.errors import ArtifactError
from mesh.routing.types import TensorSpec
from mesh.runtimes.base import Artifact, ConfidenceRule
from mesh.runtimes.outputs import WrongOutput

ReadConfidence = Callable[[Mapping[str, np.ndarray]], np.ndarray]
"""Outputs of N rows to float32 [N]. NaN where what it reads is NaN."""


def confidence_reader(
    artifact: Artifact, rule: ConfidenceRule, outputs: tuple[TensorSpec, ...]
) -> ReadConfidence:
    """How to read `rule`'s confidence; `ArtifactError` where the model's outputs cannot have one.

    `output` takes an output of [N] or [N, 1] as it is. `max_probability` is the largest of [N, C]; `margin`
    the largest less the second. A single probability p, [N] or [N, 1], counts as the two classes (1-p, p).
    """
    name = rule.output
    spec = next((spec for spec in outputs if spec.name == name), None)
    where = f"model '{artifact.name}': confidence: {rule.kind}: {name}"
    if spec is None:
        raise ArtifactError(f"{where}: no such output; the model has {[spec.name for spec in outputs]}")
    if spec.datatype in ("BYTES", "BOOL"):
        raise ArtifactError(f"{where}: the output is {spec.datatype}, confidence is a number")
    sizes = spec.shape[1:]
    if len(sizes) > 1 or 0 in sizes or (rule.kind == "output" and sizes not in ((), (1,), (-1,))):
        expected = "[N] or [N, 1]" if rule.kind == "output" else "[N] or [N, classes]"
        raise ArtifactError(f"{where}: expected the shape {expected}, the model has {list(spec.shape)}")
    read = {"output": _as_it_is, "max_probability": _largest, "margin": _margin}[rule.kind]
    return lambda tensors: read(tensors[name])


def _as_it_is(values: np.ndarray) -> np.ndarray:
    if values.size != len(values):
        raise WrongOutput(f"confidence of {list(values.shape)}: expected one value per row")
    return _float32(values.reshape(-1))


def _largest(values: np.ndarray) -> np.ndarray:
    if values.size == len(values):
        one = values.reshape(-1)
        return _float32(np.maximum(one, np.subtract(1, one)))
    return _float32(np.maximum.reduce(_matrix(values), axis=1))


def _margin(values: np.ndarray) -> np.ndarray:
    if values.size == len(values):
        return _float32(np.abs(2 * values.reshape(-1) - 1))
    classes = _matrix(values).astype(np.float64 if values.dtype == np.float64 else np.float32)
    classes.partition(classes.shape[1] - 2, axis=1)  # NaN sorts last, so it becomes the largest
    with np.errstate(invalid="ignore"):  # infinity less infinity is NaN, and that is the right answer
        return _float32(np.subtract(classes[:, -1], classes[:, -2]))


def _matrix(values: np.ndarray) -> np.ndarray:
    if values.ndim != 2 or not values.shape[1]:
        raise WrongOutput(f"confidence of {list(values.shape)}: expected [N, classes]")
    return values


def _float32(values: np.ndarray) -> np.ndarray:
    if values.dtype == np.float32:
        return np.ascontiguousarray(values)
    with np.errstate(over="ignore"):
        return values.astype(np.float32)
