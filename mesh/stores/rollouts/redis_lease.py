"""Who controls rollouts: a key with a short life in Redis.

A lease in Redis alone would not be safe: a process that was stopped for a while may believe that it still holds one. It keeps
two controllers from working side by side; what makes it safe is that every write compares (state, generation) and every
proposal of rules their version.
"""

from typing import Final

from mesh.stores.rollouts.connection import PREFIX, connected, guarded

LIFE_S: Final = 4.0
"""Longer than a few looks; what a rollback may wait for when its controller dies."""
_HOLD: Final = """
if redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  return 1
end
return redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) and 1 or 0
"""
_RELEASE: Final = (
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"
)


class RedisLease:
    """As `Lease`."""

    def __init__(self, url: str, owner: str, life_s: float = LIFE_S, prefix: str = PREFIX) -> None:
        """`owner` is this process's own name."""
        self._redis = connected(url)
        self._owner, self._life_ms, self._key = owner, int(life_s * 1000), f"{prefix}:lease"
        self._hold = self._redis.register_script(_HOLD)
        self._release = self._redis.register_script(_RELEASE)

    async def hold(self) -> bool:
        """As `Lease.hold`."""
        async with guarded():
            return bool(await self._hold(keys=[self._key], args=[self._owner, self._life_ms]))

    async def release(self) -> None:
        """As `Lease.release`."""
        async with guarded():
            await self._release(keys=[self._key], args=[self._owner])

    async def close(self) -> None:
        """Let go of the connections."""
        await self._redis.aclose()
