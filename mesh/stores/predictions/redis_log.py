"""The log in Redis: a stream that ingest appends to and trims, one field an entry."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from mesh.errors import InvalidConfig, StoreAway
from mesh.stores.predictions.entry import BEGINNING, Entry, Slice, place

CONNECT_S: Final = 1.0
ANSWER_S: Final = 5.0
BLOCK_MS: Final = 1_000
READ_ENTRIES: Final = 500
"""Entries of one read of the tail: about two milliseconds of work."""
CONNECTIONS: Final = 8


class RedisLog:
    """A `PredictionLog` and `LogTail`. Nothing connects before the first call; a lost connection is made again."""

    def __init__(self, url: str, channel: str) -> None:
        """`url` as in REDIS_URL, `channel` as in ML_STREAM_REDIS_CHANNEL. `InvalidConfig` for a URL that is none."""
        try:
            pool = BlockingConnectionPool.from_url(
                url,
                max_connections=CONNECTIONS,
                timeout=ANSWER_S,
                socket_connect_timeout=CONNECT_S,
                socket_timeout=ANSWER_S,
                retry=Retry(NoBackoff(), 1),  # a connection that Redis closed while it was idle
            )
        except ValueError as error:
            raise InvalidConfig("environment", 0, "REDIS_URL", str(error)) from None
        self._redis: Any = Redis.from_pool(pool)
        self._key = f"{channel}:log"

    async def newest(self) -> str:
        """As `PredictionLog.newest`."""
        async with guarded():
            found = await self._redis.xrevrange(self._key, count=1)
        return str(found[0][0].decode()) if found else BEGINNING

    async def after(self, cursor: str, limit: int, upto: str | None = None) -> Slice:
        """As `PredictionLog.after`."""
        async with guarded(), self._redis.pipeline(transaction=True) as together:
            together.xrange(self._key, count=1)
            together.xrange(self._key, min=f"({cursor}", max=upto or "+", count=limit)
            oldest, found = await together.execute()
        return Slice(_entries(found), _trimmed(cursor, oldest))

    async def before(self, cursor: str | None, since: str, limit: int) -> Sequence[Entry]:
        """As `PredictionLog.before`."""
        upper = "+" if cursor is None else f"({cursor}"
        async with guarded():
            found = await self._redis.xrevrange(self._key, max=upper, min=f"({since}", count=limit)
        return _entries(found)

    async def read(self, cursor: str) -> Slice:
        """As `LogTail.read`. A whole slice means that more waits, so the oldest entry is asked for too."""
        async with guarded():
            found = await self._redis.xread({self._key: cursor}, count=READ_ENTRIES, block=BLOCK_MS)
            entries = _entries(_of_stream(found))
            behind = len(entries) == READ_ENTRIES
            oldest = await self._redis.xrange(self._key, count=1) if behind else []
        return Slice(entries, behind and _trimmed(cursor, oldest))

    async def close(self) -> None:
        """Let go of the connections."""
        await self._redis.aclose()


@asynccontextmanager
async def guarded() -> AsyncIterator[None]:
    """Whatever Redis does not do in time is `StoreAway`: the caller may try again."""
    try:
        async with asyncio.timeout(ANSWER_S + BLOCK_MS / 1e3):
            yield
    except (RedisError, OSError, TimeoutError) as error:
        reason = str(error) or type(error).__name__
        raise StoreAway("the log of predictions", f"Redis at REDIS_URL: {reason}") from error


def _of_stream(found: Any) -> Sequence[tuple[bytes, dict[bytes, bytes]]]:
    """The entries of the one stream that was read: a list with RESP2, a mapping with RESP3."""
    if not found:
        return ()
    if isinstance(found, dict):
        return [entry for some in next(iter(found.values())) for entry in some]
    return found[0][1]  # type: ignore[no-any-return]


def _entries(found: Sequence[tuple[bytes, dict[bytes, bytes]]]) -> tuple[Entry, ...]:
    return tuple(Entry(cursor.decode(), next(iter(fields.values()), b"")) for cursor, fields in found)


def _trimmed(cursor: str, oldest: Sequence[tuple[bytes, Any]]) -> bool:
    """Entries after the cursor may be gone: the one that it names is. Nothing comes before the beginning."""
    if place(cursor) == place(BEGINNING):
        return False
    return not oldest or place(oldest[0][0].decode()) > place(cursor)
