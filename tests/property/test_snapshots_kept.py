"""Whatever happens between a poll and the writing of its state, a reader that dies at any moment loses no window."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from chain_log import PARTITIONS, RECORDS, Key, Log, assert_same, chain, log, poll, undisturbed, windows
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.ledger import Ledger
from ingest.record import Polled
from ingest.telemetry.past import past_of
from ingest.telemetry.snapshots import Cut, Snapshots
from ingest.telemetry.state_store import Kept, MemoryStates, StoreAway
from mesh.pipeline.plan import Level

STEPS = st.one_of(
    st.tuples(st.just("poll"), st.integers(0, 25), st.integers(0, 25)),
    st.tuples(st.just("finish"), st.integers(0, 3)),
    st.tuples(st.just("commit")),
    st.tuples(st.just("store"), st.sampled_from([(), (), (0,), (1,), PARTITIONS])),
    st.tuples(st.just("move"), st.sampled_from(PARTITIONS), st.booleans()),
)


class Unsteady:
    """A store that may be away for some partitions, and lets others work between two pieces."""

    def __init__(self) -> None:
        self.kept = MemoryStates()
        self.away: Sequence[int] = ()

    async def read(self, partition: int) -> Kept:
        return await self.kept.read(partition)

    async def write(self, partition: int, resume: int, states: Mapping[str, bytes]) -> None:
        for name, state in states.items():
            await self._asked(partition)
            await self.kept.write(partition, resume, {name: state})
        await self._asked(partition)
        await self.kept.write(partition, resume, {})

    async def remove(self, partition: int, upto: int, assets: Sequence[str]) -> None:
        await self._asked(partition)
        await self.kept.remove(partition, upto, assets)

    async def clear(self, partition: int) -> None:
        await self.kept.clear(partition)

    async def _asked(self, partition: int) -> None:
        await asyncio.sleep(0)
        if partition in self.away:
            raise StoreAway(f"partition {partition}")


@dataclass(frozen=True)
class Pending:
    """A poll that is computed and not finished: its windows are not written yet."""

    polled: Polled
    cuts: Sequence[Cut]
    found: Mapping[Key, np.ndarray]


class Reader:
    """What a reader does with polls, a step at a time; `committed` and `notes` are what Kafka keeps."""

    def __init__(self, records: Log, store: Unsteady) -> None:
        self.records, self.store = records, store
        self.found: dict[Key, np.ndarray] = {}
        self.committed: dict[int, int] = {}
        self.notes: dict[int, str] = {}
        self._fresh()

    def _fresh(self) -> None:
        self.chain, self.ledger = chain(), Ledger(1_000)
        self.snapshots = Snapshots(self.store, self.ledger, 0.0)
        self.at: dict[int, int] = {}
        self.pending: list[Pending] = []

    async def begin(self, partition: int) -> None:
        committed = self.committed.get(partition)
        past = past_of(self.notes.get(partition, ""))
        if past is not None and (committed is None or past.resume > committed):
            past = None
        begin = committed if past is None else past.resume
        self.ledger.assign(partition, begin)
        if committed is None:
            await self.snapshots.begin_anew([partition])
        kept = await self.snapshots.begin(partition, past)
        self.snapshots.forgot(self.chain.begin(partition, kept.assets, 0 if past is None else past.resume))
        self.at[partition] = begin or 0

    async def poll(self, *counts: int) -> None:
        ends = {p: min(RECORDS, self.at[p] + count) for p, count in zip(PARTITIONS, counts, strict=True)}
        made = poll(self.records, {p: (self.at[p], end) for p, end in ends.items()})
        if not len(made):
            return
        opened = [
            self.ledger.open(span.partition, span.first, span.last, span.records) for span in made.spans
        ]
        polled = Polled(
            made.topic,
            made.values,
            made.partitions,
            made.offsets,
            made.messages,
            tuple(each.span for each in opened if each is not None),
            made.received,
            made.received_at,
        )
        self.at |= ends
        computed = self.chain.compute(polled, Level.FULL)
        assert not computed.anew
        self.snapshots.took(computed)
        cuts = self.snapshots.cut(self.chain.dump) if self.snapshots.due else []
        self.pending.append(Pending(polled, cuts, windows(computed, polled)))

    async def finish(self, which: int) -> None:
        if not self.pending:
            return
        done = self.pending.pop(which % len(self.pending))
        for key, values in done.found.items():
            np.testing.assert_array_equal(self.found.setdefault(key, values), values, err_msg=str(key))
        if done.cuts:
            self.snapshots.write_later(done.cuts)
        self.ledger.complete(done.polled.spans)
        self.snapshots.advance()
        await asyncio.sleep(0)

    async def commit(self, partitions: Sequence[int] = PARTITIONS) -> None:
        for partition, position in self.ledger.due(partitions).items():
            self.committed[partition], self.notes[partition] = position, self.snapshots.note(partition)

    async def move(self, partition: int, in_order: bool) -> None:
        """The partition goes and comes back; in order, what is in flight has been finished first."""
        while in_order and self.pending:
            await self.finish(0)
        await self.snapshots.recall([partition])
        cuts = self.snapshots.cut_of(self.chain.dump, [partition])
        try:
            await self.snapshots.write(cuts)
        except StoreAway:
            assert partition in self.store.away
        await self.commit([partition])
        self.ledger.revoke([partition])
        self.snapshots.end([partition])
        self.chain.end(partition)
        await self.begin(partition)

    async def die(self) -> None:
        """What was in flight, in memory and on its way to the store is gone; another reader takes over."""
        await self.snapshots.close()
        self._fresh()
        for partition in PARTITIONS:
            await self.begin(partition)


async def told(seed: int, steps: Sequence[tuple[object, ...]]) -> Reader:
    store = Unsteady()
    reader = Reader(log(seed, turn=20), store)
    for partition in PARTITIONS:
        await reader.begin(partition)
    for name, *words in steps:
        if name == "store":
            (store.away,) = words
        else:
            await getattr(reader, str(name))(*words)
    await reader.die()
    store.away = ()
    return reader


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 50), st.lists(STEPS, max_size=40))
def test_a_reader_that_dies_at_any_moment_loses_no_window(seed, steps):
    async def run() -> Reader:
        reader = await told(seed, steps)
        await reader.poll(RECORDS, RECORDS)
        await reader.finish(0)
        await reader.commit()
        return reader

    reader = asyncio.run(run())
    assert_same(reader.found, undisturbed(reader.records))
    assert reader.committed == dict.fromkeys(PARTITIONS, RECORDS)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 50), st.lists(STEPS, max_size=20))
def test_once_the_store_is_back_it_holds_what_the_reader_knows(seed, steps):
    """However often it was away: nothing has to be read again."""

    async def run() -> tuple[Reader, str, Mapping[str, bytes]]:
        reader = await told(seed, steps)
        await reader.poll(RECORDS, RECORDS)
        await reader.finish(0)
        await reader.snapshots.recall(PARTITIONS)
        states = reader.chain.dump(0, ["pump-0", "pump-1"])
        return reader, reader.snapshots.note(0), states

    reader, note, states = asyncio.run(run())
    kept = asyncio.run(reader.store.read(0))
    assert note == f"state:{RECORDS}:1"
    assert {name: asset.state for name, asset in kept.assets.items()} == states
