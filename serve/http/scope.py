"""The head of a request as an ASGI application reads it (https://asgi.readthedocs.io/en/latest/specs/www.html)."""

import asyncio
import urllib.parse
from functools import lru_cache
from typing import Final, NamedTuple

import httptools

from serve.http.certificate import CERTIFICATE, PeerCertificate
from serve.http.errors import Headers
from serve.http.infer_route import Scope

_ASGI: Final = {"version": "3.0", "spec_version": "2.3"}


class Target(NamedTuple):
    """What a request asks for: the path as text, the path as sent, and the query as sent."""

    path: str
    raw_path: bytes
    query: bytes


@lru_cache(maxsize=512)
def split_target(url: bytes) -> Target:
    """The parts of a request's target; remembered, because clients ask the same again and again.

    Raises `httptools.HttpParserInvalidURLError` for what is none.
    """
    parsed = httptools.parse_url(url)
    raw_path = parsed.path or b"/"
    path = raw_path.decode("ascii")
    return Target(urllib.parse.unquote(path) if "%" in path else path, raw_path, parsed.query or b"")


def http_scope(
    parser: httptools.HttpRequestParser,
    target: Target,
    headers: Headers,
    transport: asyncio.Transport | None,
    certificate: PeerCertificate | None,
) -> Scope:
    """Of the request whose head the parser has just read."""
    secure = transport is not None and transport.get_extra_info("sslcontext") is not None
    return {
        "type": "http",
        "asgi": _ASGI,
        "http_version": parser.get_http_version(),
        "method": parser.get_method().decode("ascii"),
        "scheme": "https" if secure else "http",
        "path": target.path,
        "raw_path": target.raw_path,
        "query_string": target.query,
        "root_path": "",
        "headers": headers,
        CERTIFICATE: certificate,
        "client": None if transport is None else transport.get_extra_info("peername"),
        "server": None if transport is None else transport.get_extra_info("sockname"),
    }
