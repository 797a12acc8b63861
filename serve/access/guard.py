"""The guard before an ASGI application: who asks is known, or refused, before any route sees the request."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from mesh.errors import MeshError
from serve.access.gate import Asked, Gate
from serve.http.certificate import CERTIFICATE
from serve.http.errors import HttpRefusal, refusal_of
from serve.http.responses import refusal_response

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LISTENER: Final = "mesh.listener_local"
"""In a scope: whether only this machine reaches the port. Absent, the guard's own default stands."""
_POLICY_VIOLATED: Final = 1008
_TRY_AGAIN: Final = 1013
_REASON_BYTES: Final = 123

HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
)
"""No guessing of types, no frames of other sites, no addresses told to them. There are no cookies to guard."""


class Guard:
    """`await guard(scope, receive, send)`. The actor, or None, is the scope's `state["actor"]`."""

    def __init__(
        self,
        app: App,
        gate: Gate,
        *,
        listener_local: bool,
        answered: Callable[[int], None] = lambda _: None,
    ) -> None:
        """`listener_local` is for scopes that do not say; `answered` hears of each response's status."""
        self._app, self._gate, self._local, self._answered = app, gate, listener_local, answered

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request in, or answer why not."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        try:
            actor = await self._gate.admit(self._asked(scope))
        except MeshError as error:
            await self._refuse(scope, send, refusal_of(error))
            return
        scope.setdefault("state", {})["actor"] = actor
        await self._app(scope, receive, self._told(send) if scope["type"] == "http" else send)

    def _asked(self, scope: Scope) -> Asked:
        peer = scope.get("client")
        return Asked(
            method=scope.get("method", "GET"),
            path=scope["path"],
            headers=dict(scope["headers"]),
            peer=peer[0] if peer else None,
            listener_local=scope.get(LISTENER, self._local),
            certificate=scope.get(CERTIFICATE),
        )

    async def _refuse(self, scope: Scope, send: Send, refusal: HttpRefusal) -> None:
        if scope["type"] == "websocket":
            code = _TRY_AGAIN if "retry-after" in refusal.headers else _POLICY_VIOLATED
            await send({"type": "websocket.close", "code": code, "reason": _told_to_sockets(refusal.message)})
            return
        response = refusal_response(refusal)
        told = self._told(send)
        await told({"type": "http.response.start", "status": response.status, "headers": response.headers})
        await told({"type": "http.response.body", "body": b"".join(response.pieces)})

    def _told(self, send: Send) -> Send:
        async def sent(message: Any) -> None:
            if message["type"] == "http.response.start":
                self._answered(message["status"])
                message = {**message, "headers": [*message.get("headers", ()), *HEADERS]}
            await send(message)

        return sent


def _told_to_sockets(message: str) -> str:
    """As much of it as a close frame takes: 123 bytes of UTF-8 (RFC 6455, 5.5)."""
    return message.encode()[:_REASON_BYTES].decode(errors="ignore")


class Through:
    """An application as another listener's requests reach it: their scopes say whether that one is local."""

    def __init__(self, app: App, *, listener_local: bool) -> None:
        self._app, self._local = app, listener_local

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, marked."""
        await self._app({**scope, LISTENER: self._local}, receive, send)
