"""The log in Redis: a stream that ingest appends to and trims, one field an entry."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

from mesh.stores.predictions.entry import BEGINNING, Entry, Slice, place
from mesh.stores.redis_client import bounded_client, store_guard

ANSWER_S: Final = 5.0
BLOCK_MS: Final = 1_000
READ_ENTRIES: Final = 500
"""Entries of one read of the tail: about two milliseconds of work."""


class RedisLog:
    """A `PredictionLog` and `LogTail`. Nothing connects before the first call; a lost connection is made again."""

    def __init__(self, url: str, channel: str) -> None:
        """`url` as in REDIS_URL, `channel` as in ML_STREAM_REDIS_CHANNEL. `InvalidConfig` for a URL that is none."""
        self._redis = bounded_client(url, answer_s=ANSWER_S)
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
        """As `PredictionLog.before`. Redis refuses a range that ends before the beginning, which holds nothing."""
        if cursor is not None and place(cursor) == place(BEGINNING):
            return ()
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


def guarded() -> AbstractAsyncContextManager[None]:
    """See `store_guard`; a read of the tail may wait."""
    return store_guard("the log of predictions", ANSWER_S + BLOCK_MS / 1e3)


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
