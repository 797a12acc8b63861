"""The two frames that carry rows. What does not change from call to call is cached in `schema.py`."""

import struct
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import numpy as np

from mesh.routing.types import Scored, Tensors
from mesh.wire.errors import WireError
from mesh.wire.frames import Reply, Request
from mesh.wire.schema import Column, ColumnKey, read_schema, write_schema
from mesh.wire.sections import JOIN_BELOW, Buffer, Received, read_array, write_array
from mesh.wire.texts import check_end, fits, read_text, write_text

REQUEST, REPLY = 3, 4

_HAS_CONFIDENCE: Final = 1
_CALL: Final = struct.Struct("<IBBHQIIII")
_ROW: Final = struct.Struct("<I")
_CONFIDENCE: Final = Column("confidence", np.dtype(np.float32), (), 4)
_NONE_FAILED: Final[Mapping[int, str]] = MappingProxyType({})


def write_request(frame: Request, limit: int) -> list[Buffer]:
    """Head, schema, then one section a tensor."""
    rows = frame.rows
    schema = write_schema("", _keys(frame.tensors, rows))
    parts: list[Buffer] = [b"", schema]
    size = _CALL.size + len(schema)
    for array in frame.tensors.values():
        size += write_array(parts, array)
    fits(size, limit)
    parts[0] = _CALL.pack(
        size,
        REQUEST,
        0,
        0,
        frame.id,
        rows,
        min(frame.time_left_ms, 0xFFFFFFFF),
        frame.queued_rows,
        len(schema),
    )
    return _joined(parts, size)


def read_request(frame: Received, _flags: int) -> Request:
    """What `write_request` wrote; its arrays lie in `frame`."""
    _, _, _, _, call, rows, time_left_ms, queued_rows, schema_bytes = _CALL.unpack_from(frame)
    _, tensors, at = _read_tensors(frame, rows, schema_bytes)
    check_end(frame, at)
    return Request(call, tensors, rows, time_left_ms, queued_rows)


def write_reply(frame: Reply, limit: int) -> list[Buffer]:
    """Head, schema, one section an output, the confidence, then the rows that failed."""
    scored = frame.scored
    outputs, confidence, failed = scored.outputs, scored.confidence, scored.failed
    rows = rows_of(scored)
    schema = write_schema(scored.version, _keys(outputs, rows))
    parts: list[Buffer] = [b"", schema]
    size = _CALL.size + len(schema)
    for array in outputs.values():
        size += write_array(parts, array)
    if confidence is not None:
        if confidence.dtype != _CONFIDENCE.dtype or confidence.shape != (rows,):
            raise WireError(f"confidence is {confidence.dtype} {confidence.shape}, not float32 ({rows},)")
        size += write_array(parts, confidence)
    for row, reason in failed.items():
        if not 0 <= row < rows:
            raise WireError(f"row {row} failed of {rows} rows")
        parts.append(_ROW.pack(row) + write_text(reason))
        size += len(parts[-1])
    fits(size, limit)
    flags = 0 if confidence is None else _HAS_CONFIDENCE
    parts[0] = _CALL.pack(size, REPLY, flags, 0, frame.id, rows, frame.rows_waiting, len(failed), len(schema))
    return _joined(parts, size)


def read_reply(frame: Received, flags: int) -> Reply:
    """What `write_reply` wrote; its arrays lie in `frame`."""
    _, _, _, _, call, rows, rows_waiting, failures, schema_bytes = _CALL.unpack_from(frame)
    version, outputs, at = _read_tensors(frame, rows, schema_bytes)
    confidence = None
    if flags & _HAS_CONFIDENCE:
        confidence, at = read_array(frame, at, rows, _CONFIDENCE)
    failed = _NONE_FAILED
    if failures:
        failed, at = _read_failed(frame, at, rows, failures)
    check_end(frame, at)
    return Reply(call, Scored(outputs, confidence, version, failed), rows_waiting)


def _read_failed(frame: Received, at: int, rows: int, count: int) -> tuple[Mapping[int, str], int]:
    failed: dict[int, str] = {}
    for _ in range(count):
        (row,) = _ROW.unpack_from(frame, at)
        if row >= rows or row in failed:
            raise WireError(f"row {row} failed of {rows} rows, or twice")
        failed[row], at = read_text(frame, at + _ROW.size)
    return failed, at


def _keys(tensors: Tensors, rows: int) -> tuple[ColumnKey, ...]:
    for name, array in tensors.items():
        if array.shape[:1] != (rows,):
            raise WireError(f"tensor '{name}' has shape {array.shape}, not {rows} rows")
    return tuple([(name, array.dtype, array.shape[1:]) for name, array in tensors.items()])


def rows_of(scored: Scored) -> int:
    """Outputs are empty where every row failed; then the failures count the rows."""
    for array in scored.outputs.values():
        return len(array)
    return len(scored.failed if scored.confidence is None else scored.confidence)


def _read_tensors(frame: Received, rows: int, schema_bytes: int) -> tuple[str, Tensors, int]:
    at = _CALL.size + schema_bytes
    version, columns = read_schema(bytes(frame[_CALL.size : at]))
    tensors = {}
    for column in columns:
        tensors[column.name], at = read_array(frame, at, rows, column)
    return version, tensors, at


def _joined(parts: list[Buffer], size: int) -> list[Buffer]:
    """Runs of small parts become one `bytes`; large views stay as they are."""
    if size < JOIN_BELOW:
        return [b"".join(parts)]
    joined: list[Buffer] = []
    small: list[Buffer] = []
    for part in parts:
        if isinstance(part, memoryview):
            joined += (b"".join(small), part)
            small = []
        else:
            small.append(part)
    return [*joined, b"".join(small)] if small else joined
