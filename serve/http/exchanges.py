"""One request and its response on a connection: inference by the short way, everything else by ASGI."""

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from serve.http.body import Message, announced, too_large, too_large_for_api
from serve.http.errors import Headers, HttpRefusal
from serve.http.infer_route import Scope
from serve.http.responses import refusal_response, write_head

if TYPE_CHECKING:
    from serve.http.connection import Connection

_LOG: Final = logging.getLogger(__name__)
_READ_AHEAD: Final = 1 << 20
"""Bytes of a body that may wait for an ASGI application before reading pauses."""


class InferExchange:
    """An inference request: collected whole, answered by one task in one write."""

    __slots__ = (
        "_body",
        "_connection",
        "_headers",
        "_held",
        "_target",
        "answered",
        "complete",
        "keep_alive",
        "task",
    )

    def __init__(
        self, connection: "Connection", target: tuple[str, str], headers: Headers, *, keep_alive: bool
    ) -> None:
        self._connection = connection
        self._target = target
        self._headers = dict(headers)
        self._body: bytes | bytearray = b""
        self._held = 0
        self.keep_alive = keep_alive
        self.complete = False
        self.answered = False
        self.task: asyncio.Task[None] | None = None

    def refusal(self) -> HttpRefusal | None:
        """Why the body need not be read at all."""
        announced = self._headers.get(b"content-length")
        limits = self._connection.lane.app.limits
        return too_large(limits) if announced is not None and int(announced) > limits.body_bytes else None

    def feed(self, data: bytes) -> HttpRefusal | None:
        """A piece of the body; the refusal if it is one too many."""
        if not self._body:
            self._body = data
            return None
        size = len(data)
        if isinstance(self._body, bytes):
            size += len(self._body)  # a body that came whole is answered at once, and not counted
            self._body = bytearray(self._body)
        self._body += data
        refusal = self.hold(size)
        limits = self._connection.lane.app.limits
        return too_large(limits) if len(self._body) > limits.body_bytes else refusal

    def hold(self, size: int) -> HttpRefusal | None:
        """Count bytes until the exchange is released; the refusal if they are too many."""
        self._held += size
        return self._connection.lane.hold(size)

    @property
    def begun(self) -> bool:
        """Whether a part of the answer is out: none is before the body is complete."""
        return False

    def start_early(self) -> bool:
        """Nothing happens before the body is complete."""
        return False

    def start(self) -> None:
        """Answer; the exchange is the first of its connection, and complete."""
        lane = self._connection.lane
        lane.under_way.add(self)
        self.task = lane.loop.create_task(self._run())

    def release(self) -> None:
        """The body is no longer held."""
        self._connection.lane.held_bytes -= self._held
        self._held = 0
        self._body = b""

    def left(self) -> None:
        """The client has gone. An answer under way is computed all the same: others may share its batch."""
        if self.task is None:
            self.release()

    async def _run(self) -> None:
        connection = self._connection
        try:
            endpoint, version = self._target
            shown = connection.certificate
            response = await connection.lane.app.infer.respond(
                endpoint, version, self._headers, self._body, None if shown is None else shown.name, self
            )
            self.release()
            await connection.write_response(response, close=not self.keep_alive or connection.lane.draining)
        except BaseException:  # cut off: what follows on this connection would be taken for the answer
            self.keep_alive = False
            self.release()
            raise
        finally:
            self.answered = True
            connection.lane.under_way.discard(self)
            connection.finished(self)


class AsgiExchange:
    """Any other request, as `receive` and `send` of an ASGI application."""

    __slots__ = (
        "_arrived", "_body", "_connection", "_head", "_held", "_scope", "_taken", "answered", "begun",
        "complete", "gone", "keep_alive", "task",
    )  # fmt: skip

    def __init__(self, connection: "Connection", scope: Scope, *, keep_alive: bool) -> None:
        self._connection = connection
        self._scope = scope
        self._body = bytearray()
        self._arrived = asyncio.Event()
        self._head: tuple[int, Headers] | None = None
        self._held = 0
        self._taken = False
        self.begun = False
        self.keep_alive = keep_alive
        self.complete = False
        self.answered = False
        self.gone = False
        self.task: asyncio.Task[None] | None = None

    def refusal(self) -> HttpRefusal | None:
        """Why the body need not be read at all; of the rest the application judges for itself."""
        limits = self._connection.lane.app.limits
        return too_large_for_api(limits) if announced(self._scope["headers"]) > limits.api_bytes else None

    def feed(self, data: bytes) -> HttpRefusal | None:
        """A piece of the body; reading pauses while the application has much of it to take.

        What it has taken it keeps, so that the bytes count as held until it has answered.
        """
        if self.answered:
            return None
        lane = self._connection.lane
        self._held += len(data)
        refusal = lane.hold(len(data))
        if self._held > lane.app.limits.api_bytes:
            return too_large_for_api(lane.app.limits)
        self._body += data
        self._arrived.set()
        if len(self._body) > _READ_AHEAD:
            self._connection.pause_reading()
        return refusal

    def start_early(self) -> bool:
        """The application may answer before the body is there."""
        return True

    def start(self) -> None:
        """Call the application; the exchange is the first of its connection."""
        lane = self._connection.lane
        lane.under_way.add(self)
        self.task = lane.loop.create_task(self._run())

    def release(self) -> None:
        """The body ends."""
        self._arrived.set()

    def left(self) -> None:
        """The client has gone."""
        self.gone = True
        self._arrived.set()
        if self.task is None:
            self._let_go()

    def _let_go(self) -> None:
        self._connection.lane.held_bytes -= self._held
        self._held = 0

    async def receive(self) -> Message:
        """The next piece of the body, or `http.disconnect` once there is nobody left to answer."""
        if not self._body and not self.complete and not self.gone and not self.answered:
            self._arrived.clear()
            self._connection.resume_reading()
            await self._arrived.wait()
        while self._taken and not self.gone and not self.answered:
            # An application that listens for the end would else never let the event loop go on.
            self._arrived.clear()
            await self._arrived.wait()
        if self.gone or self.answered:
            return {"type": "http.disconnect"}
        body, self._body = bytes(self._body), bytearray()
        self._taken = self.complete
        return {"type": "http.request", "body": body, "more_body": not self.complete}

    async def send(self, message: Message) -> None:
        """Take `http.response.start`, then `http.response.body`; the head leaves with the first piece."""
        if self.answered:
            return
        if message["type"] == "http.response.start":
            self._head = (message["status"], list(message.get("headers", ())))
            return
        connection = self._connection
        body = b"" if self._scope["method"] == "HEAD" else message.get("body", b"")
        if self._head is not None:
            status, headers = self._head
            self._head, self.begun = None, True
            # A body of unknown length ends with the connection.
            sized = any(name == b"content-length" for name, _ in headers)
            self.keep_alive = self.keep_alive and sized and not connection.lane.draining
            body = write_head(status, headers, close=not self.keep_alive) + body
        await connection.write(body)
        if not message.get("more_body", False):
            self.answered = True
            self._arrived.set()

    async def _run(self) -> None:
        connection = self._connection
        try:
            await connection.lane.app(self._scope, self.receive, self.send)
        except Exception:  # noqa: BLE001 - whatever an application raises, the client gets an answer
            if not self.gone:
                _LOG.exception("%s %s failed", self._scope["method"], self._scope["path"])
            if not self.begun:
                await connection.write_response(
                    refusal_response(HttpRefusal(500, "internal error")), close=True
                )
            self.keep_alive = False
        finally:
            if not self.answered:
                self.answered, self.keep_alive = True, False
                self._arrived.set()
            self._let_go()
            connection.lane.under_way.discard(self)
            connection.finished(self)


Exchange = InferExchange | AsgiExchange
