"""A response, and how it is written as HTTP/1.1."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Final, NamedTuple

from serve.http.errors import Headers, HttpRefusal, error_body, error_headers
from serve.oip.tensors import Buffer

_STATUS_LINES: Final = {
    int(status): b"HTTP/1.1 %d %b" % (status, status.phrase.encode()) for status in HTTPStatus
}


class Response(NamedTuple):
    """Status, headers with a `content-length` among them, and the body in pieces."""

    status: int
    headers: Headers
    pieces: Sequence[Buffer]


def refusal_response(refusal: HttpRefusal, request_id: bytes | None = None) -> Response:
    """`{"error": ...}`."""
    body = error_body(refusal.message)
    return Response(refusal.status, error_headers(refusal, body, request_id), (body,))


def write_head(status: int, headers: Headers, *, close: bool) -> bytes:
    """Status line and headers up to the empty line; with `close`, the client is told that the connection ends.

    Raises `ValueError` for a header that holds a line break, which would end it early.
    """
    lines = [_STATUS_LINES[status]]
    for name, value in headers:
        if b"\n" in value or b"\r" in value:
            raise ValueError(f"header {name!r} holds a line break")
        lines.append(name + b": " + value)
    if close:
        lines.append(b"connection: close")
    lines.append(b"\r\n")
    return b"\r\n".join(lines)
