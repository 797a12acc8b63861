"""Frames to bytes and back.

Every frame starts with eight bytes: its whole size, its kind, flags and two zero bytes. See `docs/wire.md`.
What the connection has to be for a frame to be allowed is not decided here but in `connection.py`.
"""

import struct
from collections.abc import Callable, Mapping
from typing import Final

from mesh.wire import calls, control
from mesh.wire.errors import WireError
from mesh.wire.frames import (
    DEFAULT_MAX_FRAME_BYTES,
    Failure,
    Frame,
    GoAway,
    Hello,
    Ping,
    Pong,
    Reply,
    Request,
    Welcome,
)
from mesh.wire.sections import Buffer, Received
from mesh.wire.texts import PREFIX


def encode(frame: Frame, max_frame_bytes: int = DEFAULT_MAX_FRAME_BYTES) -> list[Buffer]:
    """The frame's bytes, to be written one after the other: a single `bytes` unless it holds large tensors.

    Those are views of the caller's arrays, which must not change until they are written. `WireError` for a
    frame that breaks a limit, or whose tensors the wire cannot carry.
    """
    try:
        return _WRITERS[type(frame)](frame, max_frame_bytes)
    except (struct.error, UnicodeEncodeError) as error:
        raise WireError(f"a {type(frame).__name__} that the wire cannot carry: {error}") from None


def decode(payload: Received) -> Frame:
    """The frame that these bytes are, prefix included; `WireError` for anything else.

    Arrays lie in `payload` and keep it alive; they are writable where it is. Hand over memory that nobody
    reuses.
    """
    try:
        size, kind, flags, zero = PREFIX.unpack_from(payload)
        reader = _READERS.get(kind)
        if reader is None or size != len(payload) or zero:
            raise WireError(f"{len(payload)} bytes that are no frame: kind {kind}, size {size}")
        return reader(payload, flags)
    except (struct.error, ValueError) as error:  # ValueError: text that is no UTF-8, shapes beyond numpy
        raise WireError(f"a frame that cannot be read: {error}") from None


def pack(frame: Frame) -> bytes:
    """A frame as one `bytes`, for a carrier that keeps message boundaries."""
    return b"".join(encode(frame))


def unpack(data: bytes) -> Frame:
    """The frame in `data`; `WireError` for anything else. Its arrays are read-only views of `data`."""
    return decode(data)


_WRITERS: Final[Mapping[type, Callable[..., list[Buffer]]]] = {
    Hello: control.write_hello,
    Welcome: control.write_welcome,
    Request: calls.write_request,
    Reply: calls.write_reply,
    Failure: control.write_failure,
    GoAway: control.write_go_away,
    Ping: control.write_ping,
    Pong: control.write_pong,
}
_READERS: Final[Mapping[int, Callable[[Received, int], Frame]]] = {
    control.HELLO: control.read_hello,
    control.WELCOME: control.read_welcome,
    calls.REQUEST: calls.read_request,
    calls.REPLY: calls.read_reply,
    control.FAILURE: control.read_failure,
    control.GO_AWAY: control.read_go_away,
    control.PING: control.read_ping,
    control.PONG: control.read_pong,
}
