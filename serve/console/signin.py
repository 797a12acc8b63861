"""Signing in with an API token: two plain routes beside Streamlit's, so that the token ends in a cookie no script can read."""

import html
from typing import Final
from urllib.parse import parse_qs, urlsplit

import anyio.to_thread
import httpx
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from serve.console.api import Refused, whoami
from serve.console.sessions import COOKIE, IDLE_S, Sessions

MAX_BODY: Final = 4_096
_PAGE: Final = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Sign in · HyperStream Mesh</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>
:root{{color-scheme:light dark}}body{{font:16px/1.5 system-ui,sans-serif;display:grid;place-items:center;min-height:92vh;margin:0;
background:light-dark(#f6f8fa,#0e1117);color:light-dark(#1c2530,#e8edf2)}}form{{width:22rem;padding:2rem;border-radius:12px;
background:light-dark(#fff,#1a2029);box-shadow:0 1px 6px #0003}}h1{{font-size:1.25rem;margin:0 0 1rem}}label{{font-size:.9rem}}
input,button{{font:inherit;width:100%;box-sizing:border-box;padding:.55rem .7rem;border-radius:8px;
margin:.35rem 0 1rem}}
input{{border:1px solid #8889}}button{{border:0;background:#0f766e;color:#fff;cursor:pointer}}
p{{font-size:.85rem;margin:.5rem 0 0;opacity:.8}}
.error{{color:light-dark(#b42318,#ff9a8d);opacity:1;margin-bottom:1rem}}</style>
<form method="post" action="/signin"><h1>HyperStream Mesh</h1>{said}
<label for="token">API token</label><input id="token" name="token" type="password"
autocomplete="current-password" required autofocus>
<button>Sign in</button><p>An admin makes tokens: <code>hyperstream token create NAME --role analyst</code></p></form></html>"""


def signin_routes(http: httpx.Client, sessions: Sessions) -> list[Route]:
    """`GET` and `POST /signin`, `GET /signout`."""

    async def form(request: Request) -> Response:
        del request
        return _page("", 200)

    async def sign_in(request: Request) -> Response:
        if not _own_page(request):
            return _page("Sign in from this page, not from another site.", 403)
        body = await _body(request)
        token = parse_qs(body.decode("latin-1")).get("token", [""])[0].strip()
        try:
            caller = await anyio.to_thread.run_sync(whoami, http, token)
        except Refused as refused:
            return _page(refused.message, 401 if refused.status == 401 else 502)
        if caller.by != "token":
            return _page("Give a token.", 401)
        # Pages that are open do not go on as whoever was there before
        sessions.end(request.cookies.get(COOKIE))
        reply = RedirectResponse("/", 303)
        secure = request.url.scheme == "https"
        reply.set_cookie(
            COOKIE,
            sessions.begin(token),
            max_age=int(IDLE_S),
            httponly=True,
            samesite="strict",
            secure=secure,
        )
        return reply

    async def sign_out(request: Request) -> Response:
        reply = RedirectResponse("/", 303)
        if _own_page(request):
            sessions.end(request.cookies.get(COOKIE))
            reply.delete_cookie(COOKIE)
        return reply

    return [
        Route("/signin", form, methods=["GET"]),
        Route("/signin", sign_in, methods=["POST"]),
        Route("/signout", sign_out, methods=["GET"]),
    ]


def _page(said: str, status: int) -> HTMLResponse:
    shown = f'<p class="error" role="alert">{html.escape(said)}</p>' if said else ""
    return HTMLResponse(_PAGE.format(said=shown), status, {"cache-control": "no-store"})


def _own_page(request: Request) -> bool:
    """Not from a page of another site: it could sign people in as somebody else, or out."""
    origin = request.headers.get("origin")
    site = request.headers.get("sec-fetch-site", "same-origin")
    same = origin is None or urlsplit(origin).netloc == request.headers.get("host")
    return same and site in ("same-origin", "none")


async def _body(request: Request) -> bytes:
    """At most `MAX_BODY` bytes; what is longer is no token."""
    found = b""
    async for part in request.stream():
        found += part
        if len(found) > MAX_BODY:
            return b""
    return found
