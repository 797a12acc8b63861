"""A raw request: the whole body is one row of the endpoint's only input, without any JSON (header length 0)."""

import math
from typing import Final

import numpy as np

from mesh.errors import InvalidInput
from mesh.routing.datatypes import NUMPY_OF
from mesh.routing.types import Signature, TensorSpec
from serve.oip.tensors import Buffer, bytes_array, from_bytes

_FIELD: Final = "inference-header-content-length"


def raw_input(body: Buffer, endpoint: str, signature: Signature | None) -> tuple[str, np.ndarray]:
    """The input's name and its one row; BYTES is a single element without the length that else stands before it."""
    if signature is None or len(signature.inputs) != 1:
        raise InvalidInput(
            _FIELD, f"0 needs an endpoint that is known to take one input; '{endpoint}' is not"
        )
    spec = signature.inputs[0]
    shape = _one_row(spec, len(body))
    if spec.datatype == "BYTES":
        return spec.name, bytes_array([bytes(body)], shape)
    return spec.name, from_bytes(body, spec.datatype, shape, "body")


def _one_row(spec: TensorSpec, size: int) -> tuple[int, ...]:
    """The shape of one row in `size` bytes; one extent that the endpoint leaves open follows from the others."""
    shape = (1, *spec.shape[1:])
    open_extents = shape.count(-1)
    if open_extents > 1 or (spec.datatype == "BYTES" and (open_extents or math.prod(shape) != 1)):
        raise InvalidInput(
            _FIELD, f"0 leaves open what '{spec.name}' {list(spec.shape)} holds: say so in JSON"
        )
    if not open_extents:
        return shape
    known = NUMPY_OF[spec.datatype].itemsize * -math.prod(shape)
    return tuple(max(1, size // known) if extent == -1 else extent for extent in shape)
