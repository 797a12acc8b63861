"""The data of tensors: each in a section padded to 8 bytes, so that arrays lie aligned in the frame.

Fixed-size datatypes are C-order little-endian bytes. BYTES are a u64 count of bytes, then for each element,
in C order, a u32 length and the bytes.
"""

import struct
from typing import Final

import numpy as np

from mesh.wire.errors import WireError
from mesh.wire.schema import OBJECT, Column

Buffer = bytes | memoryview
Received = bytes | bytearray | memoryview

JOIN_BELOW: Final = 16 * 1024
"""Smaller tensors are copied into one `bytes`; larger ones are handed to the socket where they lie."""

PADS: Final = tuple(bytes(-size % 8) for size in range(8))
_U32: Final = struct.Struct("<I")
_U64: Final = struct.Struct("<Q")
_BOOL: Final = np.dtype(np.bool_)


def write_array(parts: list[Buffer], array: np.ndarray) -> int:
    """Append one tensor's section to `parts`; its size in bytes. Large arrays become views."""
    size = array.nbytes
    if array.dtype == OBJECT:
        return _write_bytes(parts, array)
    if size < JOIN_BELOW:
        parts.append(array.tobytes())
    else:
        parts.append(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    if size & 7:
        parts.append(PADS[size & 7])
    return (size + 7) & -8


def _write_bytes(parts: list[Buffer], array: np.ndarray) -> int:
    elements: list[bytes] = []
    for element in array.ravel().tolist():
        if not isinstance(element, bytes):
            raise WireError(f"a BYTES tensor holds {type(element).__name__}; its elements are bytes")
        elements += (_U32.pack(len(element)), element)
    data = b"".join(elements)
    parts += (_U64.pack(len(data)), data, PADS[len(data) & 7])
    return 8 + (len(data) + 7) & -8


def read_array(frame: Received, at: int, rows: int, column: Column) -> tuple[np.ndarray, int]:
    """The tensor whose section starts at `at`, and where the next one starts. No copy: it lies in `frame`."""
    if column.dtype is OBJECT:
        return _read_bytes(frame, at, rows, column)
    end = at + rows * column.row_bytes
    if end > len(frame):
        raise WireError(f"tensor '{column.name}': {rows} rows do not fit into the frame")
    array: np.ndarray = np.ndarray((rows, *column.tail), column.dtype, frame, at)
    if column.dtype is _BOOL and array.size and array.view(np.uint8).max() > 1:
        raise WireError(f"tensor '{column.name}': a BOOL that is neither 0 nor 1")
    return array, (end + 7) & -8


def _read_bytes(frame: Received, at: int, rows: int, column: Column) -> tuple[np.ndarray, int]:
    count = rows * column.row_bytes
    (size,) = _U64.unpack_from(frame, at)
    at += 8
    end = at + size
    # Four bytes an element at least: so a short frame cannot ask for a long array.
    if end > len(frame) or 4 * count > size:
        raise WireError(f"tensor '{column.name}': {count} elements in {size} bytes do not fit into the frame")
    array = np.empty(count, object)
    for index in range(count):
        start = at + 4
        at = start + _U32.unpack_from(frame, at)[0]
        if at > end:
            raise WireError(f"tensor '{column.name}': element {index} ends beyond its tensor")
        array[index] = bytes(frame[start:at])
    if at != end:
        raise WireError(f"tensor '{column.name}': {end - at} bytes after its last element")
    return array.reshape((rows, *column.tail)), (end + 7) & -8
