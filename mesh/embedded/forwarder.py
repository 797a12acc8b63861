"""A TCP forwarder: a port that is known in advance, in front of one that is not."""

import asyncio
from typing import Final

_CHUNK: Final = 65536


class Forwarder:
    """Passes every connection on `host:port` to `target`, byte for byte, both ways."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; returns the port (0 asks for any). `OSError` where it is taken."""
        self._server = await asyncio.start_server(self._forward, host, port)
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Stop listening; connections end with the event loop."""
        if self._server is not None:
            self._server.close()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            onward_reader, onward_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.close()
            return
        there = asyncio.ensure_future(_pump(reader, onward_writer))
        back = asyncio.ensure_future(_pump(onward_reader, writer))
        await asyncio.gather(there, back)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy until either side ends, then close the writing side."""
    try:
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass  # one side is gone: closing the other is all there is to do
    finally:
        writer.close()
