"""The newest row of each entity in Redis: one string a row, written by a script that compares event times."""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Final, TypeVar

from redis.exceptions import NoScriptError, RedisError

from mesh.stores.errors import OnlineAway
from mesh.stores.online import newest_rows
from mesh.stores.online_codec import pack, unpack
from mesh.stores.redis_client import bounded_client
from mesh.stores.rows import FeatureBatch, OnlineRow
from mesh.stores.views import FeatureView

PREFIX: Final = "hyperstream:features"
TIMEOUT_S: Final = 2.0
_SLICE: Final = 2_000
"""Rows of one round trip."""

# Event times are exact in Lua's numbers up to the year 287396. One key a call, so that it runs on a Redis cluster.
_WRITE: Final = """
local old = redis.call('GETRANGE', KEYS[1], 0, 7)
if #old == 8 and struct.unpack('>i8', old) >= struct.unpack('>i8', ARGV[1]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""

Result = TypeVar("Result")


class RedisOnlineStore:
    """An `OnlineStore` on one Redis; nothing is connected before the first use. Belongs to one event loop."""

    def __init__(self, url: str, timeout_s: float = TIMEOUT_S) -> None:
        """`url` as in REDIS_URL; a call that takes longer than `timeout_s` has failed.

        Raises `InvalidConfig` for a URL that is none.
        """
        self._timeout_s = timeout_s
        self._redis = bounded_client(url, answer_s=timeout_s)
        self._digest = ""

    async def write(self, view: FeatureView, batch: FeatureBatch) -> int:
        """As `OnlineStore.write`; 2,000 rows a round trip."""
        rows = newest_rows(batch).tolist()
        taken = 0
        for begin in range(0, len(rows), _SLICE):
            taken += await self._bounded(self._write(view, batch, rows[begin : begin + _SLICE]))
        return taken

    async def read(self, view: FeatureView, entities: Sequence[str]) -> list[OnlineRow | None]:
        """As `OnlineStore.read`; one round trip. `OnlineAway` also where Redis holds something else there."""
        if not entities:
            return []
        found = await self._bounded(self._get([_key(view, entity) for entity in entities]))
        try:
            return [
                None if row is None else unpack(entity, view.name, row)
                for entity, row in zip(entities, found, strict=True)
            ]
        except ValueError as error:
            raise OnlineAway(f"what lies under {PREFIX}:{view.name}: {error}") from None

    async def close(self) -> None:
        """Let go of the connections."""
        await self._redis.aclose(close_connection_pool=True)

    async def _write(self, view: FeatureView, batch: FeatureBatch, rows: Sequence[int]) -> int:
        try:
            return await self._send(view, batch, rows)
        except NoScriptError:  # the first write, or Redis has restarted: what it took before stays as it is
            self._digest = await self._redis.script_load(_WRITE)
            return await self._send(view, batch, rows)

    async def _send(self, view: FeatureView, batch: FeatureBatch, rows: Sequence[int]) -> int:
        if not self._digest:
            self._digest = await self._redis.script_load(_WRITE)
        pipeline = self._redis.pipeline(transaction=False)
        events, created = batch.event_time.tolist(), batch.created_time.tolist()
        for row in rows:
            packed = pack(events[row], created[row], view.transform, batch.values[row])
            pipeline.evalsha(self._digest, 1, _key(view, batch.entities[row]), packed, view.ttl_ms)
        return sum(await pipeline.execute())

    async def _get(self, keys: Sequence[str]) -> list[bytes | None]:
        pipeline = self._redis.pipeline(transaction=False)
        for key in keys:
            pipeline.get(key)
        return list(await pipeline.execute())

    async def _bounded(self, call: Awaitable[Result]) -> Result:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await call
        except TimeoutError:
            raise OnlineAway(f"no answer within {self._timeout_s:g} s") from None
        except (RedisError, OSError) as error:
            raise OnlineAway(str(error) or type(error).__name__) from None


def _key(view: FeatureView, entity: str) -> str:
    return f"{PREFIX}:{view.name}:{entity}"
