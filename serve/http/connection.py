"""One HTTP/1.1 connection, parsed by llhttp (httptools): keep-alive, pipelining, and limits on all a client can do.

It exists because the usual server takes two writes, a timer and a dozen objects for a request, which together cost more
than parsing, asking and answering it. No timer is armed here: the server's sweep looks at every connection once a second.
"""

import asyncio
import time
from collections import deque
from typing import Final, cast

import httptools

from serve.http.body import announced
from serve.http.certificate import PeerCertificate, certificate_of
from serve.http.errors import Headers, HttpRefusal
from serve.http.exchanges import AsgiExchange, Exchange, InferExchange
from serve.http.lane import Lane
from serve.http.responses import Response, refusal_response, write_head
from serve.http.scope import http_scope, split_target
from serve.oip.tensors import Buffer

_JOIN_BYTES: Final = 131_072
"""Below this, one write of a copy is cheaper than several writes."""

_LINGER_S: Final = 2.0
"""How long the rest of a refused request is read and dropped, so that the client gets to see why."""

_MIXED: Final = -1
"""In place of a count of bytes: those that are being parsed hold something else too."""


class Connection(asyncio.Protocol):
    """Parses requests into exchanges and keeps their order; `sweep` must be called about once a second."""

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self.certificate: PeerCertificate | None = None
        self._exchanges: deque[Exchange] = deque()
        self._url = b""
        self._headers: Headers = []
        self._header_bytes = 0
        self._in_headers = False
        self._in_message = False
        self._asked = False
        self._since = time.monotonic()
        self._deaf = False
        self._closing = False
        self._due: HttpRefusal | None = None
        self._upgrade_left = 0
        self._inviting = False
        self._reading_paused = False
        self._drained: asyncio.Future[None] | None = None

    # -- the transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, or refuse it where there are too many."""
        self._transport = cast("asyncio.Transport", transport)
        self.certificate = certificate_of(transport)
        lane = self.lane
        lane.connections.add(self)
        if len(lane.connections) > lane.limits.connections:
            self.refuse(HttpRefusal(503, "too many connections", {"retry-after": "1"}))

    def data_received(self, data: bytes) -> None:
        """Feed the parser; headers and trailers that do not end are cut off."""
        if self._upgrade_left:
            self._feed_upgraded(data)
            return
        if self._deaf:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._deaf = True
            self._feed_upgraded(data[upgrade.args[0] :])
            return
        except httptools.HttpParserError as error:
            self.refuse(HttpRefusal(400, f"not a valid HTTP request: {error}"))
            return
        if self._in_message:
            self._measure(len(data))

    def _measure(self, size: int) -> None:
        """Bytes came after which a request is still incomplete: those that are no body are bounded."""
        if self._header_bytes == _MIXED:
            # Most of them may be the request before, or body: what the parser has kept of them is counted.
            kept = sum([len(name) + len(value) for name, value in self._headers])
            size = len(self._url) + kept if self._in_headers else 0
            self._header_bytes = 0
        self._header_bytes += size
        if self._header_bytes > self.lane.limits.header_bytes:
            self.refuse(HttpRefusal(431, f"headers: larger than {self.lane.limits.header_bytes} bytes"))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """The client has gone; what it asked for is finished and dropped."""
        self.lane.connections.discard(self)
        self._deaf = self._closing = True
        self.resume_writing()
        for exchange in self._exchanges:
            exchange.left()
        self._exchanges.clear()

    def pause_writing(self) -> None:
        """The client does not read its replies."""
        if self._drained is None:
            self._drained = self.lane.loop.create_future()
            self._since = time.monotonic()

    def resume_writing(self) -> None:
        """It does again, or never will."""
        drained, self._drained = self._drained, None
        if drained is not None and not drained.done():
            drained.set_result(None)

    # -- the parser's side

    def on_message_begin(self) -> None:
        """A request's first byte."""
        self._url = b""
        self._headers = []
        self._header_bytes = _MIXED
        self._in_headers = self._in_message = self._asked = True
        self._since = time.monotonic()

    def on_url(self, url: bytes) -> None:
        """A piece of the address."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """The request becomes an exchange."""
        self._in_headers = False
        if self._deaf:
            return
        parser = self._parser
        target = split_target(self._url)
        method = parser.get_method()
        keep_alive = parser.should_keep_alive() and parser.get_http_version() == "1.1"
        asked = self.lane.app.target(target.path) if method == b"POST" else None
        exchange: Exchange
        if asked is not None:
            exchange = InferExchange(self, asked, self._headers, keep_alive=keep_alive)
        else:
            # A copy: what a chunked body is followed by would else become headers of a request that runs.
            headers = list(self._headers)
            scope = http_scope(parser, target, headers, self._transport, self.certificate)
            exchange = AsgiExchange(self, scope, keep_alive=keep_alive)
        upgrade = parser.should_upgrade()
        refusal = exchange.refusal() or (_unmeasured(self._headers) if upgrade else None)
        if refusal is not None:
            self.refuse(refusal)
            return
        self._exchanges.append(exchange)
        if upgrade:
            # No other protocol is spoken here: the request is answered in HTTP/1.1, and then the connection ends.
            # The parser leaves its body to whoever takes over.
            exchange.keep_alive = False
            self._upgrade_left = announced(self._headers)
        if len(self._exchanges) > 1:
            self.pause_reading()
        elif exchange.start_early():
            exchange.start()
        if (b"expect", b"100-continue") in self._headers:
            self._inviting = True
            if len(self._exchanges) == 1:
                self._invite()

    def _invite(self) -> None:
        """Ask for the body, once no earlier reply can be in the middle of its way."""
        self._inviting = False
        if self._transport is not None and not self._exchanges[0].complete:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._header_bytes = _MIXED
        if not self._exchanges or (self._deaf and (self._closing or not self._upgrade_left)):
            # Of a request that was refused, the parser goes on to its end; the exchanges are of those before it.
            return
        self._since = time.monotonic()
        refusal = self._exchanges[-1].feed(body)
        if refusal is not None:
            self.refuse(refusal)

    def on_message_complete(self) -> None:
        """The request is complete, as far as the parser reads it."""
        if not self._deaf and not self._upgrade_left:
            self._completed()

    def _completed(self) -> None:
        if self._closing or not self._exchanges:
            return
        self._in_message = False
        exchange = self._exchanges[-1]
        exchange.complete = True
        if exchange.start_early():
            exchange.release()
        elif exchange is self._exchanges[0]:
            exchange.start()

    # -- the exchanges' side

    async def write_response(self, response: Response, *, close: bool) -> None:
        """Write a whole response, in one piece where it is small."""
        head = write_head(response.status, response.headers, close=close)
        pieces = response.pieces
        if sum(map(len, pieces)) <= _JOIN_BYTES:
            await self.write(b"".join((head, *pieces)))
        else:
            await self.write(head)
            for piece in pieces:
                await self.write(piece)

    async def write(self, data: Buffer) -> None:
        """Write, after what the client has not read yet."""
        if self._drained is not None:
            await self._drained
        if self._transport is not None and not self._transport.is_closing() and not self._closing:
            self._transport.write(data)

    def finished(self, exchange: Exchange) -> None:
        """The exchange is answered: close, or go on to the next."""
        transport = self._transport
        if transport is None or not self._exchanges or self._exchanges[0] is not exchange:
            return
        if not exchange.keep_alive or not exchange.complete or self.lane.draining:
            # A body that is still on its way belongs to a request that has its answer.
            self._end()
            return
        self._exchanges.popleft()
        self._since = time.monotonic()
        if self._exchanges:
            following = self._exchanges[0]
            if self._inviting and len(self._exchanges) == 1:
                self._invite()
            if following.complete or following.start_early():
                following.start()
        elif self._due is not None:
            self._send(self._due)
        if len(self._exchanges) <= 1:
            self.resume_reading()

    def pause_reading(self) -> None:
        """Take no more bytes for now."""
        if not self._reading_paused and self._transport is not None and not self._transport.is_closing():
            self._reading_paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Take bytes again."""
        if self._reading_paused and self._transport is not None and not self._transport.is_closing():
            self._reading_paused = False
            self._transport.resume_reading()

    # -- the server's side

    def refuse(self, refusal: HttpRefusal) -> None:
        """Answer the request that is coming in without the application, after those before it, and end the connection."""
        if self._closing or self._due is not None:
            return
        self._deaf = True
        if self._exchanges and not self._exchanges[-1].complete:
            exchange = self._exchanges.pop()
            exchange.left()
            if exchange.begun:
                # Half an answer is out, and no other can follow it.
                self.abort()
                return
        if self._exchanges:
            self._due = refusal
        else:
            self._send(refusal)

    def _send(self, refusal: HttpRefusal) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        response = refusal_response(refusal)
        transport.write(write_head(response.status, response.headers, close=True) + b"".join(response.pieces))
        self._linger(transport)

    def shutdown(self) -> None:
        """Close now if nothing is under way, else after the reply."""
        if not self._exchanges and self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    def sweep(self, now: float) -> None:
        """Refuse or close what has been waiting for the client for too long."""
        limits = self.lane.limits
        waited = now - self._since
        if self._transport is None:
            return
        if self._closing:
            if waited > _LINGER_S:
                self._transport.abort()
        elif self._drained is not None:
            if waited > limits.write_s:
                self._transport.abort()
        elif self._in_headers:
            # Where the server itself has stopped reading, the client cannot be blamed.
            if waited > limits.header_s and not self._reading_paused:
                self.refuse(HttpRefusal(408, f"headers: incomplete after {limits.header_s:g} s"))
        elif self._exchanges:
            idle = self.lane.app.limits.body_idle_s
            last = self._exchanges[-1]
            if waited > idle and not (last.complete or last.answered or self._reading_paused):
                self.refuse(HttpRefusal(408, f"body: nothing came for {idle:g} s"))
        elif waited > (limits.keep_alive_s if self._asked else limits.header_s):
            self._transport.close()

    def _end(self) -> None:
        """No more requests. Unread bytes would turn a close into a reset, which destroys the reply on its way."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if self._in_message or self._reading_paused:
            self._linger(transport)
        else:
            transport.close()

    def _linger(self, transport: asyncio.Transport) -> None:
        """Send what is written and no more; read and drop what still comes, until the client or the sweep closes."""
        self._deaf = self._closing = True
        self._since = time.monotonic()
        self.resume_reading()
        if transport.can_write_eof():
            transport.write_eof()

    def _feed_upgraded(self, data: bytes) -> None:
        """The body of a request that asked for another protocol, and did not get it."""
        piece = data[: self._upgrade_left]
        if piece:
            self.on_body(piece)
            self._upgrade_left -= len(piece)
            if not self._upgrade_left:
                self._completed()


def _unmeasured(headers: Headers) -> HttpRefusal | None:
    """Why an upgrade cannot be declined by answering: the parser leaves its body alone, and chunks have no length."""
    if any(name == b"transfer-encoding" for name, _ in headers):
        return HttpRefusal(
            411, "content-length: a request that asks for another protocol must give its length"
        )
    return None
