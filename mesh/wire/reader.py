"""A stream of bytes cut into frames: no socket, no wait, and no more memory than the limit allows.

Small frames are received into one reused chunk and copied out of it, each into memory of its own: a frame's
arrays keep only that frame alive. A larger frame gets a buffer of its announced size and is received
straight into it.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np

from mesh.wire.errors import WireError
from mesh.wire.frames import DEFAULT_MAX_FRAME_BYTES
from mesh.wire.sections import Received
from mesh.wire.texts import PREFIX

CHUNK_BYTES: Final = 64 * 1024
_OWN_BUFFER_FROM: Final = 16 * 1024
"""An incomplete frame of this size gets its own buffer; below it, moving its beginning costs less."""


class FrameReader:
    """Receive into `get_buffer()`, tell `updated(count)`, then take frames until there is none.

    Take every frame before receiving again, or stop receiving: the chunk holds no more than it can. Holds at
    most one chunk and one frame of `max_frame_bytes`, which may be changed between frames.
    """

    __slots__ = ("_chunk", "_end", "_filled", "_own", "_start", "max_frame_bytes")

    def __init__(self, max_frame_bytes: int = DEFAULT_MAX_FRAME_BYTES) -> None:
        self.max_frame_bytes = max_frame_bytes
        self._chunk = memoryview(bytearray(CHUNK_BYTES))
        self._start = self._end = 0
        self._own: memoryview | None = None
        self._filled = 0

    def get_buffer(self) -> memoryview:
        """Where the next bytes go; never empty."""
        if self._own is not None:
            return self._own[self._filled :]
        if self._start:
            left = self._end - self._start
            # Less than 16 KiB once all frames are taken, and nearly always nothing.
            self._chunk[:left] = self._chunk[self._start : self._end]
            self._start, self._end = 0, left
        if self._end == CHUNK_BYTES:
            raise BufferError("frames wait in a full chunk: take them before receiving more")
        return self._chunk[self._end :]

    def updated(self, count: int) -> None:
        """`count` bytes were written to the beginning of the last `get_buffer()`."""
        if self._own is not None:
            self._filled += count
        else:
            self._end += count

    def next_frame(self) -> Received | None:
        """The next whole frame, in memory of its own, or None; `WireError` for a size beyond the limits."""
        if self._own is not None:
            return self._take_own(self._own)
        start = self._start
        available = self._end - start
        if available < PREFIX.size:
            return None
        size = PREFIX.unpack_from(self._chunk, start)[0]
        if not PREFIX.size <= size <= self.max_frame_bytes:
            raise WireError(f"a frame of {size} bytes; it takes {PREFIX.size} to {self.max_frame_bytes}")
        if size <= available:
            self._start = start + size
            return bytearray(self._chunk[start : start + size])
        if size >= _OWN_BUFFER_FROM:
            # Not bytearray(size): that writes zeros over what is about to be written anyway.
            self._own = np.empty(size, np.uint8).data
            self._own[:available] = self._chunk[start : self._end]
            self._filled = available
            self._start = self._end = 0
        return None

    def feed(self, data: bytes) -> Iterator[Received]:
        """The frames that `data` completes; for bytes that came some other way."""
        rest = memoryview(data)
        while rest:
            room = self.get_buffer()
            count = min(len(room), len(rest))
            room[:count] = rest[:count]
            self.updated(count)
            rest = rest[count:]
            while (frame := self.next_frame()) is not None:
                yield frame

    def _take_own(self, own: memoryview) -> memoryview | None:
        if self._filled < len(own):
            return None
        self._own = None
        return own
