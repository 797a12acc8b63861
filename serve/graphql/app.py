"""The ASGI application at `/graphql`: queries over HTTP, everything over graphql-transport-ws, GraphiQL for browsers."""

import asyncio
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

import orjson
from cross_web import AsyncHTTPRequestAdapter, HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.exceptions import ConnectionRejectionError
from strawberry.http import GraphQLRequestData
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.types.unset import UNSET, UnsetType

from mesh.errors import MeshError
from serve.graphql.access import Access, Anyone, Denied
from serve.graphql.limits import Connections, Limits
from serve.graphql.page import graphiql_page
from serve.graphql.refusals import document_error
from serve.graphql.schema import Reading, build_schema
from serve.graphql.session import TRY_AGAIN, Session, TextAdapter
from serve.http.body import Message, Receive, read_body
from serve.http.errors import ClientGone, HttpRefusal, refusal_of
from serve.http.infer_route import Scope, Send
from serve.oip.ports import Limits as BodyLimits

PATH: Final = "/graphql"
_GONE_S: Final = 3.0


class _View(GraphQL[Any, Any]):
    """Strawberry's view with our sessions, JSON and errors."""

    graphql_transport_ws_handler_class = Session
    websocket_adapter_class = TextAdapter

    def __init__(self, reading: Reading, limits: Limits, access: Access) -> None:
        super().__init__(
            build_schema(limits),
            subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL,),
            connection_init_wait_timeout=timedelta(seconds=limits.init_s),
            max_subscriptions_per_connection=limits.subscriptions,
            allowed_origins=limits.origins,
        )
        self.limits = limits
        self.sessions: set[Session] = set()
        self._reading, self._access = reading, access

    async def get_context(
        self, request: Request | WebSocket, response: Response | WebSocket
    ) -> dict[str, Any]:
        """What resolvers and sessions find in `info.context`."""
        return {
            "reading": self._reading,
            "limits": self.limits,
            "sessions": self.sessions,
            "request": request,
            "response": response,
        }

    async def on_ws_connect(self, context: dict[str, Any]) -> UnsetType | dict[str, object] | None:
        """Let the caller in by headers or by the payload of `connection_init`. Raises `MeshError` where it is to come again."""
        presented = context.get("connection_params") or {}
        try:
            await self._access.admit(dict(context["request"].headers), presented)
        except Denied as denied:
            raise ConnectionRejectionError from denied
        nothing: UnsetType = UNSET
        return nothing

    async def parse_http_body(
        self, request: AsyncHTTPRequestAdapter
    ) -> GraphQLRequestData | list[GraphQLRequestData]:
        """As the base, for callers who may and documents of a bounded size."""
        try:
            await self._access.admit({name.lower(): value for name, value in request.headers.items()}, {})
        except Denied as denied:
            raise HTTPException(401, str(denied)) from denied
        except MeshError as error:
            raise refusal_of(error) from error  # past Strawberry, which knows no headers of refusals
        data = await super().parse_http_body(request)
        limit = self.limits.document_chars
        for one in data if isinstance(data, list) else [data]:
            if one.query is not None and len(one.query) > limit:
                raise HTTPException(413, f"query: the document is longer than {limit} characters")
        return data

    async def render_graphql_ide(self, request: Request) -> Response:  # noqa: ARG002
        """The editor with the two documents filled in."""
        return HTMLResponse(graphiql_page())

    def encode_json(self, data: object) -> str:
        """As text: numbers beyond 64 bits the slow way."""
        try:
            return orjson.dumps(data).decode()
        except TypeError:
            return json.dumps(data, separators=(",", ":"))

    def decode_json(self, data: str | bytes) -> object:
        """Raises `json.JSONDecodeError`."""
        return orjson.loads(data)


class GraphqlApp:
    """`await app(scope, receive, send)`."""

    def __init__(self, reading: Reading, limits: Limits | None = None, access: Access | None = None) -> None:
        """`access` lets callers in; without it everybody is."""
        self._limits = limits or Limits()
        self._view = _View(reading, self._limits, access or Anyone())
        self._connections = Connections(self._limits)
        self._body = BodyLimits(body_bytes=self._limits.message_bytes)
        self._reading = reading

    @property
    def connections(self) -> int:
        """WebSockets that are open."""
        return self._connections.total

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or serve a connection until it ends."""
        if scope["type"] == "websocket":
            await self._connection(scope, receive, send)
        elif scope["type"] == "http":
            await self._request(scope, receive, send)
        else:
            await _lifespan(receive, send)

    async def close(self) -> None:
        """Tell every client that the server goes, and read no more."""
        for session in list(self._view.sessions):
            session.leave()
        ends = asyncio.get_running_loop().time() + _GONE_S
        while self._view.sessions and asyncio.get_running_loop().time() < ends:  # noqa: ASYNC110 - they end by themselves
            await asyncio.sleep(0.02)
        await self._reading.predictions.close()
        await self._reading.alerts.close()

    async def _connection(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = client_of(scope)
        refused = self._connections.enter(client)
        if refused is not None:
            await receive()
            protocol = (
                GRAPHQL_TRANSPORT_WS_PROTOCOL
                if GRAPHQL_TRANSPORT_WS_PROTOCOL in scope["subprotocols"]
                else None
            )
            await send({"type": "websocket.accept", "subprotocol": protocol})
            await send({"type": "websocket.close", "code": TRY_AGAIN, "reason": refused})
            return
        try:
            await self._view(scope, receive, send)
        finally:
            self._connections.leave(client)

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].rstrip("/") not in ("", PATH):
            await _error(404, f"{scope['path']}: GraphQL is at {PATH}")(scope, receive, send)
            return
        headers = dict(scope["headers"])
        try:
            body = await read_body(receive, headers.get(b"content-length"), self._body)
            await self._view(scope, _replay(body, receive), _Plain(send))
        except ClientGone:
            return
        except HttpRefusal as refusal:
            await _error(refusal.status, refusal.message, refusal.headers)(scope, receive, send)


class _Plain:
    """Strawberry refuses in plain text; a GraphQL client reads JSON."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._status = 0

    async def __call__(self, message: Message) -> None:
        """Pass on a response; one in plain text becomes an error in JSON."""
        if message["type"] == "http.response.start" and _is_plain(message):
            self._status = message["status"]
        elif self._status:
            await self._rewritten(bytes(message.get("body", b"")).decode())
        else:
            await self._send(message)

    async def _rewritten(self, text: str) -> None:
        status, self._status = self._status, 0
        response = _error(status, text)
        await response({"type": "http"}, _nothing, self._send)


def client_of(scope: Mapping[str, Any]) -> str:
    """Whose connection it is: the address behind a proxy on this host, where that proxy tells it, else the peer's."""
    peer = (scope.get("client") or ("",))[0]
    if peer in ("127.0.0.1", "::1", ""):
        told = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
        if told:
            return str(told[-1].decode("latin-1").rsplit(",", 1)[-1].strip())
    return str(peer)


def _error(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    codes = {
        401: "UNAUTHENTICATED",
        404: "NOT_FOUND",
        413: "DOCUMENT_TOO_LARGE",
        429: "RATE_LIMITED",
        503: "UNAVAILABLE",
    }
    body = {"errors": [document_error(message, codes.get(status, "BAD_REQUEST"))]}
    return Response(orjson.dumps(body), status, dict(headers or {}), media_type="application/json")


def _is_plain(message: Message) -> bool:
    return any(
        name == b"content-type" and value.startswith(b"text/plain")
        for name, value in message.get("headers", ())
    )


def _replay(body: bytes, receive: Receive) -> Receive:
    """The body that was read, once, and then whatever comes."""
    bodies = [body]

    async def again() -> Message:
        if bodies:
            return {"type": "http.request", "body": bodies.pop(), "more_body": False}
        return await receive()

    return again


async def _nothing() -> Message:
    return {"type": "http.disconnect"}


async def _lifespan(receive: Receive, send: Send) -> None:
    """Nothing is opened at startup: who builds the app owns what it reads."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
