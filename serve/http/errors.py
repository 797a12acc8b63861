"""Refusals that only HTTP knows, and the one shape of every error body: `{"error": "..."}`."""

from collections.abc import Mapping
from typing import Final

import orjson

from mesh.errors import MeshError, Unauthenticated
from serve.oip.failures import retry_after, status_of

Headers = list[tuple[bytes, bytes]]

_JSON: Final = (b"content-type", b"application/json")


class HttpRefusal(Exception):
    """A request that HTTP itself refuses: too large, too slow, wrong method. `headers` go out with the reply."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.message = status, message
        self.headers = dict(headers or {})


class ClientGone(Exception):
    """The client left before its request was complete; there is nobody to answer."""


def error_body(message: str) -> bytes:
    """`{"error": message}`."""
    return orjson.dumps({"error": message})


def refusal_of(error: MeshError) -> HttpRefusal:
    """The refusal that an error of the mesh becomes."""
    wait = retry_after(error)
    headers = {} if wait is None else {"retry-after": str(max(1, round(wait)))}
    if isinstance(error, Unauthenticated):
        headers["www-authenticate"] = 'Bearer realm="mesh"'  # RFC 6750
    return HttpRefusal(status_of(error).http, str(error), headers)


def error_headers(refusal: HttpRefusal, body: bytes, request_id: bytes | None = None) -> Headers:
    """Response headers of a refusal."""
    headers = [_JSON, (b"content-length", b"%d" % len(body))]
    headers += [(name.encode(), value.encode()) for name, value in refusal.headers.items()]
    if request_id is not None:
        headers.append((b"x-request-id", request_id))
    return headers
