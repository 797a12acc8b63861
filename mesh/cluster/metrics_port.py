"""`GET /metrics` and nothing else: the port that Prometheus scrapes."""

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable

from mesh.bounded import within
from mesh.errors import MeshError, Unauthenticated

Admit = Callable[[str | None], Awaitable[object]]

_MAX_HEAD_BYTES = 8192
_MAX_CONNECTIONS = 64
"""At once: a scraper needs one, and each may hold a page for as long as it is slow to read it."""
_REQUEST_S = 5.0
_RETRY_S = 5.0

logger = logging.getLogger("ray.serve")


class MetricsPort:
    """Answers each connection once, then closes it."""

    def __init__(
        self,
        host: str,
        port: int,
        exposition: Callable[[], bytes],
        admit: Admit | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`exposition` gives the page, or raises an error of the mesh; it is called on the event loop.

        `admit` is asked with the value of `Authorization` and refuses with an error of the mesh; without it everybody reads.
        """
        self._host, self._port = host, port
        self._exposition, self._admit, self._tls = exposition, admit, tls
        self._connections = 0

    async def serve_forever(self) -> None:
        """Serve until cancelled; a port that is taken is named in the log and tried again."""
        while True:
            try:
                server = await asyncio.start_server(
                    self._answer,
                    self._host,
                    self._port,
                    limit=_MAX_HEAD_BYTES,
                    ssl=self._tls,
                    ssl_handshake_timeout=None if self._tls is None else _REQUEST_S,
                )
            except OSError as error:
                logger.warning(
                    "metrics are not served: port %d is taken or not ours (%s); change ML_PROMETHEUS_PORT",
                    self._port,
                    error.strerror,
                )
                await asyncio.sleep(_RETRY_S)
                continue
            async with server:
                await server.serve_forever()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        try:
            if self._connections <= _MAX_CONNECTIONS:
                head = await within(_REQUEST_S, reader.readuntil(b"\r\n\r\n"))
                refused = await within(_REQUEST_S, self._refusal(head))
                writer.write(refused or _response(head, self._exposition))
                writer.close()
                await within(_REQUEST_S, writer.wait_closed())
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever asks badly, slowly or not at all gets no answer
        finally:
            self._connections -= 1
            writer.transport.abort()  # what was closed is gone already; closing alone waits for whoever never reads

    async def _refusal(self, head: bytes) -> bytes | None:
        if self._admit is None:
            return None
        try:
            await self._admit(_authorization(head))
        except MeshError as error:
            status = b"401 Unauthorized" if isinstance(error, Unauthenticated) else b"503 Service Unavailable"
            return _message(status, f"{error}\n".encode())
        return None


def _authorization(head: bytes) -> str | None:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"authorization":
            return value.strip().decode("latin-1")
    return None


def _response(head: bytes, exposition: Callable[[], bytes]) -> bytes:
    method, _, rest = head.partition(b" ")
    path = rest.partition(b" ")[0].partition(b"?")[0]
    if method not in (b"GET", b"HEAD"):
        return _message(b"405 Method Not Allowed", b"only GET\n")
    if path not in (b"/metrics", b"/"):
        return _message(b"404 Not Found", b"the metrics are at /metrics\n")
    try:
        body = exposition()
    except MeshError as error:
        return _message(b"503 Service Unavailable", f"{error}\n".encode())
    page = _message(b"200 OK", body, b"text/plain; version=0.0.4; charset=utf-8")
    return page.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if method == b"HEAD" else page


def _message(status: bytes, body: bytes, content_type: bytes = b"text/plain; charset=utf-8") -> bytes:
    return b"HTTP/1.1 %b\r\nContent-Type: %b\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (
        status,
        content_type,
        len(body),
        body,
    )
