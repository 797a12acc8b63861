"""One WebSocket: Strawberry speaks graphql-transport-ws, this sees that the client reads, and that it is told why it must go.

Close codes: those of the protocol (4400 bad message, 4401 before `connection_init`, 4403 refused, 4406 no common protocol,
4408 init too late, 4409 id in use, 4429 second init), and 1001 the server leaves, 1009 message too large, 1013 not now: too many
connections, too many requests by one token, or who asks cannot be looked up, 4410 idle, 4411 does not read.
"""

import asyncio
import contextlib
import time
from collections.abc import Mapping
from typing import Any, Final, cast

from graphql import GraphQLError
from starlette.websockets import WebSocketDisconnect
from strawberry.asgi import ASGIWebSocketAdapter
from strawberry.http.exceptions import WebSocketDisconnected
from strawberry.schema.schema import StreamResult
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import (
    BaseGraphQLTransportWSHandler,
    Operation,
)
from strawberry.subscriptions.protocols.graphql_transport_ws.types import (
    ConnectionInitMessage,
    Message,
    SubscribeMessage,
)
from strawberry.types.execution import ExecutionResult, PreExecutionError

from mesh.errors import MeshError
from serve.graphql.flow import Flow, FlowPolicy
from serve.graphql.limits import Limits

GOING_AWAY: Final = 1001
TOO_LARGE: Final = 1009
TRY_AGAIN: Final = 1013
BAD_MESSAGE: Final = 4400
IDLE: Final = 4410
NOT_READING: Final = 4411

_REASON_BYTES: Final = 123
"""What a close frame has room for."""
_LOOK_S: Final = 1.0
_CLOSE_S: Final = 5.0
"""How long a close frame may take to get onto a wire that nobody reads."""


class Session(BaseGraphQLTransportWSHandler[Any, Any]):
    """Handles one connection until the client leaves or has to."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """As its base; the context holds `limits`, and `sessions` where it is entered while it lives."""
        super().__init__(*args, **kwargs)
        context = cast("dict[str, Any]", self.context)
        self._limits: Limits = context["limits"]
        self._sessions: set[Session] = context["sessions"]
        limits = self._limits
        now = time.monotonic()
        policy = FlowPolicy(limits.ping_s, limits.pong_s, limits.unread, limits.unread_bytes)
        self._flow = Flow(policy, now)
        self._room = asyncio.Event()
        self._leaving = asyncio.Event()
        self._busy_at = now

    async def handle(self) -> None:
        """Until the client leaves, or is told to."""
        self._sessions.add(self)
        receiving = asyncio.create_task(super().handle())
        watching = asyncio.create_task(self._watch())
        try:
            await asyncio.wait({receiving, watching}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._sessions.discard(self)
            for task in (receiving, watching):
                task.cancel()
            await asyncio.gather(receiving, watching, return_exceptions=True)

    def leave(self) -> None:
        """The server goes: say so to the client, soon."""
        self._leaving.set()

    async def handle_message(self, message: Any) -> None:
        """As the base, which takes it for granted that messages are objects."""
        if not isinstance(message, dict):
            await self.handle_invalid_message("a message must be an object with a type")
        elif message.get("type") in ("subscribe", "complete") and not isinstance(message.get("id"), str):
            await self.handle_invalid_message("id: must be a text")
        else:
            await super().handle_message(cast("Message", message))

    async def handle_connection_init(self, message: ConnectionInitMessage) -> None:
        """As the base; a caller that is not refused, and cannot be let in now, is told to come again."""
        try:
            await super().handle_connection_init(message)
        except MeshError as error:
            await self._close(TRY_AGAIN, str(error).encode()[:_REASON_BYTES].decode(errors="ignore"))

    async def handle_pong(self, message: Any) -> None:  # noqa: ARG002
        """The client has read so far."""
        self._flow.ponged()
        self._room.set()

    async def handle_subscribe(self, message: SubscribeMessage) -> None:
        """As the base, for documents of a bounded size."""
        problem = _payload_problem(message.get("payload"))
        if problem is not None:
            await self.handle_invalid_message(problem)
            return
        limit = self._limits.document_chars
        if self.connection_acknowledged and len(message["payload"]["query"]) > limit:
            too_large = GraphQLError(
                f"query: the document is longer than {limit} characters",
                extensions={"code": "DOCUMENT_TOO_LARGE"},
            )
            await self.send_message({"id": message["id"], "type": "error", "payload": [too_large.formatted]})
            return
        await super().handle_subscribe(message)

    async def send_message(self, message: Message) -> None:
        """Send; a `next` waits while too much is unread."""
        if message["type"] == "next":
            while not self._flow.room:
                self._room.clear()
                await self._room.wait()
        text = self.view.encode_json(message)
        await cast("TextAdapter", self.websocket).send_text(str(text))
        self._flow.sent(len(text))
        if message["type"] == "next" and self._flow.ping_due(time.monotonic()):
            await self._ping()

    async def _ping(self) -> None:
        self._flow.pinged(time.monotonic())
        await super().send_message({"type": "ping"})

    async def _send_result_stream(self, operation: Operation[Any, Any], result_source: StreamResult) -> None:
        """As the base; a result that is nothing but errors ends the operation with `error`, whenever it comes."""
        async for result in result_source:
            if not isinstance(result, ExecutionResult | PreExecutionError):
                await self._reject_incremental_delivery(operation)
                return
            if result.data is None and result.errors:
                await operation.send_initial_errors(result.errors)
                return
            await operation.send_next(result)

    @staticmethod
    def _get_pre_execution_close_reason(error: GraphQLError) -> str | None:  # noqa: ARG004
        """A wrong document is no reason to cut off other operations of the connection."""
        return None

    async def _watch(self) -> None:
        """Ping, and find out what the client does not do. Ends when the connection has to."""
        limits = self._limits
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await self._leaving.wait()
            now = time.monotonic()
            if self.operations:
                self._busy_at = now
            if self._leaving.is_set():
                await self._close(GOING_AWAY, "the server goes away: connect again")
            elif self._flow.overdue(now):
                await self._close(NOT_READING, f"no pong for {limits.pong_s:g} s: read, or answer pings")
            elif self.connection_acknowledged and now - self._busy_at >= limits.idle_s:
                await self._close(IDLE, f"no operation for {limits.idle_s:g} s")
            else:
                if self.connection_acknowledged and self._flow.ping_due(now):
                    await self._ping_in_time()
                continue
            return

    async def _ping_in_time(self) -> None:
        """A wire that takes nothing must not stop the watch; its ping counts as sent, and will be missed."""
        with contextlib.suppress(TimeoutError, WebSocketDisconnected):
            async with asyncio.timeout(_LOOK_S):
                await self._ping()

    async def _close(self, code: int, reason: str) -> None:
        with contextlib.suppress(TimeoutError, WebSocketDisconnected, RuntimeError):
            async with asyncio.timeout(_CLOSE_S):
                await self.websocket.close(code, reason)


class TextAdapter(ASGIWebSocketAdapter):
    """Sends text that is encoded already, and takes no message that is too large."""

    async def iter_json(self, *, ignore_parsing_errors: bool = False) -> Any:
        """As the base, within `limits.message_bytes`."""
        limit: int = self.view.limits.message_bytes  # type: ignore[attr-defined]
        receive = self.ws.receive_text

        async def receive_text() -> str:
            text = await receive()
            if len(text) > limit:
                await self.close(TOO_LARGE, f"a message is longer than {limit} characters")
                raise WebSocketDisconnected
            return text

        self.ws.receive_text = receive_text  # type: ignore[method-assign]
        async for message in super().iter_json(ignore_parsing_errors=ignore_parsing_errors):
            yield message

    async def send_text(self, text: str) -> None:
        """Raises `WebSocketDisconnected` where the client has gone."""
        try:
            await self.ws.send_text(text)
        except (RuntimeError, OSError, WebSocketDisconnect) as error:  # closed meanwhile, by either side
            raise WebSocketDisconnected from error


def _payload_problem(payload: object) -> str | None:
    """What is wrong with the payload of `subscribe`; None where it is as it should be."""
    if not isinstance(payload, Mapping):
        return "payload: must be an object with a query"
    if not isinstance(payload.get("query"), str):
        return "payload.query: must be a text"
    if not isinstance(payload.get("variables"), dict | None):
        return "payload.variables: must be an object"
    if not isinstance(payload.get("operationName"), str | None):
        return "payload.operationName: must be a text"
    return None
