"""`POST /v2/models/{m}[/versions/{v}]/infer`: the one route that has to be fast, so it stands alone."""

import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Protocol

from mesh.errors import InvalidInput, MeshError
from serve.http.body import Message, Receive, compress, decompress, read_body
from serve.http.errors import ClientGone, Headers, HttpRefusal, refusal_of
from serve.http.responses import Response, refusal_response
from serve.oip.inference import Inference, told
from serve.oip.ports import Limits
from serve.oip.request import Asked, InferRequest, parse_infer
from serve.oip.response import Reply, ReplyWriter

Send = Callable[[Message], Awaitable[None]]
Scope = dict[str, Any]

_LOG: Final = logging.getLogger(__name__)
_JSON_TYPE: Final = (b"content-type", b"application/json")
_BINARY_TYPE: Final = (b"content-type", b"application/octet-stream")
_MAX_ID: Final = 256


class Holder(Protocol):
    """Who counts the bytes that requests hold."""

    def hold(self, size: int) -> HttpRefusal | None:
        """Count more of them, until the request is answered; the refusal if they are too many."""


class InferRoute:
    """Reads, asks, writes, for one process: over ASGI by calling it, or over any server by `respond`."""

    def __init__(self, inference: Inference) -> None:
        self._inference = inference
        self._writer = ReplyWriter()

    async def __call__(self, endpoint: str, version: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI request."""
        headers: dict[bytes, bytes] = dict(scope["headers"])
        try:
            body = await read_body(receive, headers.get(b"content-length"), self._inference.limits)
        except ClientGone:
            self._inference.refused(endpoint, "http", "499", 0, time.monotonic())
            return
        except HttpRefusal as refusal:
            self._inference.refused(endpoint, "http", str(refusal.status), 0, time.monotonic())
            response = refusal_response(refusal, headers.get(b"x-request-id"))
        else:
            response = await self.respond(endpoint, version, headers, body)
        await send_response(send, response)

    async def respond(
        self,
        endpoint: str,
        version: str,
        headers: Mapping[bytes, bytes],
        body: bytes | bytearray,
        certificate: str | None = None,
        holder: Holder | None = None,
    ) -> Response:
        """The response to one request. Every failure is a response too; only a cancellation is raised.

        `certificate` is the name in the certificate that the connection's client had to show. `holder` hears how large
        a body is that was compressed.
        """
        received = time.monotonic()
        inference = self._inference
        request_id = inference.identifiers.next()
        shown_id = headers.get(b"x-request-id")
        if shown_id is None or len(shown_id) > _MAX_ID:
            shown_id = request_id.encode()
        rows = 0
        journey = inference.begin(headers.get(b"traceparent"))
        try:
            if inference.admission is not None:
                await inference.admission.admit_inference(_authorization(headers), certificate)
            asked = self._asked(endpoint, version, headers, request_id)
            # A version beside others is an endpoint of its own, and counted as such
            endpoint = asked.endpoint
            if b"content-encoding" in headers:
                body = await _unpacked(body, headers[b"content-encoding"], inference.limits, holder)
            request = _parse(body, headers, asked)
            rows = len(request.batch)
            answer = await inference.answer(request, journey)
            reply = self._writer.write(request, answer)
            encoding = _reply_encoding(headers)
            if encoding is not None:
                reply = Reply([await compress(b"".join(reply.pieces), encoding)], reply.json_length)
            response = _response(reply, encoding, shown_id)
        except MeshError as error:
            refusal = refusal_of(error)
        except HttpRefusal as error:
            refusal = error
        except Exception:  # noqa: BLE001 - the last resort: a defect must not show its insides, nor end the connection
            journey = inference.late(journey, received)
            _LOG.exception(
                "request %s for '%s' failed unexpectedly",
                shown_id.decode("latin-1"),
                endpoint,
                extra=told(journey, request_id),
            )
            refusal = HttpRefusal(500, f"internal error in request {shown_id.decode('latin-1')}")
        else:
            inference.answered(endpoint, "http", "200", rows, received, journey, request_id)
            return response
        inference.refused(endpoint, "http", str(refusal.status), rows, received, journey, request_id)
        return refusal_response(refusal, shown_id)

    def _asked(self, endpoint: str, version: str, headers: Mapping[bytes, bytes], request_id: str) -> Asked:
        timeout_ms, variant = headers.get(b"x-request-timeout-ms"), headers.get(b"x-mesh-variant")
        return self._inference.ask(
            endpoint,
            version,
            default_id=request_id,
            timeout_ms=None if timeout_ms is None else timeout_ms.decode("latin-1"),
            variant=None if variant is None else variant.decode("latin-1"),
        )


async def _unpacked(
    body: bytes | bytearray, encoding: bytes, limits: Limits, holder: Holder | None
) -> bytes | bytearray:
    plain = await decompress(body, encoding, limits)
    refusal = holder.hold(len(plain)) if holder is not None and plain is not body else None
    if refusal is not None:
        raise refusal
    return plain


def _authorization(headers: Mapping[bytes, bytes]) -> str | None:
    value = headers.get(b"authorization")
    return None if value is None else value.decode("latin-1")


def _parse(body: bytes | bytearray, headers: Mapping[bytes, bytes], asked: Asked) -> InferRequest:
    value = headers.get(b"inference-header-content-length")
    if value is None:
        return parse_infer(body, None, asked)
    if not value.isdigit() or len(value) > 18:
        raise InvalidInput("inference-header-content-length", "must be a number of bytes")
    return parse_infer(body, int(value), asked)


def _reply_encoding(headers: Mapping[bytes, bytes]) -> str | None:
    """`gzip` or `deflate` where `Accept-Encoding` names it alone.

    tritonclient asks so when its user wants compression. A list of encodings is what HTTP libraries send by default,
    and compressing for them costs more than the bytes are worth; `br` is never spoken.
    """
    accepted = headers.get(b"accept-encoding")
    if accepted is None:
        return None
    coding = accepted.strip().lower()
    return coding.decode() if coding in (b"gzip", b"deflate") else None


def _response(reply: Reply, encoding: str | None, request_id: bytes) -> Response:
    """Headers and body of an answer; large tensors stay as they lie in memory."""
    pieces, json_length = reply
    size = len(pieces[0]) if len(pieces) == 1 else sum(map(len, pieces))
    fields: Headers = [
        _JSON_TYPE if json_length is None else _BINARY_TYPE,
        (b"content-length", b"%d" % size),
        (b"x-request-id", request_id),
    ]
    if json_length is not None:
        # Of the plain body, compressed or not: so tritonclient reads it.
        fields.append((b"inference-header-content-length", b"%d" % json_length))
    if encoding is not None:
        fields.append((b"content-encoding", encoding.encode()))
    return Response(200, fields, pieces)


async def send_response(send: Send, response: Response) -> None:
    """A response as ASGI messages."""
    await send({"type": "http.response.start", "status": response.status, "headers": response.headers})
    body = response.pieces[0] if len(response.pieces) == 1 else b"".join(response.pieces)
    await send({"type": "http.response.body", "body": body, "more_body": False})
