"""When a cut is due, waits, is written or taken back, and what Kafka is told of it."""

import asyncio
import logging
from collections.abc import Mapping

import pytest
from telemetry_made import chain, polled, records

from ingest.ledger import Ledger
from ingest.record import Polled
from ingest.telemetry.past import Past
from ingest.telemetry.snapshots import Snapshots
from ingest.telemetry.state_store import Kept, MemoryStates, StoreAway
from mesh.pipeline.plan import Level
from tests.fakes.waiting import turns


class AwayStates(MemoryStates):
    """A store that is away while `away` is set, for every call or for one partition."""

    def __init__(self) -> None:
        super().__init__()
        self.away: int | bool = False
        self.mistaken = False

    async def read(self, partition: int) -> Kept:
        self._asked(partition)
        return await super().read(partition)

    async def write(self, partition: int, resume: int, states: Mapping[str, bytes]) -> None:
        self._asked(partition)
        await super().write(partition, resume, states)

    async def clear(self, partition: int) -> None:
        self._asked(partition)
        await super().clear(partition)

    def _asked(self, partition: int) -> None:
        if self.mistaken:
            raise RuntimeError("a mistake of the client's own")
        if self.away is True or (self.away is not False and self.away == partition):
            raise StoreAway(f"partition {partition} is away")


class Stream:
    """A chain and its snapshots over partitions 0 and 1."""

    def __init__(self, every_s: float = 0.0) -> None:
        self.store, self.ledger, self.chain = AwayStates(), Ledger(100), chain()
        self.snapshots = Snapshots(self.store, self.ledger, every_s)
        self.at = {0: 0, 1: 0}
        for partition in self.at:
            self.ledger.assign(partition, 0)

    def take(self, asset: str, partition: int, count: int = 3) -> Polled:
        """The next records of a partition, computed and not done with."""
        first = self.at[partition]
        self.at[partition] += count
        made = polled({partition: (first, records(asset, first, first + count))}, self.ledger)
        self.snapshots.took(self.chain.compute(made, Level.FULL))
        return made

    async def done(self, made: Polled) -> None:
        self.ledger.complete(made.spans)
        self.snapshots.advance()
        await turns(30)
        await asyncio.sleep(0.001)

    async def kept(self, partition: int) -> dict[str, int]:
        return {name: asset.upto for name, asset in (await self.store.read(partition)).assets.items()}


async def test_a_cut_is_written_when_everything_before_it_is_done_with_and_not_earlier() -> None:
    stream = Stream()
    first, second = stream.take("a", 0), stream.take("b", 1)
    stream.snapshots.write_later(stream.snapshots.cut(stream.chain.dump))
    assert stream.snapshots.note(0) == "state:0:0"
    await stream.done(second)
    assert await stream.kept(1) == {}
    await stream.done(first)
    assert (await stream.kept(0), await stream.kept(1)) == ({"a": 3}, {"b": 3})
    assert (stream.snapshots.note(0), stream.snapshots.note(1)) == ("state:3:1", "state:3:1")


async def test_a_cut_holds_what_has_changed_since_the_last_one() -> None:
    stream = Stream()
    for asset in ("a", "b"):
        made = stream.take(asset, 0)
        stream.snapshots.write_later(stream.snapshots.cut(stream.chain.dump))
        await stream.done(made)
    assert await stream.kept(0) == {"a": 3, "b": 6}
    (cut, *_) = stream.snapshots.cut(stream.chain.dump)
    assert (cut.states, cut.forgotten, cut.upto) == ({}, (), 6)


async def test_no_cut_is_due_before_its_time_nor_before_the_last_one_is_written() -> None:
    stream = Stream()
    assert not stream.snapshots.due, "nothing was taken yet"
    made = stream.take("a", 0)
    assert stream.snapshots.due
    cuts = stream.snapshots.cut(stream.chain.dump)
    assert not stream.snapshots.due, "while models are waited for"
    stream.snapshots.write_later(cuts)
    assert not stream.snapshots.due, "while it waits for records before it"
    await stream.done(made)
    assert stream.snapshots.due
    slow = Stream(every_s=60.0)
    made = slow.take("a", 0)
    slow.snapshots.write_later(slow.snapshots.cut(slow.chain.dump))
    await slow.done(made)
    assert not slow.snapshots.due


async def test_what_a_store_that_was_away_did_not_take_is_written_with_the_next_cut(caplog) -> None:
    stream = Stream()
    made = [stream.take("a", 0), stream.take("b", 1)]
    stream.snapshots.write_later(stream.snapshots.cut(stream.chain.dump))
    stream.store.away = 0
    with caplog.at_level(logging.WARNING):
        for each in made:
            await stream.done(each)
    assert "the state could not be written, and is written again later: partition 0 is away" in caplog.text
    stream.store.away = False
    last = stream.take("c", 1)
    stream.snapshots.write_later(stream.snapshots.cut(stream.chain.dump))
    await stream.done(last)
    assert await stream.kept(0) == {"a": 3}
    assert await stream.kept(1) == {"b": 6, "c": 6}, "partition 1 was not asked for while 0 was away"


async def test_whatever_keeps_a_cut_from_being_written_its_assets_are_in_the_next(caplog) -> None:
    stream = Stream()
    made = stream.take("a", 0)
    stream.snapshots.write_later(stream.snapshots.cut(stream.chain.dump))
    stream.store.mistaken = True
    await stream.done(made)
    assert "a mistake of the client's own" in caplog.text
    stream.store.mistaken = False
    last = stream.take("c", 0)
    stream.snapshots.write_later(stream.snapshots.cut(stream.chain.dump))
    await stream.done(last)
    assert await stream.kept(0) == {"a": 6, "c": 6}


async def test_a_partition_that_moves_away_takes_its_cut_with_it_and_holds_up_no_other() -> None:
    stream = Stream()
    stream.take("a", 0)
    made = stream.take("b", 1)
    stream.snapshots.write_later(stream.snapshots.cut(stream.chain.dump))
    stream.ledger.revoke([0])
    stream.snapshots.end([0])
    await stream.done(made)
    assert (await stream.kept(0), await stream.kept(1)) == ({}, {"b": 3})
    assert stream.snapshots.note(0) == ""


@pytest.mark.parametrize("out", [True, False])
async def test_what_waits_in_a_cut_is_saved_when_its_partition_goes(out) -> None:
    """Whether models are still waited for or another partition's records are: partition 0 itself is done with."""
    stream = Stream()
    made = stream.take("a", 0)
    stream.take("b", 1)
    cuts = stream.snapshots.cut(stream.chain.dump)
    if not out:
        stream.snapshots.write_later(cuts)
    await stream.done(made)
    await stream.snapshots.recall([0])
    await stream.snapshots.write(stream.snapshots.cut_of(stream.chain.dump, [0]))
    assert await stream.kept(0) == {"a": 3}
    stream.snapshots.write_later(cuts)
    assert stream.snapshots.note(0) == "state:3:1"


async def test_a_forgotten_asset_leaves_the_store_with_the_cut_unless_it_came_back() -> None:
    stream = Stream()
    made = [stream.take("a", 0), stream.take("b", 0)]
    stream.snapshots.write_later(stream.snapshots.cut(stream.chain.dump))
    for each in made:
        await stream.done(each)
    stream.snapshots.forgot([(0, "a"), (0, "b")])
    assert await stream.kept(0) == {"a": 6, "b": 6}
    back = stream.take("b", 0)
    cuts = stream.snapshots.cut(stream.chain.dump)
    assert next(cut.forgotten for cut in cuts if cut.partition == 0) == ("a",)
    stream.snapshots.write_later(cuts)
    assert await stream.kept(0) == {"a": 6, "b": 6}
    await stream.done(back)
    assert await stream.kept(0) == {"b": 9}


async def test_who_could_not_leave_while_the_store_was_away_leaves_with_the_next_cut_unless_back_by_then() -> (
    None
):
    stream = Stream()

    async def cut_after(*assets: str) -> None:
        made = [stream.take(asset, 0) for asset in assets]
        stream.snapshots.write_later(stream.snapshots.cut(stream.chain.dump))
        for each in made:
            await stream.done(each)

    await cut_after("a", "b")
    stream.snapshots.forgot([(0, "a"), (0, "b")])
    stream.store.away = True
    await cut_after("c")
    stream.store.away = False
    await cut_after("b")
    assert await stream.kept(0) == {"b": 12, "c": 12}


async def test_a_store_that_is_away_is_waited_for_as_a_partition_comes_and_as_its_topic_is_made_anew() -> (
    None
):
    stream = Stream()
    await stream.store.write(0, 7, {"a": b"a"})
    for call in (stream.snapshots.begin(0, Past(7, written=True)), stream.snapshots.begin_anew([0])):
        stream.store.away = True
        waiting = asyncio.create_task(call)
        await asyncio.sleep(0.01)
        assert not waiting.done()
        stream.store.away = False
        await asyncio.wait_for(waiting, 20)
    assert await stream.store.read(0) == Kept()
    assert stream.snapshots.note(0) == ""


async def test_a_note_says_where_the_state_ends_and_whether_any_was_written() -> None:
    stream = Stream()
    await stream.snapshots.begin(0, Past(5, written=True))
    assert stream.snapshots.note(0) == "state:5:0", "there is none in the store"
    await stream.store.write(0, 5, {})
    await stream.snapshots.begin(0, Past(5, written=True))
    assert stream.snapshots.note(0) == "state:5:1"
    assert stream.snapshots.note(1) == ""


async def test_the_cut_of_a_topic_that_was_made_anew_is_not_written() -> None:
    stream = Stream()
    made = stream.take("a", 0, 50)
    other = stream.take("b", 1)
    stream.snapshots.write_later(stream.snapshots.cut(stream.chain.dump))
    anew = polled({0: (0, records("c", 0, 3))}, stream.ledger)
    assert made.spans[0].abandoned
    computed = stream.chain.compute(anew, Level.FULL)
    assert computed.anew == [0]
    await stream.snapshots.begin_anew(computed.anew)
    stream.snapshots.took(computed)
    for each in (anew, other):
        await stream.done(each)
    assert await stream.kept(0) == {}
    assert await stream.kept(1) == {"b": 3}
