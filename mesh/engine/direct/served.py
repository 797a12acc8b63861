"""The replica's end of one connection: greet, hand requests to the handler, send what it answers."""

import asyncio
import logging
from typing import Protocol

from mesh.engine.direct.handler import Handler
from mesh.engine.direct.limits import ListenerLimits
from mesh.engine.direct.pipe import Pipe
from mesh.errors import MeshError
from mesh.wire import (
    Failure,
    Frame,
    GoAway,
    Hello,
    Ping,
    Pong,
    Reply,
    Request,
    ServerConnection,
    Welcome,
    WireError,
)
from mesh.wire.connection import State
from mesh.wire.errors import failure_of
from mesh.wire.frames import CONNECTION, INTERNAL, OVERLOADED

logger = logging.getLogger(__name__)


class Register(Protocol):
    """Who counts the connections."""

    def admit(self, served: "Served") -> bool:
        """Whether there is room for one more; then it is counted."""
        ...

    def forget(self, served: "Served") -> None:
        """It has ended."""
        ...


class Served:
    """One accepted connection.

    It is not read while the handler has `max_calls` of its requests, nor while the client does not read its
    replies: so neither requests nor replies pile up here.
    """

    def __init__(
        self,
        identity: Welcome,
        secret: str,
        handle: Handler,
        limits: ListenerLimits,
        register: Register,
    ) -> None:
        self._identity = identity
        self._handle = handle
        self._limits = limits
        self._register = register
        self._loop = asyncio.get_running_loop()
        self._connection = ServerConnection(identity, secret)
        self.pipe = Pipe(self._connection, self, limits.high_water_bytes)
        self._open: set[int] = set()
        self._full = False
        self._heard_at = self._loop.time()
        self._unsent = 0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def calls_in_flight(self) -> int:
        """Requests that the handler has not answered."""
        return len(self._open)

    def go_away(self, reason: str) -> None:
        """Take no new calls; end when those in flight are answered and the client has left."""
        if self._connection.state is State.GREETING:
            self.pipe.close(reason)
        elif self._connection.state is State.OPEN:
            self.pipe.send(GoAway(reason))
            self._leave_later()

    def sweep(self, now: float) -> None:
        """End the connection if the client is gone without a word: silent, or not reading, for `idle_s`."""
        unsent = self.pipe.unsent
        if self.pipe.heard or unsent < self._unsent or (self._open and not self._full):
            self._heard_at = now
        elif now - self._heard_at >= self._limits.idle_s:
            self.pipe.abort("idle")
        self.pipe.heard, self._unsent = False, unsent

    # -- what the pipe says

    def opened(self) -> None:
        """Wait for the greeting, but not for long."""
        if self._register.admit(self):
            self._timer = self._loop.call_later(
                self._limits.handshake_s, self.pipe.abort, "no greeting in time"
            )
            return
        reason = f"replica '{self._identity.replica_id}' has {self._limits.max_connections} connections"
        self.pipe.send(Failure(CONNECTION, OVERLOADED, reason, 1.0))
        self.pipe.close(reason)

    def received(self, frame: Frame) -> None:
        """A frame from the client."""
        if isinstance(frame, Request):
            self._begin(frame)
        elif isinstance(frame, Ping):
            self.pipe.send(Pong(frame.token))
        elif isinstance(frame, Hello):
            self._cancel_timer()
            self.pipe.send(self._identity)

    def congested(self, *, full: bool) -> None:
        """Read no requests while the client reads no replies."""
        self._full = full
        self._hold_or_release()

    def lost(self, reason: str) -> None:
        """Answers that come later are dropped."""
        if self._open:
            logger.info("a connection ended with %d calls in flight: %s", len(self._open), reason)
        self._cancel_timer()
        self._open.clear()
        self._register.forget(self)

    # -- inner works

    def _begin(self, request: Request) -> None:
        if request.id in self._open or request.id == CONNECTION:
            raise WireError(f"a second call {request.id}")
        self._open.add(request.id)
        try:
            self._handle(request, self._respond)
        except Exception as error:  # whatever a handler raises is that call's failure, never the connection's
            if not isinstance(error, MeshError):
                logger.exception("the handler failed on a call of %d rows", request.rows)
            self._respond(failure_of(request.id, error))
        if len(self._open) >= self._identity.max_calls:
            self._hold_or_release()

    def _respond(self, answer: Reply | Failure) -> None:
        if answer.id not in self._open:
            return  # answered before, or the connection is gone
        self._open.discard(answer.id)
        try:
            buffers = self._connection.send(answer)
        except WireError as error:
            logger.error("a reply cannot be sent: %s", error)
            buffers = self._connection.send(
                Failure(answer.id, INTERNAL, f"the reply cannot be sent: {error}")
            )
        self.pipe.write(buffers)
        if len(self._open) == self._identity.max_calls - 1:
            self._hold_or_release()
        if not self._open and self._connection.state is State.GOING_AWAY:
            self._leave_later()

    def _hold_or_release(self) -> None:
        if self._full or len(self._open) >= self._identity.max_calls:
            self.pipe.hold()
        else:
            self.pipe.release()

    def _leave_later(self) -> None:
        """A client that knows the protocol leaves by itself; one that does not is shown the door."""
        self._cancel_timer()
        self._timer = self._loop.call_later(self._limits.grace_s, self._leave)

    def _leave(self) -> None:
        if not self._open:
            self.pipe.close("going away")

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
