"""Tensors from and to the wire: JSON numbers, raw little-endian bytes, and the length-prefixed texts of BYTES.

Every function raises `InvalidInput` whose field is the caller's name for the tensor's place, such as `inputs[0]`.
"""

import math
import re
import struct
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import chain
from typing import Final, cast

import msgspec
import numpy as np

from mesh.errors import InvalidInput
from mesh.routing.datatypes import NUMPY_OF
from serve.oip.schema import DECODE_ERRORS, decode, refusal

Buffer = bytes | bytearray | memoryview

MAX_RANK: Final = 16
_MAX_ELEMENTS: Final = 2**256

# struct's format characters refuse what does not fit, which numpy's conversions do not all do.
_FORMAT_OF: Final = {
    "BOOL": "?", "UINT8": "B", "UINT16": "H", "UINT32": "I", "UINT64": "Q",
    "INT8": "b", "INT16": "h", "INT32": "i", "INT64": "q", "FP16": "e", "FP32": "f", "FP64": "d",
}  # fmt: skip
_OPENING: Final = re.compile(rb"[\[ \t\r\n]*")
_BRACKET, _MINUS, _ZERO, _NINE = b"[-09"
_LENGTH: Final = struct.Struct("<I")


def check_shape(datatype: str, shape: Sequence[int], place: str) -> int:
    """The number of elements; refuses unknown datatypes and shapes that are none."""
    if datatype not in NUMPY_OF:
        raise InvalidInput(f"{place}.datatype", f"'{datatype}' is not one of {', '.join(NUMPY_OF)}")
    if not 1 <= len(shape) <= MAX_RANK:
        raise InvalidInput(f"{place}.shape", f"needs 1 to {MAX_RANK} sizes, rows first, and has {len(shape)}")
    if shape[0] == 0:
        raise InvalidInput(f"{place}.shape", "holds no rows: an empty batch has no answer")
    if min(shape) < 1:
        raise InvalidInput(f"{place}.shape", f"{min(shape)} is no size: every size is 1 or more")
    count = math.prod(shape)
    if count > _MAX_ELEMENTS:  # JSON's numbers have no end, and one of 5000 digits cannot even be told
        raise InvalidInput(f"{place}.shape", "holds more elements than any body")
    return count


def from_json(data: msgspec.Raw, datatype: str, shape: Sequence[int], place: str) -> np.ndarray:
    """The tensor whose elements stand in `data`, flat or nested as `shape` says. The result may be read-only."""
    count = check_shape(datatype, shape, place)
    view = memoryview(data)
    if len(view) > 1 and view[0] == _BRACKET and (_ZERO <= view[1] <= _NINE or view[1] == _MINUS):
        try:
            values = _FLAT[datatype].decode(data)
        except DECODE_ERRORS as error:
            raise refusal(error, f"{place}.data") from None
    else:
        values = _nested(data, datatype, shape, place)
    if len(values) != count:
        raise InvalidInput(
            f"{place}.data", f"holds {len(values)} values, its shape {list(shape)} needs {count}"
        )
    if datatype == "BYTES":
        return bytes_array([_utf8(text, place) for text in values], shape)
    try:
        packed = _struct(count, datatype).pack(*values)
    except (struct.error, OverflowError):
        raise InvalidInput(f"{place}.data", f"holds a number that does not fit {datatype}") from None
    return np.ndarray(shape, NUMPY_OF[datatype], packed)


def _nested(data: msgspec.Raw, datatype: str, shape: Sequence[int], place: str) -> list[object]:
    """The elements in order, from arrays nested as deep as `shape` is long, or from a flat array."""
    opening = _OPENING.match(data)
    depth = opening.group().count(b"[") if opening else 0
    field = f"{place}.data"
    if depth not in (0, 1, len(shape)):
        raise InvalidInput(
            field, f"is nested {depth} deep; give it flat, or nested as its shape {list(shape)}"
        )
    decoded = decode(_decoder(_element_of(datatype), max(depth, 1)), data, field)
    if depth <= 1:
        return decoded
    if len(decoded) != shape[0]:
        raise InvalidInput(field, f"holds {len(decoded)} rows, its shape {list(shape)} says {shape[0]}")
    for axis, size in enumerate(shape[1:], start=1):
        parts = cast("list[list[object]]", decoded)  # the decoder has made sure that this level holds lists
        for index, part in enumerate(parts):
            if len(part) != size:
                what = "row" if axis == 1 else f"part (axis {axis})"
                raise InvalidInput(
                    field, f"{what} {index} holds {len(part)} values, its shape {list(shape)} says {size}"
                )
        decoded = list(chain.from_iterable(parts))
    return decoded


def _element_of(datatype: str) -> type:
    if datatype.startswith("FP"):
        return float
    return {"BOOL": bool, "BYTES": str}.get(datatype, int)


@lru_cache(maxsize=256)
def _struct(count: int, datatype: str) -> struct.Struct:
    return struct.Struct(f"<{count}{_FORMAT_OF[datatype]}")


@lru_cache(maxsize=128)
def _decoder(element: type, depth: int) -> msgspec.json.Decoder[list[object]]:
    kind: object = element
    for _ in range(depth):
        kind = list[kind]  # type: ignore[valid-type]
    return msgspec.json.Decoder(kind)


_FLAT: Final = {datatype: _decoder(_element_of(datatype), 1) for datatype in NUMPY_OF}


def _utf8(text: object, place: str) -> bytes:
    try:
        return str(text).encode()
    except UnicodeEncodeError:
        raise InvalidInput(f"{place}.data", "holds a text that is not valid Unicode") from None


def from_bytes(data: Buffer, datatype: str, shape: Sequence[int], place: str) -> np.ndarray:
    """The tensor whose elements stand in `data`, row-major and little-endian; it shares the memory."""
    count = check_shape(datatype, shape, place)
    if datatype == "BYTES":
        return bytes_array(_split_texts(data, count, place), shape)
    dtype = NUMPY_OF[datatype]
    if len(data) != count * dtype.itemsize:
        raise InvalidInput(
            place, f"comes with {len(data)} bytes; {datatype} {list(shape)} needs {count * dtype.itemsize}"
        )
    if datatype == "BOOL":
        return np.not_equal(np.frombuffer(data, np.uint8), 0).reshape(shape)
    return np.frombuffer(data, dtype).reshape(shape)


def _split_texts(data: Buffer, count: int, place: str) -> list[bytes]:
    texts: list[bytes] = []
    at, end = 0, len(data)
    while at < end:
        start = at + 4
        at = start + _LENGTH.unpack_from(data, at)[0] if start <= end else end + 1
        if at > end:
            raise InvalidInput(place, f"its BYTES end in the middle of element {len(texts)}")
        if len(texts) == count:
            raise InvalidInput(place, f"holds more than the {count} BYTES elements of its shape")
        texts.append(bytes(data[start:at]))
    if len(texts) != count:
        raise InvalidInput(place, f"holds {len(texts)} BYTES elements, its shape needs {count}")
    return texts


def bytes_array(texts: Iterable[bytes], shape: Sequence[int]) -> np.ndarray:
    """An object array of `bytes`, which numpy would otherwise turn into fixed-width texts."""
    array = np.empty(math.prod(shape), object)
    array[:] = list(texts)
    return array.reshape(shape)


def to_bytes(array: np.ndarray) -> Buffer:
    """The elements of `array` row-major and little-endian; a view where the array is contiguous and large."""
    if array.dtype == object:
        return b"".join([_LENGTH.pack(len(text)) + text for text in array.ravel().tolist()])
    if array.nbytes > 65_536:
        return np.ascontiguousarray(array).data.cast("B")
    return array.tobytes()
