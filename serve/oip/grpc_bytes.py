"""Large tensors past protobuf, which would copy each of them three times on its way in or out.

A message is a row of fields, each of which says how long it is, and their order is free. So raw tensors can be cut out
of a request's bytes as they lie there, and joined to a response's. (protobuf.dev/programming-guides/encoding)
"""

from collections.abc import Sequence
from typing import Final

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from tritonclient.grpc import service_pb2 as pb

from mesh.errors import InvalidInput
from serve.oip.tensors import Buffer

_SMALL_BYTES: Final = 65_536
_RAW_INPUT: Final = 7 << 3 | 2
"""The tag of `ModelInferRequest.raw_input_contents`."""

_RAW_OUTPUT: Final = bytes([6 << 3 | 2])
"""The tag of `ModelInferResponse.raw_output_contents`."""

_FIXED: Final = {1: 8, 5: 4}
_MAX_VARINT: Final = 10


def split_request(data: bytes) -> tuple[pb.ModelInferRequest, Sequence[Buffer]]:
    """The request without its raw tensors, and these as views into `data`; `InvalidInput` for what is no request."""
    try:
        if len(data) < _SMALL_BYTES:
            message = pb.ModelInferRequest.FromString(data)
            return message, message.raw_input_contents
        fields, tensors = _cut(memoryview(data))
        return pb.ModelInferRequest.FromString(b"".join(fields)), tensors
    except (DecodeError, IndexError, ValueError):
        raise InvalidInput("request", "is no ModelInferRequest") from None


def join_response(message: pb.ModelInferResponse, tensors: Sequence[Buffer]) -> bytes:
    """The bytes of `message` with `tensors` as its `raw_output_contents`."""
    pieces: list[Buffer] = [message.SerializeToString()]
    for tensor in tensors:
        pieces += [_RAW_OUTPUT, _varint(len(tensor)), tensor]
    return b"".join(pieces)


def _cut(view: memoryview) -> tuple[list[memoryview], list[memoryview]]:
    """All other fields, and the contents of every raw tensor. Raises `ValueError` or `IndexError` for damage."""
    fields: list[memoryview] = []
    tensors: list[memoryview] = []
    at, end = 0, len(view)
    while at < end:
        start = at
        tag, at = _read_varint(view, at)
        kind = tag & 7
        if kind == 2:
            size, at = _read_varint(view, at)
            content, at = at, at + size
        elif kind == 0:
            _, at = _read_varint(view, at)
        else:
            at += _FIXED.get(kind, end + 1)
        if at > end:
            raise ValueError("a field ends behind the message, or is of an unknown kind")
        if tag == _RAW_INPUT:
            tensors.append(view[content:at])
        else:
            fields.append(view[start:at])
    return fields, tensors


def _read_varint(view: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for index in range(_MAX_VARINT):
        byte = view[at + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, at + index + 1
    raise ValueError("a number that is too long")


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
