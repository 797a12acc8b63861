"""Reading a request's body: bounded in bytes and in time, compressed or not."""

import asyncio
import zlib
from collections.abc import Awaitable, Callable, Generator, MutableMapping
from typing import Any, Final

from fastapi import HTTPException

from serve.http.errors import ClientGone, Headers, HttpRefusal
from serve.oip.ports import Limits

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]

_OFFLOAD_BYTES: Final = 65_536
_WINDOW_BITS: Final = {"gzip": 31, "x-gzip": 31, "deflate": 15}
"""zlib's window sizes; as in Triton and tritonclient, `deflate` is the zlib format."""


class _Rest:
    """Awaits the rest of a coroutine that has been driven to its first wait by hand."""

    __slots__ = ("_steps", "_waited")

    def __init__(self, steps: Generator[Any, Any, Message], waited: object) -> None:
        self._steps = steps
        self._waited = waited

    def __await__(self) -> Generator[Any, Any, Message]:
        waited = self._waited
        try:
            while True:
                try:
                    sent = yield waited
                except BaseException as error:  # noqa: BLE001 - a cancellation or timeout belongs to the coroutine
                    waited = self._steps.throw(error)
                else:
                    waited = self._steps.send(sent)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]


async def _receive_within(receive: Receive, seconds: float) -> Message:
    """`await receive()`, `HttpRefusal` 408 after `seconds`.

    A body usually lies there already. Taking the first step by hand finds out without arming a timer, which costs
    more than all the rest of reading a small body.
    """
    steps = receive().__await__()
    try:
        waited = next(steps)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
    try:
        async with asyncio.timeout(seconds):
            return await _Rest(steps, waited)
    except TimeoutError:
        raise HttpRefusal(408, f"body: nothing came for {seconds:g} s", {"connection": "close"}) from None


async def read_body(receive: Receive, content_length: bytes | None, limits: Limits) -> bytes:
    """The whole body as sent.

    Raises `HttpRefusal` 413 past `limits.body_bytes` (before reading, where the length is announced), 408 after a
    pause longer than `limits.body_idle_s`, and `ClientGone`.
    """
    # A length that is no number is the server's to refuse, and one that lies is caught below.
    if content_length is not None and content_length.isdigit() and int(content_length) > limits.body_bytes:
        raise too_large(limits)
    message = await _receive_within(receive, limits.body_idle_s)
    if message["type"] != "http.request":
        raise ClientGone
    first: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        if len(first) > limits.body_bytes:
            raise too_large(limits)
        return first
    pieces, size = [first], len(first)
    while message.get("more_body", False):
        if size > limits.body_bytes:
            raise too_large(limits)
        message = await _receive_within(receive, limits.body_idle_s)
        if message["type"] != "http.request":
            raise ClientGone
        piece = message.get("body", b"")
        pieces.append(piece)
        size += len(piece)
    if size > limits.body_bytes:
        raise too_large(limits)
    return b"".join(pieces)


def too_large(limits: Limits) -> HttpRefusal:
    """413; the connection closes, because the rest of the body is still on its way."""
    return _larger_than(limits.body_bytes)


def too_large_for_api(limits: Limits) -> HttpRefusal:
    """413 for any call that is not an inference request."""
    return _larger_than(limits.api_bytes)


def _larger_than(most: int) -> HttpRefusal:
    return HttpRefusal(
        413, f"body: larger than {most} bytes, the limit of a request", {"connection": "close"}
    )


def announced(headers: Headers) -> int:
    """The length of the body; 0 where it is not announced, or is no number."""
    return next((int(value) for name, value in headers if name == b"content-length" and value.isdigit()), 0)


def bounded(receive: Receive, limits: Limits) -> Receive:
    """`receive`, which raises 413 past `limits.api_bytes`: as FastAPI's own exception, the only one that it passes on."""
    size = 0

    async def received() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > limits.api_bytes:
            refusal = too_large_for_api(limits)
            raise HTTPException(refusal.status, refusal.message, refusal.headers)
        return message

    return received


async def decompress(body: bytes | bytearray, content_encoding: bytes, limits: Limits) -> bytes | bytearray:
    """The body without its `Content-Encoding`; never more than `limits.body_bytes`, whatever it claims to be.

    Raises `HttpRefusal` 415 for another encoding, 400 for a body that is not what it says, 413.
    """
    encoding = content_encoding.decode("latin-1").strip().lower()
    if encoding == "identity":
        return body
    bits = _WINDOW_BITS.get(encoding)
    if bits is None:
        raise HttpRefusal(
            415, f"content-encoding: '{encoding}' is not supported", {"accept-encoding": "gzip, deflate"}
        )
    stream = zlib.decompressobj(bits)
    if len(body) >= _OFFLOAD_BYTES:
        return await asyncio.to_thread(_unpack, stream, b"", body, limits)
    # A few kilobytes may become a thousand times as many: the loop makes no more of them than is soon done.
    begun = _inflate(stream, body, min(_OFFLOAD_BYTES, limits.body_bytes + 1))
    if stream.eof or len(begun) < _OFFLOAD_BYTES:
        return _checked(stream, begun, limits)
    return await asyncio.to_thread(_unpack, stream, begun, stream.unconsumed_tail, limits)


def _unpack(stream: "zlib._Decompress", begun: bytes, rest: bytes | bytearray, limits: Limits) -> bytes:
    """All that comes out; `begun` has come out already."""
    room = limits.body_bytes + 1 - len(begun)
    if room <= 0:  # to zlib, 0 stands for no bound
        raise too_large(limits)
    return _checked(stream, begun + _inflate(stream, rest, room), limits)


def _inflate(stream: "zlib._Decompress", packed: bytes | bytearray, most: int) -> bytes:
    try:
        return stream.decompress(packed, most)
    except zlib.error as error:
        raise HttpRefusal(400, f"body: not what its content-encoding says: {error}") from None


def _checked(stream: "zlib._Decompress", plain: bytes, limits: Limits) -> bytes:
    if len(plain) > limits.body_bytes:
        raise too_large(limits)
    if not stream.eof:
        raise HttpRefusal(400, "body: ends in the middle of its compressed data")
    if stream.unused_data:
        raise HttpRefusal(400, "body: goes on after its compressed data")
    return plain


async def compress(body: bytes, encoding: str) -> bytes:
    """The body in `gzip` or `deflate` (zlib format), at the fastest level."""
    if len(body) < _OFFLOAD_BYTES:
        return _compress(body, _WINDOW_BITS[encoding])
    return await asyncio.to_thread(_compress, body, _WINDOW_BITS[encoding])


def _compress(body: bytes, bits: int) -> bytes:
    stream = zlib.compressobj(1, zlib.DEFLATED, bits)
    return stream.compress(body) + stream.flush()
