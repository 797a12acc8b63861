"""The header that names a frame's tensors: all that stays the same from call to call.

Name, dtype and shape beyond the rows of each tensor, and the model's version. It is written and read once
per signature: both directions keep the last few hundred.
"""

import struct
from functools import lru_cache
from math import prod
from typing import Final, NamedTuple

import numpy as np

from mesh.routing.datatypes import NUMPY_OF, datatype_of
from mesh.wire.errors import WireError

MAX_TENSORS: Final = 64
MAX_RANK: Final = 8
MAX_NAME_BYTES: Final = 256
MAX_VERSION_BYTES: Final = 256
MAX_ROW_BYTES: Final = 2**32 - 1

# Append only: the position of a datatype is its code on the wire.
_CODES: Final = (
    "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64",
    "BYTES",
)  # fmt: skip
_CODE_OF: Final = {name: code for code, name in enumerate(_CODES)}
_HEAD: Final = struct.Struct("<HH")
_COLUMN: Final = struct.Struct("<BBH")
OBJECT: Final = NUMPY_OF["BYTES"]


class Column(NamedTuple):
    """One tensor. `tail` is its shape beyond the rows; `row_bytes` counts elements where it holds BYTES."""

    name: str
    dtype: np.dtype
    tail: tuple[int, ...]
    row_bytes: int


class Schema(NamedTuple):
    """A model version ("" in requests) and its tensors, in order."""

    version: str
    columns: tuple[Column, ...]


ColumnKey = tuple[str, np.dtype, tuple[int, ...]]


@lru_cache(maxsize=256)
def write_schema(version: str, columns: tuple[ColumnKey, ...]) -> bytes:
    """The header's bytes, padded to 8; `WireError` for what breaks a limit or has no datatype."""
    if len(columns) > MAX_TENSORS:
        raise WireError(f"{len(columns)} tensors; the limit is {MAX_TENSORS}")
    text = version.encode()
    if len(text) > MAX_VERSION_BYTES:
        raise WireError(f"a version of {len(text)} bytes; the limit is {MAX_VERSION_BYTES}")
    block = b"".join([_HEAD.pack(len(text), len(columns)), text, *map(_write_column, columns)])
    return block + bytes(-len(block) % 8)


def _write_column(key: ColumnKey) -> bytes:
    name, dtype, tail = key
    text = name.encode()
    if not 0 < len(text) <= MAX_NAME_BYTES:
        raise WireError(f"a tensor name of {len(text)} bytes; it takes 1 to {MAX_NAME_BYTES}")
    try:
        code = _CODE_OF[datatype_of(np.empty(0, dtype))]
    except ValueError as error:
        raise WireError(f"tensor '{name}': {error}") from None
    if len(tail) >= MAX_RANK:
        raise WireError(f"tensor '{name}' has rank {len(tail) + 1}; the limit is {MAX_RANK}")
    _row_bytes(name, dtype, tail)
    return _COLUMN.pack(code, len(tail) + 1, len(text)) + struct.pack(f"<{len(tail)}I", *tail) + text


@lru_cache(maxsize=256)
def read_schema(block: bytes) -> Schema:
    """The header that these bytes state; `WireError` where they do not."""
    try:
        return _read_schema(block)
    except (struct.error, UnicodeDecodeError) as error:
        raise WireError(f"a tensor header that cannot be read: {error}") from None


def _read_schema(block: bytes) -> Schema:
    version_bytes, count = _HEAD.unpack_from(block)
    at = _HEAD.size + version_bytes
    if count > MAX_TENSORS or version_bytes > MAX_VERSION_BYTES or at > len(block):
        raise WireError(f"a tensor header of {count} tensors and {version_bytes} bytes of version")
    version = block[_HEAD.size : at].decode()
    columns = []
    for _ in range(count):
        column, at = _read_column(block, at)
        columns.append(column)
    if len({column.name for column in columns}) != count:
        raise WireError("a tensor header that names a tensor twice")
    if len(block) - at != -at % 8:
        raise WireError(f"a tensor header of {len(block)} bytes that says {at}")
    return Schema(version, tuple(columns))


def _read_column(block: bytes, at: int) -> tuple[Column, int]:
    code, rank, name_bytes = _COLUMN.unpack_from(block, at)
    if code >= len(_CODES) or not 1 <= rank <= MAX_RANK or not 0 < name_bytes <= MAX_NAME_BYTES:
        raise WireError(f"a tensor of datatype code {code}, rank {rank} and a name of {name_bytes} bytes")
    at += _COLUMN.size
    tail = struct.unpack_from(f"<{rank - 1}I", block, at)
    at += 4 * (rank - 1)
    if at + name_bytes > len(block):
        raise WireError("a tensor header that ends within a name")
    name = block[at : at + name_bytes].decode()
    dtype = NUMPY_OF[_CODES[code]]
    return Column(name, dtype, tail, _row_bytes(name, dtype, tail)), at + name_bytes


def _row_bytes(name: str, dtype: np.dtype, tail: tuple[int, ...]) -> int:
    """Bytes of one row; BYTES count elements. The limit keeps every later product far from overflow."""
    size = 1 if dtype == OBJECT else dtype.itemsize
    if size * prod(max(length, 1) for length in tail) > MAX_ROW_BYTES:
        raise WireError(f"tensor '{name}': a row of shape {tail} is beyond {MAX_ROW_BYTES} bytes")
    return size * prod(tail)
