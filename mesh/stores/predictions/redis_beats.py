"""Heartbeats in one Redis hash, each stamped with Redis' own clock, so that the clocks of hosts need not agree."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final

import msgspec

from mesh.stores.predictions.beats import Beat, Heard
from mesh.stores.redis_client import bounded_client, store_guard

TIMEOUT_S: Final = 2.0
KEPT_S: Final = 3_600

_BEAT: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for _, name in ipairs(redis.call('HKEYS', KEYS[1])) do
  local said = redis.call('HGET', KEYS[1], name)
  if tonumber(string.match(said, '^%d+') or '0') < now - ARGV[3] then redis.call('HDEL', KEYS[1], name) end
end
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', now) .. ' ' .. ARGV[2])
redis.call('PEXPIRE', KEYS[1], 24 * ARGV[3])
return 1
"""
"""Those who have been silent for an hour are forgotten when another beats; the last word of all stays for a day."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Beat).decode


class RedisBeats:
    """A `BeatWriter` and `BeatReader`; nothing connects before the first call."""

    def __init__(self, url: str, channel: str) -> None:
        """`url` as in REDIS_URL, `channel` as in ML_STREAM_REDIS_CHANNEL. `InvalidConfig` for a URL that is none."""
        self._redis = bounded_client(url, answer_s=TIMEOUT_S, connections=2)
        self._script = self._redis.register_script(_BEAT)
        self._key = f"{channel}:heartbeats"

    async def beat(self, beat: Beat) -> None:
        """As `BeatWriter.beat`."""
        async with _guarded():
            await self._script(keys=[self._key], args=[beat.replica, _encode(beat), KEPT_S * 1000])

    async def heard(self) -> Sequence[Heard]:
        """As `BeatReader.heard`."""
        async with _guarded(), self._redis.pipeline(transaction=True) as together:
            together.time()
            together.hgetall(self._key)
            (seconds, micros), found = await together.execute()
        now = seconds + micros / 1e6
        heard = (_heard(said, now) for said in found.values())
        return [one for one in heard if one is not None]

    async def close(self) -> None:
        """Let go of the connections."""
        await self._redis.aclose()


def _guarded() -> AbstractAsyncContextManager[None]:
    return store_guard("the store of heartbeats", TIMEOUT_S)


def _heard(said: bytes, now: float) -> Heard | None:
    """None for a word that another version of the mesh wrote."""
    at, _, document = said.partition(b" ")
    try:
        return Heard(_decode(document), int(at) / 1e3, max(0.0, now - int(at) / 1e3))
    except (msgspec.DecodeError, ValueError):
        return None
