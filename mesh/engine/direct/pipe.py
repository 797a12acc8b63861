"""One socket that carries frames: what both ends of the direct path share.

Bytes are received straight into the frame reader's memory and frames are handed to the owner one by one. An
owner that cannot take more holds the pipe: it gets no further frame, and the socket is not read, until the
pipe is released.
"""

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol, cast

from mesh.wire import Frame, WireError
from mesh.wire.connection import Connection
from mesh.wire.sections import Buffer

FLUSH_S: Final = 1.0
"""How long a closing pipe tries to send what is still unsent."""


class PipeOwner(Protocol):
    """What is told of the pipe's life, always on the event loop."""

    def opened(self) -> None:
        """The socket is connected."""
        ...

    def received(self, frame: Frame) -> None:
        """A frame came; a `WireError` ends the pipe, and nothing else may be raised."""
        ...

    def congested(self, *, full: bool) -> None:
        """The write buffer is beyond its high-water mark, or has emptied again."""
        ...

    def lost(self, reason: str) -> None:
        """The pipe has ended; said once, and last."""
        ...


class Pipe(asyncio.BufferedProtocol):
    """Frames over one asyncio transport. `heard` is set whenever bytes come; whoever watches resets it."""

    def __init__(self, connection: Connection, owner: PipeOwner, high_water_bytes: int) -> None:
        self._connection = connection
        self._reader = connection.reader
        self._owner = owner
        self._high_water_bytes = high_water_bytes
        self._transport: asyncio.Transport | None = None
        self._held = self._paused = False
        self._delivering = False
        self._ending: str | None = None
        self.heard = False

    @property
    def unsent(self) -> int:
        """Bytes that the socket has not taken yet."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    def send(self, frame: Frame) -> None:
        """Send a frame now; `WireError` where it is not allowed or too large. An ended pipe drops it."""
        self.write(self._connection.send(frame))

    def write(self, buffers: Sequence[Buffer]) -> None:
        """Send the bytes of frames, which must stay unchanged until they are sent."""
        if self._ending is not None or self._transport is None:
            return
        if len(buffers) == 1:
            self._transport.write(buffers[0])
        else:
            self._transport.writelines(buffers)

    def hold(self) -> None:
        """Deliver no more frames and read no more bytes."""
        self._held = True
        if not self._delivering:
            self._settle()

    def release(self) -> None:
        """Go on after `hold`, with the frames that were received before it first."""
        self._held = False
        if not self._delivering:  # else called from within, and the loop in `_deliver` goes on by itself
            self._deliver()

    def fail(self, error: WireError) -> None:
        """End the pipe because of what the peer did, and tell it where the protocol has words for that."""
        if self._ending is None:
            self.write(self._connection.farewell(error))
            self.close(str(error))

    def close(self, reason: str) -> None:
        """Send what is unsent, for a second at most, then end."""
        if self._ending is None:
            self._ending = reason
            if self._transport is not None:
                self._transport.close()
                asyncio.get_running_loop().call_later(FLUSH_S, self._transport.abort)

    def abort(self, reason: str) -> None:
        """End now; what is unsent is lost."""
        if self._ending is None:
            self._ending = reason
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: the socket is connected."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=self._high_water_bytes)
        if self._ending is not None:
            self._transport.abort()
            return
        self._owner.opened()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002  the reader knows what it waits for
        """asyncio: where to receive."""
        return self._reader.get_buffer()

    def buffer_updated(self, nbytes: int) -> None:
        """asyncio: bytes were received."""
        self.heard = True
        self._reader.updated(nbytes)
        self._deliver()

    def pause_writing(self) -> None:
        """asyncio: the write buffer is full."""
        self._owner.congested(full=True)

    def resume_writing(self) -> None:
        """asyncio: the write buffer has room again."""
        self._owner.congested(full=False)

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: the socket is gone."""
        reason = self._ending or (f"the connection broke: {exc}" if exc else "the peer closed the connection")
        self._ending = reason
        self._owner.lost(reason)

    def _deliver(self) -> None:
        self._delivering = True
        try:
            while not self._held and self._ending is None:
                frame = self._connection.next_frame()
                if frame is None:
                    break
                self._owner.received(frame)
        except WireError as error:
            self.fail(error)
        finally:
            self._delivering = False
        self._settle()

    def _settle(self) -> None:
        """Make the transport read, or not, as the owner wants it now."""
        if self._held is self._paused or self._transport is None or self._ending is not None:
            return
        self._paused = self._held
        if self._held:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()
