"""The log and the heartbeats in memory: the same promises as in Redis, for one process."""

import asyncio
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from typing import Final

from mesh.stores.predictions.beats import Beat, Heard
from mesh.stores.predictions.entry import BEGINNING, Entry, Slice, place

READ_ENTRIES: Final = 500
"""Entries of one read of the tail."""


class MemoryLog:
    """A `PredictionLog` and `LogTail` of at most `size` entries."""

    def __init__(self, size: int = 100_000, wait_s: float = 1.0) -> None:
        self._size, self._wait_s = size, wait_s
        self._entries: list[Entry] = []
        self._places: list[tuple[int, int]] = []
        self._grew = asyncio.Event()

    def add(self, document: bytes) -> str:
        """Append one entry; its cursor."""
        now = (time.time_ns() // 1_000_000, 0)
        last = self._places[-1] if self._places else (0, 0)
        at = now if now > last else (last[0], last[1] + 1)
        entry = Entry(f"{at[0]}-{at[1]}", document)
        self._entries.append(entry)
        self._places.append(at)
        if len(self._entries) > self._size:
            del self._entries[0], self._places[0]
        self._grew.set()
        self._grew = asyncio.Event()
        return entry.cursor

    async def newest(self) -> str:
        """As `PredictionLog.newest`."""
        return self._entries[-1].cursor if self._entries else BEGINNING

    async def after(self, cursor: str, limit: int, upto: str | None = None) -> Slice:
        """As `PredictionLog.after`."""
        first = bisect_right(self._places, place(cursor))
        last = len(self._places) if upto is None else bisect_right(self._places, place(upto))
        return Slice(tuple(self._entries[first : min(last, first + limit)]), self._trimmed(cursor))

    async def before(self, cursor: str | None, since: str, limit: int) -> Sequence[Entry]:
        """As `PredictionLog.before`."""
        last = len(self._places) if cursor is None else bisect_left(self._places, place(cursor))
        first = max(bisect_right(self._places, place(since)), last - limit)
        return self._entries[first:last][::-1] if first < last else []

    async def read(self, cursor: str) -> Slice:
        """As `LogTail.read`."""
        if bisect_right(self._places, place(cursor)) == len(self._places):
            try:
                async with asyncio.timeout(self._wait_s):
                    await self._grew.wait()
            except TimeoutError:
                return Slice(())
        return await self.after(cursor, READ_ENTRIES)

    def _trimmed(self, cursor: str) -> bool:
        return place(cursor) != place(BEGINNING) and (not self._places or self._places[0] > place(cursor))


class MemoryBeats:
    """A `BeatWriter` and `BeatReader`."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._beats: dict[str, tuple[float, Beat]] = {}

    async def beat(self, beat: Beat) -> None:
        """As `BeatWriter.beat`."""
        self._beats[beat.replica] = (self._clock(), beat)

    async def heard(self) -> Sequence[Heard]:
        """As `BeatReader.heard`."""
        now = self._clock()
        return [Heard(beat, at, now - at) for at, beat in self._beats.values()]
