"""The batcher sends at once while calls are free, joins what waits, and keeps callers out of each other's way."""

import asyncio
import time
from dataclasses import dataclass, field

import numpy as np
import pytest

from mesh.engine.batcher import Batcher, Done
from mesh.errors import InvalidInput
from mesh.routing.types import Scored, Tensors, Unreachable


@dataclass
class HeldCarrier:
    """A carrier whose calls return when the test says so."""

    slots: int = 1
    sent: list[tuple[Tensors, int, float | None, int, Done]] = field(default_factory=list)
    out: int = 0

    def free_calls(self) -> int:
        return self.slots - self.out

    def send(self, tensors: Tensors, rows: int, deadline: float | None, queued_rows: int, done: Done) -> None:
        self.out += 1
        self.sent.append((tensors, rows, deadline, queued_rows, done))

    def finish(self, call: int, outcome: object = None) -> None:
        tensors, _, _, _, done = self.sent[call]
        self.out -= 1
        done(outcome or Scored({"y": tensors["x"] * 2}, tensors["x"][:, 0].astype(np.float32), "1"))

    @property
    def rows(self) -> list[int]:
        return [rows for _, rows, *_ in self.sent]


class RefusingCarrier:
    """A carrier that answers while it is being asked, as an open breaker does."""

    def free_calls(self) -> int:
        return 1

    def send(self, tensors: Tensors, rows: int, deadline: float | None, queued_rows: int, done: Done) -> None:
        done(Unreachable("away", "the breaker is open"))


def rows_of(*values: float) -> Tensors:
    return {"x": np.array([[value] for value in values], np.float32)}


async def turn() -> None:
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def test_first_call_goes_at_once_and_the_rest_gather_until_it_returns():
    carrier = HeldCarrier()
    batcher = Batcher("m", carrier, 100, 1000)
    first = batcher.submit(rows_of(1), 1, None)
    await turn()
    later = [batcher.submit(rows_of(n), 1, None) for n in (2, 3, 4)]
    await turn()
    assert carrier.rows == [1]
    carrier.finish(0)
    assert carrier.rows == [1, 3]
    carrier.finish(1)
    results = [await future for future in (first, *later)]
    assert [r.outputs["y"].tolist() for r in results] == [[[2.0]], [[4.0]], [[6.0]], [[8.0]]]
    assert [r.confidence.tolist() for r in results] == [[1.0], [2.0], [3.0], [4.0]]
    assert batcher.pending_rows == 0


async def test_what_arrives_in_one_turn_goes_together():
    carrier = HeldCarrier(slots=4)
    batcher = Batcher("m", carrier, 100, 1000)
    futures = [batcher.submit(rows_of(n, n), 2, None) for n in range(3)]
    await turn()
    assert carrier.rows == [6]
    carrier.finish(0)
    assert [(await f).outputs["y"][:, 0].tolist() for f in futures] == [[0, 0], [2, 2], [4, 4]]


async def test_calls_of_other_shapes_are_not_joined_and_keep_their_order():
    carrier = HeldCarrier(slots=9)
    batcher = Batcher("m", carrier, 100, 1000)
    batcher.submit(rows_of(1), 1, None)
    batcher.submit({"x": np.zeros((1, 2), np.float32)}, 1, None)
    batcher.submit(rows_of(2), 1, None)
    await turn()
    assert [call[0]["x"].shape for call in carrier.sent] == [(1, 1), (1, 2), (1, 1)]


async def test_batches_keep_to_the_limit_but_a_large_caller_goes_alone():
    carrier = HeldCarrier(slots=9)
    batcher = Batcher("m", carrier, 4, 1000)
    for size in (3, 3, 7, 1, 1):
        batcher.submit({"x": np.zeros((size, 1), np.float32)}, size, None)
    await turn()
    assert carrier.rows == [3, 3, 7, 2]


async def test_a_caller_that_leaves_disturbs_nobody():
    carrier = HeldCarrier()
    batcher = Batcher("m", carrier, 100, 1000)
    futures = [batcher.submit(rows_of(n), 1, None) for n in range(4)]
    await turn()
    futures[1].cancel()  # in flight
    waiting = [batcher.submit(rows_of(n), 1, None) for n in (7, 8)]
    waiting[0].cancel()  # not yet sent
    carrier.finish(0)
    carrier.finish(1)
    assert carrier.rows == [4, 1]
    assert [(await f).outputs["y"].item() for f in (futures[0], futures[2], futures[3], waiting[1])] == [
        0,
        4,
        6,
        16,
    ]


async def test_failed_rows_reach_their_own_callers_only():
    carrier = HeldCarrier()
    batcher = Batcher("m", carrier, 100, 1000)
    futures = [batcher.submit(rows_of(n, n), 2, None) for n in range(3)]
    await turn()
    carrier.finish(0, Scored({"y": np.zeros((6, 1))}, None, "1", {3: "ValueError: bad"}))
    assert [dict((await f).failed) for f in futures] == [{}, {1: "ValueError: bad"}, {}]


async def test_an_unreachable_model_is_told_to_all_and_the_next_batch_still_goes():
    carrier = HeldCarrier()
    batcher = Batcher("m", carrier, 100, 1000)
    first = batcher.submit(rows_of(1), 1, None)
    await turn()
    second = batcher.submit(rows_of(2), 1, None)
    carrier.finish(0, Unreachable("away", "gone"))
    assert await first == Unreachable("away", "gone")
    carrier.finish(1)
    assert (await second).outputs["y"].item() == 4


async def test_refused_input_is_raised_to_the_callers_of_that_call():
    carrier = HeldCarrier()
    batcher = Batcher("m", carrier, 100, 1000)
    future = batcher.submit(rows_of(1), 1, None)
    await turn()
    carrier.finish(0, InvalidInput("x", "expected FP32 [N, 2], got FP32 [1, 1]"))
    with pytest.raises(InvalidInput, match="expected FP32"):
        await future


async def test_time_that_runs_out_while_waiting_or_in_flight_is_a_deadline():
    carrier = HeldCarrier()
    batcher = Batcher("m", carrier, 100, 1000)
    flying = batcher.submit(rows_of(1), 1, time.monotonic() + 0.02)
    batcher.kick()  # at once: on a busy machine its time would be over before the next turn of the loop
    waiting = batcher.submit(rows_of(2), 1, time.monotonic() + 0.02)
    patient = batcher.submit(rows_of(3), 1, None)
    assert (await flying).kind == "deadline"
    assert (await waiting).kind == "deadline"
    carrier.finish(0)  # late: dropped
    carrier.finish(1)
    assert carrier.rows == [1, 1]
    assert (await patient).outputs["y"].item() == 6


async def test_a_call_carries_the_latest_deadline_and_none_if_anyone_has_none():
    carrier = HeldCarrier(slots=9)
    batcher = Batcher("m", carrier, 100, 1000)
    now = time.monotonic()
    batcher.submit(rows_of(1), 1, now + 5)
    batcher.submit(rows_of(1), 1, now + 9)
    await turn()
    batcher.submit(rows_of(1), 1, now + 5)
    batcher.submit(rows_of(1), 1, None)
    await turn()
    assert [call[2] for call in carrier.sent] == [now + 9, None]


async def test_beyond_the_limit_callers_are_refused_early_but_one_large_batch_is_taken_alone():
    carrier = HeldCarrier(slots=0)
    batcher = Batcher("m", carrier, 100, 5)
    large = batcher.submit({"x": np.zeros((50, 1), np.float32)}, 50, None)
    refused = batcher.submit(rows_of(1), 1, None)
    assert (await refused).kind == "overloaded"
    assert not large.done()


async def test_the_depth_of_the_queue_travels_with_a_call():
    carrier = HeldCarrier()
    batcher = Batcher("m", carrier, 2, 1000)
    for _ in range(5):
        batcher.submit(rows_of(1), 1, None)
    await turn()
    assert carrier.sent[0][1:4:2] == (2, 3)


async def test_calls_that_come_back_while_they_are_sent_are_answered_however_many_wait():
    batcher = Batcher("m", RefusingCarrier(), 1, 10_000)
    futures = [batcher.submit(rows_of(1), 1, None) for _ in range(3_000)]
    await turn()
    assert all(future.done() for future in futures)
    assert batcher.pending_rows == 0


def wide(rows: int, megabytes: int) -> Tensors:
    return {"x": np.zeros((rows, megabytes << 20), np.uint8)}


async def test_rows_that_would_not_fit_into_one_call_go_in_several():
    carrier = HeldCarrier(slots=8)
    batcher = Batcher("m", carrier, 1000, 1000)
    calls = [batcher.submit(wide(1, 12), 1, None) for _ in range(5)]
    calls.append(batcher.submit(wide(4, 12), 4, None))
    await turn()
    assert carrier.rows == [2, 2, 1, 4]
    for call in range(4):
        carrier.finish(call)
    assert [len(result.outputs["y"]) for result in await asyncio.gather(*calls)] == [1, 1, 1, 1, 1, 4]


async def test_long_texts_are_not_joined_past_what_a_call_may_hold():
    carrier = HeldCarrier(slots=8)
    batcher = Batcher("m", carrier, 1000, 1000)
    text = np.empty((1, 1), object)
    text[0, 0] = b"a" * (12 << 20)
    for _ in range(3):
        batcher.submit({"x": text}, 1, None)
    await turn()
    assert carrier.rows == [2, 1]


async def test_what_no_call_can_carry_is_for_the_call_to_refuse():
    carrier = HeldCarrier(slots=8)
    batcher = Batcher("m", carrier, 1000, 1000)
    odd = {"x": np.array([[None]], object)}
    calls = [batcher.submit(odd, 1, None) for _ in range(2)]
    await turn()
    carrier.finish(0, InvalidInput("x", "holds NoneType"))
    for call in calls:
        with pytest.raises(InvalidInput):
            await call
