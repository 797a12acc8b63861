"""What processes see of a rollout, on its way to the controller: a Redis stream for each.

The cursor is the id of the last entry that was counted, kept with the counts in one value: nothing is counted twice, and only
what was trimmed unread is lost, which the entries' own numbers would not tell; so the stream is far longer than a controller's
absence of an hour.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import msgspec

from mesh.errors import StoreAway
from mesh.rollouts.plan import Plan
from mesh.rollouts.tally import Observations
from mesh.stores.rollouts.connection import PREFIX, connected, guarded

MAX_ENTRIES: Final = 20_000
PER_READ: Final = 200
"""Entries of one look: a second's worth of two hundred processes."""
_LIFE_S: Final = 7 * 86_400


class RedisFeed:
    """Writes observations, and gives them as `EvidenceFeed`."""

    def __init__(self, url: str, prefix: str = PREFIX, per_read: int = PER_READ) -> None:
        """Nothing connects before the first call. `InvalidConfig` for a URL that is none."""
        self._per_read = per_read
        self._redis = connected(url)
        self._prefix = prefix
        self._reads = msgspec.json.Decoder(Observations)

    async def write(self, plan: Plan, seen: Observations) -> None:
        """Append what was seen. Raises `StoreAway`; the caller has then still got it."""
        key = self._key(plan)
        async with guarded(), self._redis.pipeline(transaction=False) as pipeline:
            pipeline.xadd(key, {"seen": msgspec.json.encode(seen)}, maxlen=MAX_ENTRIES, approximate=True)
            pipeline.expire(key, _LIFE_S)
            await pipeline.execute()

    async def read(self, plan: Plan, cursor: str) -> tuple[Observations, str]:
        """As `EvidenceFeed.read`. At the rollout's beginning what an earlier one of this plan left is skipped."""
        key = self._key(plan)
        async with guarded():
            if not cursor:
                newest = await self._redis.xrevrange(key, count=1)
                return Observations(), newest[0][0].decode() if newest else "0-0"
            entries = await self._redis.xrange(key, min=f"({cursor}", max="+", count=self._per_read)
        seen = joined([self._decoded(fields) for _, fields in entries])
        if not entries:
            return seen, cursor
        last = entries[-1][0].decode()
        if len(entries) == self._per_read:  # there may be more: the id begins with when Redis took the entry
            seen = replace(seen, upto_ms=int(last.partition("-")[0]))
        return seen, last

    async def close(self) -> None:
        """Let go of the connections."""
        await self._redis.aclose()

    def _key(self, plan: Plan) -> str:
        return f"{self._prefix}:seen:{plan.name}:{plan.digest}"

    def _decoded(self, fields: Mapping[bytes, bytes]) -> Observations:
        try:
            return self._reads.decode(fields[b"seen"])
        except msgspec.DecodeError as error:
            raise StoreAway("the evidence of rollouts", f"an entry is damaged: {error}") from error


def joined(seen: list[Observations]) -> Observations:
    """Several as one."""
    total = Observations()
    for one in seen:
        total = total.plus(one)
    return total
