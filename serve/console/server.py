"""The console as an ASGI application: Streamlit's pages, the sign-in beside them, and headers on everything."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import httpx
from starlette.middleware import Middleware
from streamlit import config
from streamlit.starlette import App

from serve.console import context
from serve.console.api import client
from serve.console.options import Options
from serve.console.sessions import Sessions
from serve.console.signin import signin_routes

SCRIPT: Final = Path(__file__).with_name("script.py")
_OPTIONS: Final = {
    "server.headless": True,
    "server.fileWatcherType": "none",
    "server.maxUploadSize": 1,
    "server.enableAgentApi": False,
    "browser.gatherUsageStats": False,
    "client.toolbarMode": "viewer",
    "client.showErrorDetails": "none",
    "client.showErrorLinks": False,
    "theme.light.primaryColor": "#0f766e",
    "theme.dark.primaryColor": "#0f8a80",
}
_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
)

Scope = Any
Send = Callable[[Any], Awaitable[None]]


class Headers:
    """Puts what every response carries on it: no framing by other sites, no guessing of types."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Any, send: Send) -> None:
        """One connection."""

        async def with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *_HEADERS]
            await send(message)

        await self._app(scope, receive, with_headers if scope["type"] == "http" else send)


def build(options: Options, http: httpx.Client | None = None) -> App:
    """The application. One a process: Streamlit's options and what the pages know are the process's own."""
    for name, value in _OPTIONS.items():
        config.set_option(name, value)
    config.set_option("server.port", options.port)
    config.set_option("server.address", options.host)
    if options.secrets:
        config.set_option("secrets.files", [options.secrets])
    asked, sessions = http or client(options.api), Sessions()
    context.here = context.Context(options, asked, sessions)
    return App(SCRIPT, routes=signin_routes(asked, sessions), middleware=[Middleware(Headers)])
