"""The worker of the telemetry chain: a poll is complete when all that it led to is written, and never before."""

import asyncio
import json
import time
from collections.abc import Mapping
from types import SimpleNamespace

import numpy as np
import pytest
from telemetry_bench import Bench
from telemetry_made import BEGAN_MS, chain, polled, record, records

from ingest.health import StreamStalled, check_health
from ingest.telemetry.past import Past, parts_of
from ingest.telemetry.state_store import MemoryStates
from mesh.pipeline.plan import Level
from mesh.telemetry import names


def windows(bench):
    """Asset and time of each window that was written, and its features."""
    found = {}
    for _, value, _ in bench.features.records:
        row = json.loads(value)
        found[row["metadata"]["asset"], row["metadata"]["ts"]] = row["features"][0]
    return found


async def test_windows_late_and_refused_records_go_where_they_belong_and_the_position_moves() -> None:
    bench = await Bench().begin(0)
    bench.accept({0: (0, [*records("a", 0, 10), b"garbage", record("a", 2)])})
    await bench.settle()
    assert list(windows(bench)) == [("a", BEGAN_MS + at * 1_000) for at in (7, 8, 9)]
    assert bench.late.records == [
        (b"key", record("a", 2), [("trace", b"1"), ("hyperstream.place", "raw-0-11")])
    ]
    assert [(letter.offset, letter.error_class) for letter in bench.letters.letters] == [(10, "NotJson")]
    assert bench.alerts.written == [0]
    assert (bench.ledger.due(), bench.released) == ({0: 12}, 1)
    assert (bench.worker.answered, bench.worker.dead_lettered) == (11, 1)
    assert bench.counted(names.TELEMETRY_LATE) == 1
    assert bench.counted(names.TELEMETRY_ROWS) == 3


@pytest.mark.parametrize("away", ["features", "late", "letters", "alerts"])
async def test_the_position_waits_for_everything_that_a_record_led_to(away) -> None:
    bench = await Bench().begin(0)
    getattr(bench, away).available.clear()
    bench.accept({0: (0, [*records("a", 0, 10), b"garbage", record("a", 2)])})
    bench.accept({0: (12, records("b", 0, 2))})
    await bench.pause()
    assert not bench.ledger.due()
    assert bench.released < 2
    assert bench.worker.failure is None
    getattr(bench, away).available.set()
    await bench.settle()
    assert bench.ledger.due() == {0: 14}


async def test_what_fails_for_good_leaves_its_records_uncommitted_and_health_says_why() -> None:
    bench = await Bench().begin(0)
    bench.features.error = OSError("no disk")
    bench.accept({0: (0, records("a", 0, 10))})
    await bench.settle()
    bench.features.error = None
    bench.accept({0: (10, records("a", 10, 12))})
    await bench.settle()
    assert not bench.ledger.due()
    source = SimpleNamespace(failure=None, alive=True, last_poll=time.monotonic())
    with pytest.raises(StreamStalled, match="reading has failed: no disk"):
        check_health(source, bench.worker.failure, 60.0)


def test_health_tells_a_reader_that_has_ended_or_is_silent_from_one_that_waits() -> None:
    source = SimpleNamespace(failure=None, alive=True, last_poll=time.monotonic())
    check_health(source, None, 60.0)
    source.last_poll -= 61
    with pytest.raises(StreamStalled, match="nothing was polled for 61 s"):
        check_health(source, None, 60.0)
    source.alive = False
    with pytest.raises(StreamStalled, match="the polling thread has ended"):
        check_health(source, None, 60.0)
    source.failure = ValueError("no such group")
    with pytest.raises(StreamStalled, match="reading has failed: no such group"):
        check_health(source, None, 60.0)


async def test_once_the_state_is_wrong_nothing_is_built_on_it() -> None:
    bench = await Bench().begin(0)
    await bench.store.write(1, 5, {"a": b"\x00\x00\x00\x03not a state"})
    bench.worker.in_turn(lambda: bench.worker.begin(1, Past(5, written=True)))
    bench.accept({0: (0, records("a", 0, 10))})
    await bench.pause()
    assert isinstance(bench.worker.failure, ValueError)
    assert (bench.features.records, bench.released) == ([], 0)


async def test_draining_gives_up_what_is_in_flight() -> None:
    bench = await Bench().begin(0)
    bench.accept({0: (0, records("a", 0, 4))})
    await bench.settle()
    bench.features.available.clear()
    bench.accept({0: (4, records("a", 4, 10))})
    await bench.pause()
    await bench.worker.drain()
    assert bench.ledger.due() == {0: 4}
    assert bench.released == 2
    assert bench.worker.failure is None


async def test_a_poll_of_a_partition_that_has_moved_away_completes_nothing() -> None:
    bench = await Bench().begin(0, 1)
    bench.features.available.clear()
    bench.accept({0: (0, records("a", 0, 10)), 1: (0, records("b", 0, 10))})
    bench.accept({1: (10, records("b", 10, 12))})
    bench.ledger.revoke([1])
    bench.worker.in_turn(lambda: bench.worker.end([1]))
    bench.features.available.set()
    await bench.settle()
    assert bench.ledger.due() == {0: 10}
    assert len(bench.chain) == 1


async def test_another_reader_goes_on_from_the_state_that_was_saved() -> None:
    first = await Bench().begin(0)
    first.accept({0: (0, records("a", 0, 12))})
    await first.settle()
    await first.worker.save([0])
    assert first.snapshots.note(0) == "state:12:1"
    second = await Bench(store=first.store).begin(0, past=Past(12, written=True))
    assert second.alerts.state == first.alerts.state == {(0, "a"): 5}
    second.accept({0: (12, records("a", 12, 20))})
    await second.settle()
    whole = chain().compute(polled({0: (0, records("a", 0, 20))}), Level.FULL).windows
    written = windows(first) | windows(second)
    assert list(written) == [("a", time) for time in whole.time.tolist()]
    np.testing.assert_array_equal(list(written.values()), whole.features.reshape(len(whole), -1))


async def test_a_snapshot_holds_the_state_of_alerts_as_it_was_at_its_cut() -> None:
    bench = await Bench(every_s=0.0).begin(0)
    bench.alerts.available.clear()
    bench.accept({0: (0, records("a", 0, 10))})
    bench.accept({0: (10, records("a", 10, 15))})
    await bench.pause()
    assert (await bench.store.read(0)).assets == {}, "nothing is written before its records are done with"
    bench.alerts.available.set()
    await bench.settle()
    await bench.pause()
    kept = (await bench.store.read(0)).assets["a"]
    assert (kept.upto, parts_of(kept.state)[1]) == (10, b"3")
    bench.accept({0: (15, records("a", 15, 16))})
    await bench.settle()
    assert bench.counted(names.TELEMETRY_STATE_BYTES) >= len(kept.state)


async def test_what_is_not_done_with_is_not_saved() -> None:
    bench = await Bench().begin(0, 1)
    bench.accept({1: (0, records("b", 0, 3))})
    await bench.settle()
    bench.features.available.clear()
    bench.accept({0: (0, records("a", 0, 10))})
    await bench.pause()
    await bench.worker.save([0, 1])
    assert (await bench.store.read(0)).resume is None
    assert (await bench.store.read(1)).resume == 3
    assert bench.snapshots.note(0) == "state:0:0"


async def test_a_state_that_is_gone_is_counted_and_the_partition_begins_anew() -> None:
    bench = await Bench().begin(0, past=Past(40, written=True))
    assert bench.counted(names.TELEMETRY_STATE_LOST) == 1
    bench.accept({0: (40, records("a", 40, 48))})
    await bench.settle()
    assert list(windows(bench)) == [("a", BEGAN_MS + 47_000)]
    await bench.begin(1, past=Past(0, written=False))
    assert bench.counted(names.TELEMETRY_STATE_LOST) == 1


class Waking(MemoryStates):
    """While it writes partition 0, something goes on that waited."""

    def __init__(self) -> None:
        super().__init__()
        self.wake = asyncio.Event()

    async def write(self, partition: int, resume: int, states: Mapping[str, bytes]) -> None:
        await super().write(partition, resume, states)
        if partition == 0:
            self.wake.set()
            await asyncio.sleep(0.05)


async def test_no_state_is_saved_with_alerts_of_another_moment() -> None:
    store = Waking()
    bench = await Bench(store=store).begin(0, 1)
    bench.accept({0: (0, records("a", 0, 12))})
    await bench.settle()
    bench.features.available = store.wake = asyncio.Event()
    bench.accept({1: (0, records("b", 0, 12))})
    await bench.pause()
    await bench.worker.save([0, 1])
    assert store.wake.is_set()
    assert (await store.read(1)).resume is None, "its records were not done with when alerts were looked at"
    await bench.settle()
    await bench.worker.save([0, 1])
    assert (await store.read(1)).resume == 12


async def test_a_state_of_an_older_copy_is_told_and_used() -> None:
    bench = Bench()
    await bench.store.write(0, 12, {})
    await bench.begin(0, past=Past(40, written=True))
    assert bench.counted(names.TELEMETRY_STATE_LOST) == 1
    await bench.begin(0, past=Past(12, written=True))
    assert bench.counted(names.TELEMETRY_STATE_LOST) == 1


async def after_twelve() -> Bench:
    """A reader of the same store, once another has saved the state after twelve records."""
    first = await Bench().begin(0)
    first.accept({0: (0, records("a", 0, 12))})
    await first.settle()
    await first.worker.save([0])
    return Bench(store=first.store)


async def test_records_are_computed_again_from_where_somebody_has_set_the_group_back() -> None:
    second = await after_twelve()
    second.ledger.assign(0, 4)
    await second.worker.begin(0, None, 4)
    assert second.counted(names.TELEMETRY_STATE_LOST) == 1
    second.accept({0: (4, records("a", 4, 12))})
    await second.settle()
    assert list(windows(second)) == [("a", BEGAN_MS + 11_000)]


async def test_a_group_that_was_set_forward_goes_on_from_what_is_kept() -> None:
    second = await after_twelve()
    second.ledger.assign(0, 12)
    await second.worker.begin(0, None, 12)
    assert second.counted(names.TELEMETRY_STATE_LOST) == 0
    assert (await second.store.read(0)).resume == 12


async def test_a_topic_made_anew_leaves_nothing_of_the_old_one() -> None:
    bench = await Bench().begin(0)
    bench.accept({0: (0, records("a", 0, 12))})
    await bench.settle()
    await bench.worker.save([0])
    bench.accept({0: (0, records("b", 0, 3))})
    await bench.settle()
    assert (await bench.store.read(0)).resume is None
    await bench.worker.save([0])
    kept = await bench.store.read(0)
    assert (kept.resume, list(kept.assets)) == (3, ["b"])


async def test_the_level_follows_how_long_records_have_waited_and_goes_with_every_row() -> None:
    bench = await Bench().begin(0)
    bench.accept({0: (0, records("a", 0, 8))}, late_ms=4_000)
    await bench.settle()
    ((_, value, _),) = bench.features.records
    assert json.loads(value)["metadata"]["level"] == 2
    assert bench.alerts.decided[0][2] == Level.CHEAP
    bench.accept({0: (8, records("a", 8, 9))}, late_ms=700_000)
    await bench.settle()
    assert len(bench.features.records) == 2, "features are made at every level"
    assert len(bench.alerts.decided) == 1, "alerts are not"
