"""Where the state of assets outlives its reader: by partition, each asset with the offset up to which it knows the stream.

States are a function of the stream alone, so that whoever knows more of it is right: a write of a reader that has lost its
partition changes nothing that its successor has written.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, Protocol

from redis.asyncio import Redis
from redis.exceptions import RedisError

from ingest.telemetry.chain import AssetState

TTL_S: Final = 7 * 86_400
"""State that nobody has written for so long is given up."""
_ASSETS_A_WRITE: Final = 50
_HEAD: Final = struct.Struct(">Q")
_WRITE: Final = """
for at = 2, #ARGV, 2 do
  local old = redis.call('HGET', KEYS[1], ARGV[at])
  if not old or struct.unpack('>I8', old) <= struct.unpack('>I8', ARGV[at + 1]) then
    redis.call('HSET', KEYS[1], ARGV[at], ARGV[at + 1])
  end
end
redis.call('EXPIRE', KEYS[1], ARGV[1])
"""
_REMOVE: Final = """
for at = 2, #ARGV do
  local old = redis.call('HGET', KEYS[1], ARGV[at])
  if old and struct.unpack('>I8', old) <= struct.unpack('>I8', ARGV[1]) then
    redis.call('HDEL', KEYS[1], ARGV[at])
  end
end
"""


class StoreAway(Exception):
    """The store does not answer, or says no; trying again can help."""


@dataclass(frozen=True, slots=True)
class Kept:
    """The state of a partition: its assets, and the offset from which everything must be read again (None: nothing is kept)."""

    resume: int | None = None
    assets: Mapping[str, AssetState] = field(default_factory=dict)


class StateStore(Protocol):
    """Keeps the state of partitions. Every call raises `StoreAway` while it cannot."""

    async def read(self, partition: int) -> Kept:
        """All of a partition."""
        ...

    async def write(self, partition: int, resume: int, states: Mapping[str, bytes]) -> None:
        """Assets as they are once every record before `resume` was taken; older writes than what is kept change nothing."""
        ...

    async def remove(self, partition: int, upto: int, assets: Sequence[str]) -> None:
        """Forget assets, but for those of which more is kept than what came before `upto`."""
        ...

    async def clear(self, partition: int) -> None:
        """Forget a partition."""
        ...


class RedisStates:
    """One hash a partition: a field an asset, written in pieces, and last the offset to resume at.

    A crash between two pieces leaves assets that know more than the offset says; they pass over what they know.
    """

    def __init__(self, client: Redis, name: str, digest: str) -> None:
        """`name` is of the topic and the group, `digest` of the layout: states of another layout are not found."""
        self._client, self._prefix = client, f"hyperstream:state:{name}:{digest}"
        self._write, self._remove = client.register_script(_WRITE), client.register_script(_REMOVE)

    async def read(self, partition: int) -> Kept:
        """See `StateStore`."""
        resume, assets = None, {}
        with _away():
            async for name, value in self._client.hscan_iter(self._key(partition), count=200):
                upto = int(_HEAD.unpack_from(value)[0])
                if name:
                    assets[name.decode()] = AssetState(upto, value[_HEAD.size :])
                else:
                    resume = upto
        return Kept(resume, assets)

    async def write(self, partition: int, resume: int, states: Mapping[str, bytes]) -> None:
        """See `StateStore`."""
        head = _HEAD.pack(resume)
        left = iter(states.items())
        while piece := list(islice(left, _ASSETS_A_WRITE)):
            await self._put(partition, [part for name, state in piece for part in (name, head + state)])
        await self._put(partition, ["", head])

    async def remove(self, partition: int, upto: int, assets: Sequence[str]) -> None:
        """See `StateStore`."""
        left = iter(assets)
        while piece := list(islice(left, _ASSETS_A_WRITE)):
            with _away():
                await self._remove(keys=[self._key(partition)], args=[_HEAD.pack(upto), *piece])

    async def clear(self, partition: int) -> None:
        """See `StateStore`."""
        with _away():
            await self._client.delete(self._key(partition))

    async def _put(self, partition: int, words: Sequence[str | bytes]) -> None:
        with _away():
            await self._write(keys=[self._key(partition)], args=[str(TTL_S), *words])

    def _key(self, partition: int) -> str:
        return f"{self._prefix}:{partition}"


@contextmanager
def _away() -> Iterator[None]:
    try:
        yield
    except (RedisError, OSError) as error:
        raise StoreAway(f"{type(error).__name__}: {error}") from error


class MemoryStates:
    """Keeps states in this process: for evaluation and tests."""

    def __init__(self) -> None:
        self._resume: dict[int, int] = {}
        self._assets: dict[int, dict[str, AssetState]] = {}

    async def read(self, partition: int) -> Kept:
        """See `StateStore`."""
        return Kept(self._resume.get(partition), dict(self._assets.get(partition, {})))

    async def write(self, partition: int, resume: int, states: Mapping[str, bytes]) -> None:
        """See `StateStore`."""
        kept = self._assets.setdefault(partition, {})
        for name, state in states.items():
            if name not in kept or kept[name].upto <= resume:
                kept[name] = AssetState(resume, state)
        self._resume[partition] = max(resume, self._resume.get(partition, resume))

    async def remove(self, partition: int, upto: int, assets: Sequence[str]) -> None:
        """See `StateStore`."""
        kept = self._assets.get(partition, {})
        for name in assets:
            if name in kept and kept[name].upto <= upto:
                del kept[name]

    async def clear(self, partition: int) -> None:
        """See `StateStore`."""
        self._resume.pop(partition, None)
        self._assets.pop(partition, None)
