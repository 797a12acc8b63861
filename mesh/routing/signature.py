"""Do these tensors fit this model? One check, used at every edge and again where the model runs."""

import numpy as np

from mesh.routing.datatypes import DATATYPE_OF, NUMPY_OF
from mesh.routing.types import Mismatch, Signature, Tensors, TensorSpec


def first_mismatch(signature: Signature, tensors: Tensors) -> Mismatch | None:
    """The first way in which `tensors` do not fit `signature`'s inputs, or None.

    Checks for missing and unknown inputs, dtype, rank and every dimension but the first, and that all inputs have
    the same number of rows.
    """
    rows = None
    for spec in signature.inputs:
        array = tensors.get(spec.name)
        if array is None:
            return Mismatch(spec.name, describe(spec), f"only {sorted(tensors)}")
        if array.dtype != NUMPY_OF[spec.datatype] or not shape_fits(spec.shape, array.shape):
            return Mismatch(spec.name, describe(spec), describe_array(array))
        if rows is not None and array.shape[0] != rows:
            return Mismatch(
                spec.name, f"{rows} rows as in '{signature.inputs[0].name}'", f"{array.shape[0]} rows"
            )
        rows = array.shape[0]
    if len(tensors) != len(signature.inputs):
        known = [spec.name for spec in signature.inputs]
        extra = next(name for name in tensors if name not in known)
        return Mismatch(extra, f"one of {known}", "an unknown input")
    return None


def shape_fits(expected: tuple[int, ...], got: tuple[int, ...]) -> bool:
    """Whether `got` is `expected`, where -1 is any size, whatever the number of rows."""
    return len(expected) == len(got) and all(e in (-1, g) for e, g in zip(expected[1:], got[1:], strict=True))


def describe(spec: TensorSpec) -> str:
    """`FP32 [N, 16]`."""
    sizes = ["N", *("any" if size == -1 else str(size) for size in spec.shape[1:])]
    return f"{spec.datatype} [{', '.join(sizes)}]"


def describe_array(array: np.ndarray) -> str:
    """`FP64 [2, 15]`."""
    return f"{DATATYPE_OF.get(array.dtype, str(array.dtype))} [{', '.join(map(str, array.shape))}]"
