"""Written state: cut after a poll, kept in hand until all that came before it is written, then sent to the store in pieces.

What is read again after a crash begins at the last cut that was written; Kafka keeps that offset beside the committed one.
"""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ingest.backoff import Backoff
from ingest.ledger import Ledger
from ingest.telemetry.chain import Computed
from ingest.telemetry.past import Past
from ingest.telemetry.state_store import Kept, StateStore, StoreAway

logger = logging.getLogger(__name__)

Dump = Callable[[int, Iterable[str]], Mapping[str, bytes]]


@dataclass(frozen=True, slots=True)
class Cut:
    """The state of a partition's changed assets once every record before `upto` was taken, and whom it has forgotten."""

    partition: int
    upto: int
    states: Mapping[str, bytes]
    forgotten: tuple[str, ...] = ()


class Snapshots:
    """Knows what has changed since the last cut. Lives on the event loop, but for `note`."""

    def __init__(self, store: StateStore, ledger: Ledger, every_s: float) -> None:
        self._store, self._ledger, self._every_s = store, ledger, every_s
        self._changed: dict[int, set[str]] = defaultdict(set)
        self._forgotten: dict[int, set[str]] = defaultdict(set)
        self._upto: dict[int, int] = {}
        self._resume: dict[int, int] = {}
        self._next = 0.0
        self._written: set[int] = set()
        self._in_hand: list[Cut] = []
        self._writing: asyncio.Task[None] | None = None
        self.written_bytes = 0

    async def begin(self, partition: int, past: Past | None) -> Kept:
        """A partition is ours now; what the store keeps of it, waited for as long as that takes."""
        self.end([partition])
        kept = await self._read(partition)
        if past is not None:
            self._resume[partition] = self._upto[partition] = past.resume
        if kept.resume is not None:
            self._written.add(partition)
        return kept

    async def _read(self, partition: int) -> Kept:
        backoff = Backoff(0.05, 2.0)
        while True:
            try:
                return await self._store.read(partition)
            except StoreAway as error:
                wait = backoff.delay()
                if wait > 1.0:
                    logger.warning("waiting for the state of partition %d: %s", partition, error)
                await asyncio.sleep(wait)

    async def begin_anew(self, partitions: Sequence[int]) -> None:
        """The topic was made anew: what the store keeps of these partitions is of another stream."""
        for partition in partitions:
            self.end([partition])
            await self._store.clear(partition)

    def end(self, partitions: Sequence[int]) -> None:
        """They are another's."""
        for partition in partitions:
            self._changed.pop(partition, None)
            self._forgotten.pop(partition, None)
            self._upto.pop(partition, None)
            self._resume.pop(partition, None)
            self._written.discard(partition)

    def note(self, partition: int) -> str:
        """What Kafka keeps beside the committed offset. Any thread."""
        resume = self._resume.get(partition)
        return "" if resume is None else str(Past(resume, partition in self._written))

    def took(self, computed: Computed) -> None:
        """A poll has changed the state."""
        for partition, assets in computed.touched.items():
            self._changed[partition] |= assets
            self._forgotten[partition] -= assets
        self.forgot(computed.forgotten)
        for partition, first in computed.since.items():
            self._resume.setdefault(partition, first)
        self._upto.update(computed.upto)

    def forgot(self, assets: Iterable[tuple[int, str]]) -> None:
        """These made room for others: what the store keeps of them would miss records."""
        for partition, asset in assets:
            self._changed[partition].discard(asset)
            self._forgotten[partition].add(asset)

    @property
    def due(self) -> bool:
        """It is time for the next cut, and the one before is written."""
        busy = self._writing is not None and not self._writing.done()
        return not self._in_hand and not busy and time.monotonic() >= self._next and bool(self._upto)

    def cut(self, dump: Dump, partitions: Iterable[int] | None = None) -> list[Cut]:
        """The state of what has changed, of all partitions or of these, right after a poll."""
        self._next = time.monotonic() + self._every_s
        chosen = [p for p in (self._upto if partitions is None else partitions) if p in self._upto]
        return [
            Cut(p, self._upto[p], dump(p, self._changed.pop(p, ())), tuple(self._forgotten.pop(p, ())))
            for p in chosen
        ]

    def write_later(self, cuts: Sequence[Cut]) -> None:
        """Write these once all records before them are done with, which `advance` looks for."""
        self._in_hand = list(cuts)

    def advance(self) -> None:
        """More records are done with."""
        if self._in_hand and not any(self._waits(cut) for cut in self._in_hand):
            ready, self._in_hand = [cut for cut in self._in_hand if self._is_ours(cut)], []
            self._writing = asyncio.get_running_loop().create_task(self._write_or_say(ready))

    async def write(self, cuts: Sequence[Cut]) -> None:
        """Write these now. Raises `StoreAway`: then what has changed counts as changed again."""
        for cut in cuts:
            if cut.partition not in self._resume:
                continue
            try:
                await self._store.write(cut.partition, cut.upto, cut.states)
                await self._store.remove(cut.partition, cut.forgotten)
            except StoreAway:
                self._changed[cut.partition] |= cut.states.keys()
                self._forgotten[cut.partition].update(cut.forgotten)
                raise
            self.written_bytes += sum(map(len, cut.states.values()))
            if cut.partition in self._resume:
                self._resume[cut.partition] = cut.upto
                self._written.add(cut.partition)

    async def close(self) -> None:
        """Write no more."""
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.gather(self._writing, return_exceptions=True)

    async def _write_or_say(self, cuts: Sequence[Cut]) -> None:
        try:
            await self.write(cuts)
        except StoreAway as error:
            logger.warning("the state could not be written, and is written again later: %s", error)

    def _is_ours(self, cut: Cut) -> bool:
        position = self._ledger.position(cut.partition)
        return position is not None and position >= cut.upto

    def _waits(self, cut: Cut) -> bool:
        position = self._ledger.position(cut.partition)
        return position is not None and position < cut.upto and cut.partition in self._resume
