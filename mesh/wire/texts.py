"""Texts, and the two checks that every frame passes: it fits the limit, and its contents fill it."""

import struct
from typing import Final

from mesh.wire.errors import WireError
from mesh.wire.sections import Received

PREFIX: Final = struct.Struct("<IBBH")
"""What every frame starts with: its whole size in bytes, its kind, flags, and zero."""

MAX_TEXT_BYTES: Final = 2000
"""Messages and reasons longer than this are cut; names and secrets are refused."""

_TEXT: Final = struct.Struct("<H")


def fits(size: int, limit: int) -> int:
    """`size`, or `WireError` where a frame of that size is beyond the limit."""
    if size > limit:
        raise WireError(f"a frame of {size} bytes; the limit is {limit}")
    return size


def check_end(frame: Received, at: int) -> None:
    """`WireError` unless the contents, which end at `at`, fill the frame."""
    if at != len(frame):
        raise WireError(f"a frame of {len(frame)} bytes whose contents take {at}")


def write_text(text: str, *, cut: bool = True) -> bytes:
    """A u16 count of bytes, and UTF-8. A text that is too long is cut, or refused where it must be whole."""
    data = text.encode(errors="replace")
    if len(data) > MAX_TEXT_BYTES:
        if not cut:
            raise WireError(f"a text of {len(data)} bytes; the limit is {MAX_TEXT_BYTES}")
        data = data[:MAX_TEXT_BYTES].decode(errors="ignore").encode()
    return _TEXT.pack(len(data)) + data


def read_text(frame: Received, at: int) -> tuple[str, int]:
    """The text at `at`, and where it ends."""
    start = at + _TEXT.size
    end = start + _TEXT.unpack_from(frame, at)[0]
    if end > len(frame):
        raise WireError("a text that ends beyond its frame")
    return bytes(frame[start:end]).decode(), end


def read_texts(frame: Received, at: int, count: int) -> list[str]:
    """The texts that fill the rest of the frame."""
    texts = []
    for _ in range(count):
        text, at = read_text(frame, at)
        texts.append(text)
    check_end(frame, at)
    return texts
