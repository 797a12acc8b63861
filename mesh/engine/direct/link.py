"""The engine's end of the direct path: one connection to one model replica, with many calls in flight."""

import asyncio
from collections.abc import Callable
from typing import Final

from mesh.engine.direct.limits import LinkLimits
from mesh.engine.direct.pipe import Pipe
from mesh.engine.direct.watch import Watch
from mesh.engine.replica import Replica
from mesh.errors import InvalidInput, MeshError, Overloaded
from mesh.routing.types import Scored, Tensors
from mesh.wire import (
    ClientConnection,
    Failure,
    Frame,
    GoAway,
    Hello,
    Ping,
    Pong,
    Reply,
    Request,
    Welcome,
    WireError,
)
from mesh.wire.calls import rows_of
from mesh.wire.errors import error_of
from mesh.wire.frames import PROTOCOL
from mesh.wire.sections import Buffer


class LinkLost(MeshError):
    """The connection to a replica ended, or never began, and with it this call.

    `may_have_run` is False only where the replica cannot have seen the whole request: sent elsewhere, it runs
    once. Where it is True the replica may have scored the rows, and only the answer was lost.
    """

    def __init__(self, replica_id: str, reason: str, *, may_have_run: bool) -> None:
        super().__init__(f"replica '{replica_id}': {reason}")
        self.replica_id, self.reason, self.may_have_run = replica_id, reason, may_have_run


class LinkFull(Overloaded):
    """The link itself refused a call: the replica has not heard of it, and nothing is known of how it is."""


_LIMITS: Final = LinkLimits()


class Link:
    """Calls to one replica. Lives on the event loop that opened it, and starts no task for calls or else."""

    def __init__(self, replica: Replica, on_lost: Callable[[], None] | None, limits: LinkLimits) -> None:
        """Use `Link.open`."""
        self.replica = replica
        self.rows_in_flight = 0
        self.rows_waiting = replica.rows_waiting
        self._on_lost = on_lost
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._connection = ClientConnection(limits.max_frame_bytes)
        self._pipe = Pipe(self._connection, self, limits.high_water_bytes)
        self._calls: dict[int, tuple[asyncio.Future[Scored], int]] = {}
        self._held: dict[int, list[Buffer]] = {}
        self._held_bytes = 0
        self._congested = False
        self._last_id = 0
        self._max_calls = 0
        self._closed_to_calls = "not open"
        self._welcomed: asyncio.Future[None] = self._loop.create_future()
        self._gone: asyncio.Future[None] = self._loop.create_future()
        self._watch = Watch(limits, self._loop.time())
        self._timer: asyncio.TimerHandle | None = None

    @classmethod
    async def open(
        cls,
        replica: Replica,
        node: str,
        connect_timeout_s: float = 2.0,
        on_lost: Callable[[], None] | None = None,
        limits: LinkLimits = _LIMITS,
    ) -> "Link":
        """Connect, by the Unix socket where the replica is on `node`, or TCP, and greet.

        Raises `LinkLost` if that fails or takes longer than `connect_timeout_s`. `on_lost` is called once when
        the link ends later for any reason but `close()`, before any call's future tells its waiters.
        """
        link = cls(replica, on_lost, limits)
        try:
            async with asyncio.timeout(connect_timeout_s):
                await link._connect(node)
            return link
        except TimeoutError:
            reason = f"no connection and greeting within {connect_timeout_s} s"
            raise LinkLost(replica.replica_id, reason, may_have_run=False) from None
        except OSError as error:
            raise LinkLost(replica.replica_id, f"cannot connect: {error}", may_have_run=False) from None
        finally:
            if link._timer is None:
                link._pipe.abort("not opened")

    @property
    def calls_in_flight(self) -> int:
        """Calls without a reply, cancelled ones included: the replica works on them too."""
        return len(self._calls)

    @property
    def going_away(self) -> bool:
        """True once new calls fail at once: the replica drains, or the link has ended."""
        return bool(self._closed_to_calls)

    def call(
        self, tensors: Tensors, rows: int, time_left_ms: int = 0, queued_rows: int = 0
    ) -> asyncio.Future[Scored]:
        """Send rows to the replica; the future brings what its model said of them.

        It fails with `LinkLost`, or with what the replica answered: `InvalidInput`, `Overloaded`,
        `Unavailable`, `DeadlineExceeded`, `MeshError`. Cancelling it drops the late reply and disturbs no
        other call. The tensors must not change until the reply is there: large ones are sent where they lie.
        """
        future: asyncio.Future[Scored] = self._loop.create_future()
        if self._closed_to_calls:
            future.set_exception(LinkLost(self.replica.replica_id, self._closed_to_calls, may_have_run=False))
            return future
        if len(self._calls) >= self._max_calls:
            reason = (
                f"replica '{self.replica.replica_id}' takes {self._max_calls} calls at once on a connection"
            )
            future.set_exception(LinkFull(self.replica.model, reason))
            return future
        call = self._last_id = self._last_id + 1
        try:
            buffers = self._connection.send(Request(call, tensors, rows, time_left_ms, queued_rows))
        except WireError as error:
            future.set_exception(InvalidInput("request", str(error)))
            return future
        if not self._congested:
            self._pipe.write(buffers)
        elif not self._hold_back(call, buffers):
            reason = f"{self._held_bytes} bytes wait for replica '{self.replica.replica_id}' to read"
            future.set_exception(LinkFull(self.replica.model, reason))
            return future
        self._calls[call] = (future, rows)
        self.rows_in_flight += rows
        return future

    async def close(self) -> None:
        """End the link now; calls in flight fail with `LinkLost`. `on_lost` is not called."""
        self._on_lost = None
        self._closed_to_calls = "closed by this side"
        self._pipe.abort("closed by this side")
        await asyncio.shield(self._gone)

    # -- what the pipe says

    def opened(self) -> None:
        """Greet."""
        replica = self.replica
        self._pipe.send(Hello(PROTOCOL, replica.model, replica.secret, self._limits.max_frame_bytes))

    def received(self, frame: Frame) -> None:
        """A frame from the replica."""
        if isinstance(frame, Reply):
            future, rows = self._take(frame.id)
            self.rows_waiting = frame.rows_waiting
            if not future.done():
                _settle(future, frame.scored, rows)
        elif isinstance(frame, Failure):
            future, _ = self._take(frame.id)
            if not future.done():
                future.set_exception(error_of(frame, self.replica.model))
        elif isinstance(frame, Ping):
            self._pipe.send(Pong(frame.token))
        elif isinstance(frame, GoAway):
            self._closed_to_calls = f"going away: {frame.reason}"
            self._fail_held()
            self._leave_if_done()
        elif isinstance(frame, Welcome):
            self._begin(frame)

    def congested(self, *, full: bool) -> None:
        """Hold calls back while the replica does not read; then send them in order."""
        self._congested = full
        while self._held and not self._congested:
            call = next(iter(self._held))
            buffers = self._held.pop(call)
            self._held_bytes -= _size(buffers)
            if self._calls[call][0].cancelled():
                self._take(call)  # nobody waits and the replica has not heard of it
            else:
                self._pipe.write(buffers)

    def lost(self, reason: str) -> None:
        """Fail exactly the calls that are in flight."""
        self._closed_to_calls = reason
        if self._timer is not None:
            self._timer.cancel()
        calls, self._calls, self.rows_in_flight = self._calls, {}, 0
        held, self._held, self._held_bytes = self._held, {}, 0
        for call, (future, _) in calls.items():
            if not future.done():
                future.set_exception(LinkLost(self.replica.replica_id, reason, may_have_run=call not in held))
        if not self._gone.done():
            self._gone.set_result(None)
        if not self._welcomed.done():
            self._welcomed.set_exception(LinkLost(self.replica.replica_id, reason, may_have_run=False))
            self._welcomed.exception()  # seen: nobody waits for it where open() was cancelled
        elif self._timer is not None and self._on_lost is not None:
            self._on_lost()

    # -- inner works

    async def _connect(self, node: str) -> None:
        replica = self.replica
        if replica.node == node:
            await self._loop.create_unix_connection(lambda: self._pipe, replica.unix_path)
        else:
            await self._loop.create_connection(lambda: self._pipe, replica.host, replica.port)
        await self._welcomed

    def _begin(self, welcome: Welcome) -> None:
        if welcome.replica_id != self.replica.replica_id:
            raise WireError(f"its address now belongs to replica '{welcome.replica_id}'")
        if self._welcomed.done():
            return  # open() was cancelled; it aborts the pipe
        self._max_calls = welcome.max_calls
        self._closed_to_calls = ""
        self._welcomed.set_result(None)
        self._timer = self._loop.call_later(self._watch.period_s, self._tick)

    def _take(self, call: int) -> tuple[asyncio.Future[Scored], int]:
        """The call that a frame answers, no longer in flight."""
        try:
            future, rows = self._calls.pop(call)
        except KeyError:
            raise WireError(f"an answer to call {call}, which is not in flight") from None
        self.rows_in_flight -= rows
        if self._closed_to_calls:
            self._leave_if_done()
        return future, rows

    def _leave_if_done(self) -> None:
        if not self._calls:
            self._pipe.close(self._closed_to_calls)

    def _hold_back(self, call: int, buffers: list[Buffer]) -> bool:
        size = _size(buffers)
        if self._held and self._held_bytes + size > self._limits.max_held_bytes:
            return False
        self._held[call] = buffers
        self._held_bytes += size
        return True

    def _fail_held(self) -> None:
        """The replica takes no new calls: what it has not seen goes elsewhere at once."""
        held, self._held, self._held_bytes = self._held, {}, 0
        for call in held:
            future, _ = self._take(call)
            if not future.done():
                future.set_exception(
                    LinkLost(self.replica.replica_id, self._closed_to_calls, may_have_run=False)
                )

    def _tick(self) -> None:
        pipe = self._pipe
        verdict = self._watch.look(
            self._loop.time(), heard=pipe.heard, unsent=pipe.unsent, busy=bool(self._calls)
        )
        pipe.heard = False
        if verdict == "give up":
            pipe.abort(f"no sign of life for {self._limits.pong_timeout_s} s after a ping")
            return
        if verdict == "ping":
            pipe.send(Ping())
        self._timer = self._loop.call_later(self._watch.period_s, self._tick)


def _settle(future: asyncio.Future[Scored], scored: Scored, rows: int) -> None:
    got = rows_of(scored)
    if got == rows:
        future.set_result(scored)
    else:
        future.set_exception(MeshError(f"the replica answered {got} rows for {rows}"))


def _size(buffers: list[Buffer]) -> int:
    return sum(map(len, buffers))
