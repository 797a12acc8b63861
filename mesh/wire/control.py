"""Every frame that carries no rows: greetings, failures, going away, signs of life."""

import struct
from math import isfinite
from typing import Final, cast

from mesh.wire.errors import WireError
from mesh.wire.frames import PROTOCOL, Failure, GoAway, Hello, Ping, Pong, Welcome
from mesh.wire.sections import Buffer, Received
from mesh.wire.texts import PREFIX, check_end, fits, read_texts, write_text

HELLO, WELCOME, FAILURE, GO_AWAY, PING, PONG = 1, 2, 5, 6, 7, 8

_MAGIC: Final = int.from_bytes(b"HYSM", "little")
_GREETING: Final = struct.Struct("<IBBHIHHII")
_FAILED: Final = struct.Struct("<IBBHQd")
_TOKEN: Final = struct.Struct("<IBBHQ")


def write_hello(frame: Hello, limit: int) -> list[Buffer]:
    """Who calls, and its secret."""
    body = _texts(frame.model, frame.secret)
    size = fits(_GREETING.size + len(body), limit)
    return [_GREETING.pack(size, HELLO, 0, 0, _MAGIC, frame.protocol, 0, frame.max_frame_bytes, 0) + body]


def write_welcome(frame: Welcome, limit: int) -> list[Buffer]:
    """Who answers, and its limits."""
    body = _texts(frame.model, frame.version, frame.replica_id)
    size = fits(_GREETING.size + len(body), limit)
    numbers = (frame.protocol, 0, frame.max_frame_bytes, frame.max_calls)
    return [_GREETING.pack(size, WELCOME, 0, 0, _MAGIC, *numbers) + body]


def _texts(*texts: str) -> bytes:
    return b"".join([write_text(text, cut=False) for text in texts])


def read_hello(frame: Received, _flags: int) -> Hello:
    """Of another protocol version only the version is read: what follows may have changed."""
    protocol, max_frame_bytes, _ = _read_greeting(frame)
    if protocol != PROTOCOL:
        return Hello(protocol, "", "", max_frame_bytes)
    model, secret = read_texts(frame, _GREETING.size, 2)
    return Hello(protocol, model, secret, max_frame_bytes)


def read_welcome(frame: Received, _flags: int) -> Welcome:
    """What `write_welcome` wrote."""
    protocol, max_frame_bytes, max_calls = _read_greeting(frame)
    model, version, replica_id = read_texts(frame, _GREETING.size, 3)
    return Welcome(protocol, model, version, replica_id, max_frame_bytes, max_calls)


def _read_greeting(frame: Received) -> tuple[int, int, int]:
    _, _, _, _, magic, protocol, _, max_frame_bytes, max_calls = _GREETING.unpack_from(frame)
    if magic != _MAGIC:
        raise WireError("a peer that does not speak this protocol")
    return protocol, max_frame_bytes, max_calls


def write_failure(frame: Failure, limit: int) -> list[Buffer]:
    """Why there is no answer. The layout never changes: it tells a peer of another version, too."""
    body = write_text(frame.kind) + write_text(frame.message)
    size = fits(_FAILED.size + len(body), limit)
    return [_FAILED.pack(size, FAILURE, 0, 0, frame.id, frame.retry_after_s) + body]


def read_failure(frame: Received, _flags: int) -> Failure:
    """What `write_failure` wrote."""
    _, _, _, _, call, retry_after_s = _FAILED.unpack_from(frame)
    if not isfinite(retry_after_s) or retry_after_s < 0:
        raise WireError(f"a Failure to retry after {retry_after_s} s")
    kind, message = read_texts(frame, _FAILED.size, 2)
    return Failure(call, kind, message, retry_after_s)


def write_go_away(frame: GoAway, limit: int) -> list[Buffer]:
    """A reason, and nothing else."""
    body = write_text(frame.reason)
    return [PREFIX.pack(fits(PREFIX.size + len(body), limit), GO_AWAY, 0, 0) + body]


def read_go_away(frame: Received, _flags: int) -> GoAway:
    """What `write_go_away` wrote."""
    return GoAway(*read_texts(frame, PREFIX.size, 1))


def write_ping(frame: Ping, _limit: int) -> list[Buffer]:
    """A token."""
    return [_TOKEN.pack(_TOKEN.size, PING, 0, 0, frame.token)]


def write_pong(frame: Pong, _limit: int) -> list[Buffer]:
    """The token of the ping."""
    return [_TOKEN.pack(_TOKEN.size, PONG, 0, 0, frame.token)]


def read_ping(frame: Received, _flags: int) -> Ping:
    """What `write_ping` wrote."""
    return Ping(_read_token(frame))


def read_pong(frame: Received, _flags: int) -> Pong:
    """What `write_pong` wrote."""
    return Pong(_read_token(frame))


def _read_token(frame: Received) -> int:
    check_end(frame, _TOKEN.size)
    return cast("int", _TOKEN.unpack_from(frame)[4])
