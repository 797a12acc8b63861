"""The ASGI application: inference first and by hand, everything else through FastAPI.

Any ASGI server can host it, Ray Serve's ingress among them. `serve.http.fast_lane` asks it by a shorter way.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from fastapi import APIRouter

from mesh.bounded import within
from serve.http.api import build_api
from serve.http.body import Receive, announced, bounded, too_large_for_api
from serve.http.errors import HttpRefusal
from serve.http.infer_route import InferRoute, Scope, Send, send_response
from serve.http.responses import refusal_response
from serve.oip.inference import Inference

_PREFIX: Final = "/v2/models/"
_SUFFIX: Final = "/infer"
_MAX_PATHS: Final = 1024
OPENING_S: Final = 2.0
"""How long a call of the API waits for it to be opened: less than a probe's patience."""

App = Callable[[Scope, Receive, Send], Awaitable[None]]


def _unguarded(app: App) -> App:
    return app


class MeshApp:
    """`await app(scope, receive, send)`."""

    def __init__(self, inference: Inference, opening_s: float = OPENING_S) -> None:
        """Inference is answered at once; all else waits for `open`, for `opening_s` at most."""
        self.infer = InferRoute(inference)
        self.limits = inference.limits
        self._inference = inference
        self._opening_s = opening_s
        self._opened = asyncio.Event()
        self._api: App = self._once_open
        self._targets: dict[str, tuple[str, str] | None] = {}

    def open(
        self, routers: Sequence[APIRouter] = (), guarded: Callable[[App], App] = _unguarded
    ) -> "MeshApp":
        """Answer health, metadata and `routers` too; returns the app.

        `guarded` puts a guard before all that; inference has its own (`Inference.admission`).
        """
        self._api = guarded(build_api(self._inference, routers))
        self._opened.set()
        return self

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request; lifespan events need nothing, WebSockets are not spoken."""
        if scope["type"] == "http":
            target = self.target(scope["path"])
            if target is None:
                await self._call(scope, receive, send)
            elif scope["method"] == "POST":
                await self.infer(*target, scope, receive, send)
            else:
                message = f"{scope['method']} is not allowed for {scope['path']}: use POST"
                await send_response(send, refusal_response(HttpRefusal(405, message, {"allow": "POST"})))
        elif scope["type"] == "lifespan":
            await _lifespan(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000})

    async def _once_open(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A server that is not ready says so with a status that probes and clients know, not by refusing connections."""
        try:
            await within(self._opening_s, self._opened.wait())
        except TimeoutError:
            message = "the API is being opened, try again in a moment; inference is answered"
            await send_response(send, refusal_response(HttpRefusal(503, message, {"retry-after": "1"})))
        else:
            await self._api(scope, receive, send)

    async def _call(self, scope: Scope, receive: Receive, send: Send) -> None:
        if announced(scope["headers"]) > self.limits.api_bytes:
            await send_response(send, refusal_response(too_large_for_api(self.limits)))
        else:
            await self._api(scope, bounded(receive, self.limits), send)

    def target(self, path: str) -> tuple[str, str] | None:
        """The endpoint and version (may be empty) that an inference path names; None for any other path."""
        try:
            return self._targets[path]
        except KeyError:
            target = _parse_target(path)
            if len(self._targets) < _MAX_PATHS:
                self._targets[path] = target
            return target


def _parse_target(path: str) -> tuple[str, str] | None:
    if not (path.startswith(_PREFIX) and path.endswith(_SUFFIX)):
        return None
    match path[len(_PREFIX) : -len(_SUFFIX)].split("/"):
        case [endpoint] if endpoint:
            return endpoint, ""
        case [endpoint, "versions", version] if endpoint and version:
            return endpoint, version
        case _:
            return None


async def _lifespan(receive: Receive, send: Send) -> None:
    """Nothing is opened at startup: who builds the app owns the engine."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
