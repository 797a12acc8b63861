"""Rows on their way from the stream to the queue: a Redis stream of bounded length, read by a group of routers.

The stream's processes may not reach the database, and must not wait for it. What waits longer than the stream is long is lost,
oldest first: people could not have looked at it either.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

import msgspec
from redis.exceptions import ResponseError

from mesh.review.values import Candidate
from mesh.stores.redis_client import bounded_client, store_guard

KEY: Final = "{hyperstream:review}:candidates"
GROUP: Final = "review"
KEPT: Final = 10_000
ANSWER_S: Final = 5.0
IDLE_MS: Final = 60_000
"""After so long another reader takes what one has not acknowledged."""

_encode: Final = msgspec.json.Encoder().encode
_decoder: Final = msgspec.json.Decoder(Candidate)

Ticket = str | bytes


class MemoryCandidates:
    """A feed in this process; past `kept` the oldest go."""

    def __init__(self, kept: int = KEPT) -> None:
        self._waiting: deque[tuple[Ticket, Candidate]] = deque(maxlen=kept)
        self._count = 0

    async def offer(self, candidates: Sequence[Candidate]) -> None:
        """As `CandidateSink.offer`."""
        for one in candidates:
            self._count += 1
            self._waiting.append((str(self._count), one))

    async def take(self, limit: int, wait_s: float) -> list[tuple[Ticket, Candidate]]:
        """As `CandidateSource.take`."""
        if not self._waiting:
            await asyncio.sleep(wait_s)
        return list(self._waiting)[:limit]

    async def done(self, tickets: Sequence[Ticket]) -> None:
        """As `CandidateSource.done`."""
        gone = set(tickets)
        self._waiting = deque(
            (pair for pair in self._waiting if pair[0] not in gone), maxlen=self._waiting.maxlen
        )


class RedisCandidates:
    """A sink and a source over one Redis; nothing connects before the first call."""

    def __init__(self, url: str, consumer: str = "", key: str = KEY, kept: int = KEPT) -> None:
        """`consumer` names this reader in the group; a mere writer needs none."""
        self._redis = bounded_client(url, answer_s=ANSWER_S)
        self._consumer, self._key, self._kept = consumer, key, kept

    async def offer(self, candidates: Sequence[Candidate]) -> None:
        """As `CandidateSink.offer`; one round trip."""
        async with _guarded(), self._redis.pipeline(transaction=False) as pipeline:
            for one in candidates:
                pipeline.xadd(self._key, {b"c": _encode(one)}, maxlen=self._kept, approximate=True)
            await pipeline.execute()

    async def take(self, limit: int, wait_s: float) -> list[tuple[Ticket, Candidate]]:
        """As `CandidateSource.take`: first what another reader left for a minute, then what is new."""
        async with _guarded():
            try:
                _, left, *_ = await self._redis.xautoclaim(
                    self._key, GROUP, self._consumer, IDLE_MS, count=limit
                )
                found = left or await self._new(limit, wait_s)
            except ResponseError as error:
                if "NOGROUP" not in str(error):
                    raise
                await self._begin()
                return []
        return await self._read(found)

    async def done(self, tickets: Sequence[Ticket]) -> None:
        """As `CandidateSource.done`."""
        if tickets:
            async with _guarded():
                await self._redis.xack(self._key, GROUP, *tickets)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._redis.aclose()

    async def _begin(self) -> None:
        try:
            await self._redis.xgroup_create(self._key, GROUP, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):  # that another reader was quicker
                raise

    async def _new(self, limit: int, wait_s: float) -> list[Any]:
        streams = await self._redis.xreadgroup(
            GROUP, self._consumer, {self._key: ">"}, count=limit, block=max(1, int(wait_s * 1000))
        )
        return list(streams[0][1]) if streams else []

    async def _read(self, found: Sequence[Any]) -> list[tuple[Ticket, Candidate]]:
        """What is no candidate, such as one of another version, is acknowledged and dropped."""
        read: list[tuple[Ticket, Candidate]] = []
        for ticket, fields in found:
            try:
                read.append((ticket, _decoder.decode((fields or {}).get(b"c", b""))))
            except msgspec.DecodeError:
                await self.done([ticket])
        return read


def _guarded() -> AbstractAsyncContextManager[None]:
    return store_guard("the review feed")
