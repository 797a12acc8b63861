"""One connection to Redis: bytes out, replies counted. The only importer of hiredis and, for the URL, of redis."""

import asyncio
import ssl
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import hiredis
from redis.connection import SSLConnection, UnixDomainSocketConnection, parse_url

from ingest.resp import command
from mesh.errors import InvalidConfig
from mesh.security.redacted import url_reason

CONNECT_TIMEOUT_S = 5.0

ANSWER_TIMEOUT_S = 10.0
"""For how long Redis may say nothing at all while it owes replies: many times what a large pipeline takes under load."""

_LOOKS = 10
"""How often within that time silence is looked for."""


class RedisError(Exception):
    """Redis is away, or answered a command with an error; trying again can help."""


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """Where Redis is and how to be let in. `unix_path` wins over host and port."""

    host: str = "localhost"
    port: int = 6379
    unix_path: str | None = None
    db: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = None

    def __str__(self) -> str:
        return self.unix_path or f"{self.host}:{self.port}"

    @classmethod
    def from_url(cls, url: str) -> "RedisAddress":
        """`redis://`, `rediss://` or `unix://` with password and database, as redis-py reads them."""
        try:
            parts = parse_url(url)  # type: ignore[no-untyped-call]
        except ValueError as error:
            raise InvalidConfig("environment", 0, "REDIS_URL", url_reason(url, error)) from None
        kind = parts.get("connection_class")
        unix = cast("str | None", parts.get("path")) if kind is UnixDomainSocketConnection else None
        try:
            tls = _tls(parts) if kind is SSLConnection else None
        except OSError as error:
            reason = f"a certificate or key of it cannot be read: {error}"
            raise InvalidConfig("environment", 0, "REDIS_URL", reason) from None
        return cls(
            str(parts.get("host") or "localhost"),
            int(parts.get("port") or 6379),
            unix,
            int(parts.get("db") or 0),
            parts.get("username"),
            parts.get("password"),
            tls,
        )


def _tls(parts: Mapping[str, Any]) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=parts.get("ssl_ca_certs"))
    if parts.get("ssl_certfile"):
        context.load_cert_chain(parts["ssl_certfile"], parts.get("ssl_keyfile"))
    if parts.get("ssl_cert_reqs") in ("none", "CERT_NONE"):
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


class RedisLink(asyncio.Protocol):
    """A connection with several pipelines in flight; replies come in the order of the commands.

    Given up where Redis owes replies and says nothing for `ANSWER_TIMEOUT_S`: a machine that is gone closes no connection. One
    that is slow and goes on is waited for, since sending it everything again would make it slower.
    """

    def __init__(self) -> None:
        self._reader = hiredis.Reader()
        self._waiting: deque[_Pipeline] = deque()
        self._transport: asyncio.Transport | None = None
        self._look: asyncio.TimerHandle | None = None
        self._silent_looks = 0
        self._given_up = ""
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @classmethod
    async def open(cls, address: RedisAddress) -> "RedisLink":
        """Connect, log in and choose the database; raises `RedisError`."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                if address.unix_path:
                    _, link = await loop.create_unix_connection(cls, address.unix_path)
                else:
                    _, link = await loop.create_connection(cls, address.host, address.port, ssl=address.tls)
                try:
                    await link.greet(address)
                except BaseException:
                    link.close()
                    raise
        except (OSError, TimeoutError) as error:
            raise RedisError(f"{type(error).__name__}: {error}") from error
        return link

    async def greet(self, address: RedisAddress) -> None:
        """Log in and choose the database; raises `RedisError`."""
        hello = []
        if address.password is not None:
            login = [address.username.encode()] if address.username else []
            hello.append(command(b"AUTH", *login, address.password.encode()))
        if address.db:
            hello.append(command(b"SELECT", b"%d" % address.db))
        hello.append(command(b"PING"))
        await self.send(b"".join(hello), len(hello))

    async def send(self, commands: bytes, replies: int) -> None:
        """Send commands at once and wait for so many replies.

        Raises `RedisError` for any that is an error, and where the connection is lost or given up before the last one.
        """
        if self._transport is None or self.lost.done():
            raise RedisError("the connection is closed")
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Pipeline(replies, done))
        self._transport.write(commands)
        if self._look is None:
            self._look_later()
        await done

    def close(self) -> None:
        """Close at once; pipelines in flight fail."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of `asyncio.Protocol`."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Count replies; the pipeline whose last reply came is done."""
        self._silent_looks = 0
        self._reader.feed(data)
        next_reply = self._reader.gets
        waiting = self._waiting
        while waiting:
            pipeline = waiting[0]
            left = pipeline.left
            while left:
                try:
                    reply = next_reply()
                except hiredis.ProtocolError:
                    self.close()
                    return
                if reply is False:
                    break
                if isinstance(reply, hiredis.ReplyError):
                    pipeline.error = pipeline.error or str(reply)
                left -= 1
            pipeline.left = left
            if left:
                return
            waiting.popleft()
            pipeline.finish()

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail what is in flight: nobody knows what Redis has done of it."""
        reason = self._given_up or (f"connection lost: {exc}" if exc else "connection lost")
        if self._look is not None:
            self._look.cancel()
        while self._waiting:
            pipeline = self._waiting.popleft()
            pipeline.error = reason
            pipeline.finish()
        if not self.lost.done():
            self.lost.set_result(None)

    def _look_later(self) -> None:
        self._look = asyncio.get_running_loop().call_later(ANSWER_TIMEOUT_S / _LOOKS, self._look_at_silence)

    def _look_at_silence(self) -> None:
        """Give up after several looks between which nothing came.

        One clock would not do: after this process itself stood still, it would be read before the replies that wait.
        """
        self._look = None
        if not self._waiting:
            self._silent_looks = 0
            return
        self._silent_looks += 1
        if self._silent_looks < _LOOKS:
            self._look_later()
        else:
            self._given_up = f"no answer for {ANSWER_TIMEOUT_S:g} s"
            self.close()


class _Pipeline:
    """Commands sent together: replies still owed, and whom to tell."""

    __slots__ = ("done", "error", "left")

    def __init__(self, left: int, done: asyncio.Future[None]) -> None:
        self.left, self.done = left, done
        self.error = ""

    def finish(self) -> None:
        if self.done.done():
            return
        if self.error:
            self.done.set_exception(RedisError(self.error))
        else:
            self.done.set_result(None)
