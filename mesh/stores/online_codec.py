"""The newest row of an entity as bytes.

Event time, created time (both int64, big-endian), the digest of the columns (8 bytes), then the values as little-endian
float64. It is a third of the same row as JSON, is read without parsing (`numpy.frombuffer`), keeps every bit, so that online
and history can be compared for equality, and its first 8 bytes are what a script in Redis compares.
"""

import struct
from typing import Final

import numpy as np

from mesh.stores.rows import OnlineRow

_HEAD: Final = struct.Struct(">qq8s")


def pack(event_time: int, created_time: int, transform: str, values: np.ndarray) -> bytes:
    """One row; `transform` is 16 hexadecimal digits, `values` float64 [F]."""
    return _HEAD.pack(event_time, created_time, bytes.fromhex(transform)) + values.astype("<f8").tobytes()


def unpack(entity: str, view: str, row: bytes) -> OnlineRow:
    """The row that `pack` made. Raises `ValueError` for bytes that are none."""
    if len(row) < _HEAD.size or (len(row) - _HEAD.size) % 8:
        raise ValueError(f"{len(row)} bytes are no row of features")
    event_time, created_time, transform = _HEAD.unpack_from(row)
    return OnlineRow(
        entity, view, transform.hex(), event_time, created_time, np.frombuffer(row, "<f8", offset=_HEAD.size)
    )
