"""What a model gives, made fit to be carried: dtypes of the protocol, N rows, contiguous."""

from collections.abc import Iterable, Mapping

import numpy as np

from mesh.routing.datatypes import DATATYPE_OF, NUMPY_OF, empty_value
from mesh.routing.types import TensorSpec

Piece = tuple[int, int, dict[str, np.ndarray]]
"""Outputs for the rows from the first number up to, without, the second."""

_BYTES = np.dtype(object)


class WrongOutput(Exception):
    """A model answered with outputs that cannot be: no row's fault, so trying fewer rows cannot help."""


def fitted(
    raw: Mapping[str, object], expected: Iterable[tuple[str, np.dtype]], rows: int
) -> dict[str, np.ndarray]:
    """The `expected` outputs of `raw` as arrays of `rows` rows with exactly those dtypes.

    A dtype of the same kind is cast (FP64 to FP32), others are not. Raises `WrongOutput`, and `OverflowError` for a whole number
    that does not fit: the fault of its row.
    """
    outputs = {}
    for name, dtype in expected:
        array = raw.get(name)
        if (
            type(array) is not np.ndarray
            or array.dtype != dtype
            or dtype == _BYTES
            or not array.flags.c_contiguous
        ):
            array = _cast(name, array, dtype, list(raw))
        if not array.ndim or len(array) != rows:
            got = f"{len(array)} rows" if array.ndim else "a single value"
            raise WrongOutput(f"output '{name}' has {got} for {rows} rows of input")
        outputs[name] = array
    return outputs


def carryable(value: object, wanted: np.dtype | None = None) -> np.ndarray:
    """`value` as a contiguous array of a dtype that can travel: text as UTF-8 bytes, bfloat16 as float32.

    `wanted` says how to read what is no array yet. `TypeError` for what cannot be carried (complex, dates,
    records).
    """
    array = (
        value
        if isinstance(value, np.ndarray)
        else np.asarray(value, dtype=_BYTES if wanted == _BYTES else None)
    )
    if array.dtype.kind in "OSU":
        return _as_bytes(array)
    if array.dtype not in DATATYPE_OF:
        native = array.dtype.newbyteorder("=")
        if native not in DATATYPE_OF:
            native = _nearest(array.dtype)
        array = array.astype(native)
    return np.ascontiguousarray(array) if array.ndim else array


def joined(pieces: list[Piece], rows: int, specs: Iterable[TensorSpec]) -> dict[str, np.ndarray]:
    """One array of `rows` rows per output; rows that no piece covers hold NaN, zero or empty bytes."""
    outputs = {}
    for spec in specs:
        tail = pieces[0][2][spec.name].shape[1:]
        whole = np.full((rows, *tail), empty_value(spec.datatype), dtype=NUMPY_OF[spec.datatype])
        for start, stop, part in pieces:
            if part[spec.name].shape[1:] != tail:
                raise WrongOutput(f"output '{spec.name}' changes its shape from row to row")
            whole[start:stop] = part[spec.name]
        outputs[spec.name] = whole
    return outputs


def _cast(name: str, value: object, dtype: np.dtype, given: list[str]) -> np.ndarray:
    if value is None:
        raise WrongOutput(f"output '{name}' is missing; the model gave {given}")
    try:
        array = carryable(value, dtype)
    except (TypeError, ValueError) as error:
        raise WrongOutput(f"output '{name}': {error}") from error
    if array.dtype == dtype:
        return array
    if _BYTES in (array.dtype, dtype) or not np.can_cast(array.dtype, dtype, "same_kind"):
        raise WrongOutput(f"output '{name}' is {DATATYPE_OF[array.dtype]}, expected {DATATYPE_OF[dtype]}")
    # Too large for FP32 becomes infinite, as in the framework
    with np.errstate(over="ignore", invalid="ignore"):
        cast = array.astype(dtype)
    if dtype.kind in "iu" and array.dtype.kind in "iu" and not np.array_equal(cast, array):
        wrong = array[cast != array].flat[0]
        raise OverflowError(f"output '{name}' holds {wrong}, which is no {DATATYPE_OF[dtype]}")
    return cast


def _as_bytes(array: np.ndarray) -> np.ndarray:
    if array.dtype == _BYTES and array.flags.c_contiguous and all(type(item) is bytes for item in array.flat):
        return array
    whole = np.empty(array.shape, dtype=object)
    whole.reshape(-1)[:] = [_one_bytes(item) for item in array.flat]
    return whole


def _one_bytes(item: object) -> bytes:
    if isinstance(item, str):
        return item.encode()
    if isinstance(item, bytes):
        return bytes(item)
    raise TypeError(f"{type(item).__name__} is neither bytes nor text")


def _nearest(dtype: np.dtype) -> np.dtype:
    if dtype == np.longdouble:
        return NUMPY_OF["FP64"]
    if "float" in dtype.name:  # bfloat16 and the 8-bit floats that frameworks add to numpy
        return NUMPY_OF["FP32"]
    raise TypeError(f"dtype {dtype} has no Open Inference Protocol datatype")
