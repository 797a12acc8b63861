"""The book of rollouts, and their evidence, in Redis.

A write is one script that compares (state, generation), or that the endpoint is free, and sets.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from mesh.errors import NotFound, StoreAway
from mesh.rollouts.record import Evidence
from mesh.rollouts.states import Rollout
from mesh.stores.rollouts.connection import PREFIX, connected, guarded

_ANY_ENDED: Final = "ended"
_WRITE: Final = """
local known = redis.call('HMGET', KEYS[1], 'state', 'generation', 'over')
if ARGV[1] == 'ended' then
  if known[1] and known[3] ~= '1' then return 0 end
  local holder = redis.call('HGET', KEYS[3], ARGV[9])
  if holder and holder ~= ARGV[8] then return 0 end
elseif known[1] ~= ARGV[1] or known[2] ~= ARGV[2] then
  return 0
end
redis.call('HSET', KEYS[1], 'state', ARGV[3], 'generation', ARGV[4], 'over', ARGV[5], 'json', ARGV[6])
redis.call('ZADD', KEYS[2], ARGV[7], ARGV[8])
if ARGV[5] ~= '1' then
  redis.call('HSETNX', KEYS[3], ARGV[9], ARGV[8])
elseif redis.call('HGET', KEYS[3], ARGV[9]) == ARGV[8] then
  redis.call('HDEL', KEYS[3], ARGV[9])
end
return 1
"""
"""KEYS: rollout, index, the names of the rollouts that are under way by endpoint.

ARGV: expected state and generation, or 'ended'; the new state, generation, over, JSON, created, name, endpoint.
"""


class RedisRollouts:
    """As `RolloutBook` and `EvidenceBook`. Nothing connects before the first call."""

    def __init__(self, url: str, prefix: str = PREFIX) -> None:
        """`prefix` must hold a hash tag in braces where Redis is a cluster. `InvalidConfig` for a URL that is none."""
        self._redis = connected(url)
        self._prefix = prefix
        self._write = self._redis.register_script(_WRITE)
        self._reads = msgspec.json.Decoder(Rollout)
        self._reads_evidence = msgspec.json.Decoder(Evidence)

    async def all(self) -> Sequence[Rollout]:
        """As `RolloutBook.all`."""
        async with guarded():
            names = await self._redis.zrevrange(f"{self._prefix}:index", 0, -1)
            if not names:
                return ()
            async with self._redis.pipeline(transaction=False) as pipeline:
                for name in names:
                    pipeline.hget(self._key(name.decode()), "json")
                found = await pipeline.execute()
        return tuple(self._decoded(text) for text in found if text is not None)

    async def get(self, name: str) -> Rollout:
        """As `RolloutBook.get`."""
        async with guarded():
            text = await self._redis.hget(self._key(name), "json")
        if text is None:
            known = ", ".join(one.name for one in await self.all())
            raise NotFound(f"no rollout '{name[:80]}' was started; there are: {known or 'none'}")
        return self._decoded(text)

    async def write(self, rollout: Rollout, before: Rollout | None) -> bool:
        """As `RolloutBook.write`."""
        expected = (_ANY_ENDED, "") if before is None else (before.state, str(before.generation))
        words = [
            *expected, rollout.state, rollout.generation, int(rollout.over), msgspec.json.encode(rollout),
            rollout.created_ms, rollout.name, rollout.plan.endpoint,
        ]  # fmt: skip
        keys = [self._key(rollout.name), f"{self._prefix}:index", f"{self._prefix}:endpoints"]
        async with guarded():
            return bool(await self._write(keys=keys, args=words))

    async def evidence(self, rollout: Rollout) -> Evidence:
        """As `EvidenceBook.evidence`."""
        async with guarded():
            text = await self._redis.get(self._evidence_key(rollout))
        if text is None:
            return Evidence()
        try:
            return self._reads_evidence.decode(text)
        except msgspec.DecodeError as error:
            raise StoreAway(
                "the book of rollouts", f"the evidence of '{rollout.name}' is damaged: {error}"
            ) from error

    async def keep(self, rollout: Rollout, evidence: Evidence) -> None:
        """As `EvidenceBook.keep`; kept for 90 days after the last look."""
        async with guarded():
            await self._redis.set(self._evidence_key(rollout), msgspec.json.encode(evidence), ex=90 * 86_400)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._redis.aclose()

    def _key(self, name: str) -> str:
        return f"{self._prefix}:rollout:{name}"

    def _evidence_key(self, rollout: Rollout) -> str:
        return f"{self._prefix}:evidence:{rollout.name}:{rollout.created_ms}"

    def _decoded(self, text: bytes) -> Rollout:
        try:
            return self._reads.decode(text)
        except msgspec.DecodeError as error:
            raise StoreAway("the book of rollouts", f"an entry is damaged: {error}") from error
