"""An HTTP server of our own for the application, on the event loop that is running: the way past Ray Serve's proxy."""

import asyncio
import contextlib
import logging
import socket
import ssl
import time
from typing import Final

from serve.http.app import MeshApp
from serve.http.connection import Connection
from serve.http.lane import ConnectionLimits, Lane

_LOG: Final = logging.getLogger(__name__)
_BACKLOG: Final = 2048
_DRAIN_STEP_S: Final = 0.02


class FastLane:
    """Serves one application until drained. Several processes may share the port (`SO_REUSEPORT`)."""

    def __init__(
        self, app: MeshApp, limits: ConnectionLimits | None = None, tls: ssl.SSLContext | None = None
    ) -> None:
        """With `tls` it speaks HTTPS and nothing else."""
        self._app, self._tls = app, tls
        self._limits = limits or ConnectionLimits()
        self._lane: Lane | None = None
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.Task[None] | None = None

    @property
    def connections(self) -> int:
        """Connections that are open."""
        return len(self._lane.connections) if self._lane else 0

    async def start(self, host: str, port: int) -> int:
        """Listen; returns the port, which the system chooses for 0. `OSError` where the address cannot be had."""
        loop = asyncio.get_running_loop()
        lane = Lane(self._app, self._limits, loop)
        listener = _listen(host, port)
        # A handshake that does not end is given up as headers are that do not end.
        handshake_s = None if self._tls is None else self._limits.header_s
        self._server = await loop.create_server(
            lambda: Connection(lane),
            sock=listener,
            backlog=_BACKLOG,
            ssl=self._tls,
            ssl_handshake_timeout=handshake_s,
        )
        self._lane = lane
        self._sweeper = loop.create_task(_sweep(lane))
        return int(listener.getsockname()[1])

    async def drain(self, timeout_s: float) -> None:
        """Stop accepting, let requests under way finish for at most `timeout_s`, close every connection."""
        lane, server, sweeper = self._lane, self._server, self._sweeper
        if lane is None or server is None or sweeper is None:
            return
        self._server = None
        server.close()
        lane.draining = True
        for connection in list(lane.connections):
            connection.shutdown()
        give_up = time.monotonic() + timeout_s
        while lane.connections and time.monotonic() < give_up:  # noqa: ASYNC110 - connections end by callbacks
            await asyncio.sleep(_DRAIN_STEP_S)
        sweeper.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sweeper
        await _cut_off(lane)


async def _cut_off(lane: Lane) -> None:
    """End what has not finished in time."""
    tasks = [exchange.task for exchange in lane.under_way if exchange.task is not None]
    if tasks:
        _LOG.warning("%d request(s) cut off while draining", len(tasks))
    for connection in list(lane.connections):
        connection.abort()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _sweep(lane: Lane) -> None:
    while True:
        await asyncio.sleep(lane.limits.sweep_s)
        now = time.monotonic()
        for connection in list(lane.connections):
            _sweep_one(connection, now)


def _sweep_one(connection: Connection, now: float) -> None:
    """A defect that one connection shows ends that connection, and not the time-outs of all the others."""
    try:
        connection.sweep(now)
    except Exception:  # noqa: BLE001 - logged; the sweep must outlive whatever one connection does
        _LOG.exception("a connection could not be looked after, and is cut off")
        with contextlib.suppress(Exception):
            connection.abort()


def _listen(host: str, port: int) -> socket.socket:
    """A listening address that other processes of ours may share."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener
