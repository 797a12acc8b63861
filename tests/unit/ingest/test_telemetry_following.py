"""From the polling thread to the worker: where a partition is read from, and its state written in the time there is."""

import asyncio
import logging
from collections.abc import Mapping

import pytest
from telemetry_bench import Bench
from telemetry_made import records

from ingest.telemetry.following import StateFollower
from ingest.telemetry.past import Past, parts_of, past_of, with_alerts
from ingest.telemetry.state_store import MemoryStates, StoreAway


class AwayStates(MemoryStates):
    """A store whose writes do not come back in time, or are refused."""

    def __init__(self, *, hangs: bool) -> None:
        super().__init__()
        self._hangs = hangs

    async def write(self, partition: int, resume: int, states: Mapping[str, bytes]) -> None:
        if self._hangs:
            await asyncio.sleep(60)
        raise StoreAway("ConnectionError: gone")


def follower(bench: Bench) -> StateFollower:
    return StateFollower(asyncio.get_running_loop(), bench.worker, bench.snapshots)


@pytest.mark.parametrize("past", [Past(0, written=False), Past(1 << 40, written=True)])
def test_a_note_says_what_it_was_made_of(past) -> None:
    assert past_of(str(past)) == past


@pytest.mark.parametrize(
    "note", ["", "state:", "state:5", "state:-5:1", "state:5:2", "state:5:1 ", "other:5:1"]
)
def test_a_note_of_somebody_else_says_nothing(note) -> None:
    assert past_of(note) is None


def test_the_states_of_chain_and_alerts_travel_as_one() -> None:
    joined = with_alerts({"a": b"chain", "b": b"", "c": b"c"}, {"a": b"\x00alerts", "gone": b"x"})
    assert {name: parts_of(state) for name, state in joined.items()} == {
        "a": (b"chain", b"\x00alerts"),
        "b": (b"", b""),
        "c": (b"c", b""),
    }
    with pytest.raises(ValueError, match="a state of 3 bytes"):
        parts_of(b"abc")


@pytest.mark.parametrize(
    ("committed", "note", "begin"),
    [
        (40, "state:30:1", 30),
        (40, "state:40:1", 40),
        (40, "state:41:1", None),
        (40, "", None),
        (None, "state:30:1", None),
        (None, "", None),
    ],
)
async def test_reading_begins_where_the_state_ends_but_never_beyond_the_committed_offset(
    committed, note, begin
) -> None:
    bench = Bench()
    assert follower(bench).begin(0, committed, note) == begin
    await bench.pause()
    assert bench.snapshots.note(0) == ("" if begin is None else f"state:{begin}:0")
    assert bench.worker.failure is None


async def test_what_is_kept_of_a_partition_that_was_never_committed_is_of_another_stream() -> None:
    bench = Bench()
    await bench.store.write(0, 900, with_alerts({"a": b"old"}, {}))
    follower(bench).begin(0, None, "")
    await bench.pause()
    assert bench.worker.failure is None
    assert (await bench.store.read(0)).resume is None


async def test_a_partition_comes_and_goes_in_turn_with_its_polls() -> None:
    bench = await Bench().begin(0)
    following, deliver = follower(bench), asyncio.get_running_loop().call_soon_threadsafe
    deliver(bench.accept, {0: (0, records("a", 0, 10))})
    following.end([0])
    deliver(bench.ledger.assign, 0, 10)
    following.begin(0, 10, "")
    deliver(bench.accept, {0: (10, records("a", 10, 14))})
    await bench.pause()
    await bench.settle()
    assert len(bench.features.records) == 3, "the second life begins without the first one's readings"


async def test_the_state_is_written_before_a_partition_goes() -> None:
    bench = await Bench().begin(0)
    following = follower(bench)
    bench.accept({0: (0, records("a", 0, 10))})
    await bench.settle()
    await asyncio.to_thread(following.save, [0], 30.0)
    assert following.note(0) == "state:10:1"
    assert (await bench.store.read(0)).resume == 10


@pytest.mark.parametrize(
    ("hangs", "within_s", "reason"),
    [(True, 0.05, "no time was left"), (False, 30.0, "ConnectionError: gone")],
)
async def test_what_cannot_be_written_in_time_is_said_and_read_again(hangs, within_s, reason, caplog) -> None:
    bench = await Bench(store=AwayStates(hangs=hangs)).begin(0)
    bench.accept({0: (0, records("a", 0, 10))})
    await bench.settle()
    with caplog.at_level(logging.WARNING):
        await asyncio.to_thread(follower(bench).save, [0], within_s)
    assert f"the state of partitions [0] was not written: {reason}" in caplog.text
    assert follower(bench).note(0) == "state:0:0"
    assert bench.worker.failure is None
