"""Written state: cut after a poll, kept in hand until all that came before it is written, then sent to the store in pieces.

What is read again after a crash begins at the last cut that was written; Kafka keeps that offset beside the committed one.
"""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from ingest.backoff import Backoff
from ingest.ledger import Ledger
from ingest.telemetry.chain import Computed
from ingest.telemetry.past import Past
from ingest.telemetry.state_store import Kept, StateStore, StoreAway

Result = TypeVar("Result")

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
        self._out: dict[int, Cut] = {}
        self._in_hand: list[Cut] = []
        self._writing: asyncio.Task[None] | None = None
        self.written_bytes = 0

    async def begin(self, partition: int, past: Past | None) -> Kept:
        """A partition is ours now; what the store keeps of it, waited for as long as that takes."""
        self.end([partition])
        await self._idle()
        kept = await self._patiently(partition, partial(self._store.read, partition))
        if past is not None:
            self._resume[partition] = self._upto[partition] = past.resume
        if kept.resume is not None:
            self._written.add(partition)
        return kept

    async def begin_anew(self, partitions: Sequence[int]) -> None:
        """What the store keeps of these partitions is of another stream: forget it, for as long as that takes.

        Their topic was made anew.
        """
        self.end(partitions)
        await self._idle()
        for partition in partitions:
            await self._patiently(partition, partial(self._store.clear, partition))

    def end(self, partitions: Sequence[int]) -> None:
        """They are another's."""
        self._taken_back(partitions)
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
        before = self._out or self._in_hand or self._busy
        return not before and time.monotonic() >= self._next and bool(self._upto)

    def cut(self, dump: Dump) -> list[Cut]:
        """The state of what has changed, right after a poll. No other is due until it is given to `write_later`."""
        self._next = time.monotonic() + self._every_s
        cuts = self._cut(dump, list(self._upto))
        self._out = {cut.partition: cut for cut in cuts}
        return cuts

    def cut_of(self, dump: Dump, partitions: Iterable[int]) -> list[Cut]:
        """The same of these partitions alone, after `recall`; to be written at once."""
        return self._cut(dump, [partition for partition in partitions if partition in self._upto])

    def write_later(self, cuts: Sequence[Cut]) -> None:
        """Write these once all records before them are done with, which `advance` looks for."""
        for cut in cuts:
            out = self._out.get(cut.partition)
            if out is not None and out.upto == cut.upto:  # else it was taken back meanwhile
                del self._out[cut.partition]
                self._in_hand.append(cut)

    def advance(self) -> None:
        """More records are done with."""
        self._in_hand = [cut for cut in self._in_hand if self._stands(cut)]
        if self._in_hand and not self._busy and all(map(self._passed, self._in_hand)):
            ready, self._in_hand = self._in_hand, []
            self._writing = asyncio.get_running_loop().create_task(self._write_or_say(ready))

    async def recall(self, partitions: Sequence[int]) -> None:
        """These partitions are about to be cut by themselves: what is being written is waited for, what waits is taken back."""
        await self._idle()
        self._changed_again(self._taken_back(partitions))

    def passed(self, cuts: Sequence[Cut]) -> list[Cut]:
        """Those of these whose records are done with; what the others hold counts as changed again."""
        ready = [cut for cut in cuts if self._stands(cut) and self._passed(cut)]
        self._changed_again([cut for cut in cuts if cut not in ready])
        return ready

    async def write(self, cuts: Sequence[Cut]) -> None:
        """Write those of these whose records are done with. What is not written counts as changed again.

        Raises:
            StoreAway: some are not written.
        """
        left = list(cuts)
        try:
            while left:
                if self._stands(left[0]) and self._passed(left[0]):
                    await self._write_one(left[0])
                else:
                    self._changed_again(left[:1])
                del left[0]
        except Exception:  # whatever it is: what is not written must be in the next cut, or a crash loses it
            self._changed_again(left)
            raise

    async def close(self) -> None:
        """Write no more."""
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.gather(self._writing, return_exceptions=True)

    async def _patiently(self, partition: int, ask: Callable[[], Awaitable[Result]]) -> Result:
        """Ask the store for as long as it is away."""
        backoff = Backoff(0.05, 2.0)
        while True:
            try:
                return await ask()
            except StoreAway as error:
                wait = backoff.delay()
                if wait > 1.0:
                    logger.warning("waiting for the state of partition %d: %s", partition, error)
                await asyncio.sleep(wait)

    def _cut(self, dump: Dump, partitions: Sequence[int]) -> list[Cut]:
        return [
            Cut(p, self._upto[p], dump(p, self._changed.pop(p, ())), tuple(self._forgotten.pop(p, ())))
            for p in partitions
        ]

    async def _write_or_say(self, cuts: Sequence[Cut]) -> None:
        try:
            await self.write(cuts)
        except StoreAway as error:
            logger.warning("the state could not be written, and is written again later: %s", error)
        except Exception:  # nobody waits for this task
            logger.exception("the state could not be written, and is written again later")

    async def _write_one(self, cut: Cut) -> None:
        await self._store.write(cut.partition, cut.upto, cut.states)
        await self._store.remove(cut.partition, cut.upto, cut.forgotten)
        self.written_bytes += sum(map(len, cut.states.values()))
        if self._stands(cut):
            self._resume[cut.partition] = cut.upto
            self._written.add(cut.partition)

    def _taken_back(self, partitions: Sequence[int]) -> list[Cut]:
        """What was cut of these partitions and not written yet; it will not be."""
        out = [cut for partition in partitions if (cut := self._out.pop(partition, None))]
        waits = [cut for cut in self._in_hand if cut.partition in partitions]
        self._in_hand = [cut for cut in self._in_hand if cut.partition not in partitions]
        return out + waits

    def _changed_again(self, cuts: Sequence[Cut]) -> None:
        """These were not written; what has happened since goes before what they say."""
        for cut in filter(self._stands, cuts):
            changed, forgotten = self._changed[cut.partition], self._forgotten[cut.partition]
            again = cut.states.keys() - forgotten
            forgotten |= set(cut.forgotten) - changed
            changed |= again

    @property
    def _busy(self) -> bool:
        return self._writing is not None and not self._writing.done()

    async def _idle(self) -> None:
        if self._writing is not None:
            await asyncio.wait([self._writing])

    def _stands(self, cut: Cut) -> bool:
        """Its partition is ours, and no other stream's: we have taken every record that it knows of."""
        ours = self._ledger.position(cut.partition) is not None
        return ours and cut.upto <= self._upto.get(cut.partition, -1)

    def _passed(self, cut: Cut) -> bool:
        """Every record before it is done with."""
        position = self._ledger.position(cut.partition)
        return position is not None and position >= cut.upto
