"""Where a model replica listens: a Unix socket for its own node, a TCP port for the others."""

import asyncio
from typing import Final, NamedTuple

from mesh.bounded import within
from mesh.engine.direct.handler import Handler
from mesh.engine.direct.limits import ListenerLimits
from mesh.engine.direct.pipe import Pipe
from mesh.engine.direct.served import Served
from mesh.engine.direct.unix_socket import UnixSocket
from mesh.errors import InvalidConfig
from mesh.wire import Welcome

_LIMITS: Final = ListenerLimits()
_SWEEPS: Final = 4
"""How often within `idle_s` connections are looked at."""


class Address(NamedTuple):
    """Where a listener can be reached: `unix_path` on its node, `host` and `port` from everywhere."""

    unix_path: str
    host: str
    port: int


class Listener:
    """Accepts engines and calls `handle` for their requests; see `Handler` for what that may do.

    `identity` is what engines are told, its `max_frame_bytes` and `max_calls` (a connection) included;
    `secret` is what they have to know. Lives on the event loop that starts it, and starts no task.
    """

    def __init__(
        self, identity: Welcome, secret: str, handle: Handler, limits: ListenerLimits = _LIMITS
    ) -> None:
        self._identity, self._secret = identity, secret
        self._handle = handle
        self._limits = limits
        self._servers: list[asyncio.AbstractServer] = []
        self._connections: set[Served] = set()
        self._empty = asyncio.Event()
        self._empty.set()
        self._unix: UnixSocket | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def connections(self) -> int:
        """Accepted connections, those that have not greeted yet included."""
        return len(self._connections)

    @property
    def calls_in_flight(self) -> int:
        """Requests that are not answered yet, over all connections."""
        return sum([served.calls_in_flight for served in self._connections])

    async def start(self, unix_path: str, host: str, port: int = 0) -> Address:
        """Listen; port 0 takes a free one. `InvalidConfig` for an address that cannot be had."""
        loop = asyncio.get_running_loop()
        self._unix = UnixSocket(unix_path)
        try:
            self._servers.append(await loop.create_unix_server(self._accept, sock=self._unix.bound))
            tcp = await loop.create_server(self._accept, host, port)
        except OSError as error:
            await self.close()
            reason = f"cannot listen there: {error}"
            raise InvalidConfig(f"{host}:{port}", 0, "direct path", reason) from None
        self._servers.append(tcp)
        taken = tcp.sockets[0].getsockname()
        self._sweep_later()
        return Address(unix_path, taken[0], taken[1])

    async def drain(self, timeout_s: float) -> None:
        """Tell engines to go away, let calls in flight finish, for `timeout_s` at most, then close."""
        self._stop_accepting()
        for served in list(self._connections):
            served.go_away("draining")
        await self._until_empty(timeout_s)
        await self.close()

    async def close(self) -> None:
        """End every connection now, calls in flight or not, and free the addresses."""
        self._stop_accepting()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for served in list(self._connections):
            served.pipe.abort("the replica ends")
        await self._until_empty(1.0)

    def _accept(self) -> Pipe:
        return Served(self._identity, self._secret, self._handle, self._limits, self).pipe

    # -- what connections say

    def admit(self, served: Served) -> bool:
        """Whether there is room for one more; then it is counted."""
        if len(self._connections) >= self._limits.max_connections:
            return False
        self._connections.add(served)
        self._empty.clear()
        return True

    def forget(self, served: Served) -> None:
        """It has ended."""
        self._connections.discard(served)
        if not self._connections:
            self._empty.set()

    # -- inner works

    def _stop_accepting(self) -> None:
        for server in self._servers:
            server.close()
        self._servers.clear()
        if self._unix is not None:
            self._unix.close()
            self._unix = None

    async def _until_empty(self, timeout_s: float) -> None:
        try:
            await within(timeout_s, self._empty.wait())
        except TimeoutError:
            return

    def _sweep_later(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._limits.idle_s / _SWEEPS, self._sweep)

    def _sweep(self) -> None:
        now = asyncio.get_running_loop().time()
        for served in list(self._connections):
            served.sweep(now)
        self._sweep_later()
