import asyncio
import threading
import time

import numpy as np
import pytest

from mesh.errors import InvalidInput
from mesh.routing.types import Scored, Tensors
from mesh.wire.frames import DEADLINE, INTERNAL, INVALID_INPUT, OVERLOADED, Failure, Reply, Request
from serve.desk import Desk
from serve.pace import Pace
from tests.fakes.waiting import eventually

SLOW, QUICK = 1.0, 1e-6


class Echo:
    """Says what it is given, in which thread, after as long as it is told to take and once `gate` is open."""

    def __init__(self, seconds: float = 0.0, error: BaseException | None = None) -> None:
        self.seconds, self.error = seconds, error
        self.threads: list[str] = []
        self.deadlines: list[float | None] = []
        self.at_once = self.most_at_once = 0
        self.gate = threading.Event()
        self.gate.set()

    def score(self, tensors: Tensors, deadline: float | None) -> Scored:
        self.deadlines.append(deadline)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.threads.append(threading.current_thread().name)
        time.sleep(self.seconds)
        self.gate.wait(60)
        self.at_once -= 1
        if self.error:
            raise self.error
        return Scored(dict(tensors), None, "1")


def request(number: int = 1, rows: int = 1, time_left_ms: int = 0) -> Request:
    return Request(number, {"x": np.zeros((rows, 2), np.float32)}, rows, time_left_ms)


async def test_answers_with_the_scores_and_what_still_waits() -> None:
    desk = Desk("m", Echo(0.02), Pace(SLOW))
    first, second = await asyncio.gather(desk.answer(request(1, 3)), desk.answer(request(2, 5)))
    assert isinstance(first, Reply)
    assert (first.id, first.rows_waiting) == (1, 5)
    assert isinstance(second, Reply)
    assert second.scored.outputs["x"].shape == (5, 2)
    assert desk.rows_waiting == 0


async def test_a_slow_model_leaves_the_loop_free_and_scores_one_call_at_a_time() -> None:
    echo = Echo()
    echo.gate.clear()
    desk = Desk("m", echo, Pace(SLOW))
    calls = asyncio.gather(*(desk.answer(request(n)) for n in range(4)))
    await eventually(lambda: desk.busy_s > 0)  # the loop goes on while the model is at it
    echo.gate.set()
    await calls
    assert echo.most_at_once == 1
    assert all(name.startswith("score-m") for name in echo.threads)


async def test_a_quick_model_answers_on_the_loop_but_never_beside_the_thread() -> None:
    echo = Echo()
    desk = Desk("m", echo, Pace(QUICK))
    await desk.answer(request())
    assert echo.threads == [threading.current_thread().name]
    echo.seconds = 0.02
    large = asyncio.ensure_future(desk.answer(request(1, rows=1000)))
    await asyncio.sleep(0)
    await desk.answer(request(2))
    await large
    assert echo.threads[1].startswith("score-m")
    assert echo.threads[2].startswith("score-m")
    assert echo.most_at_once == 1


async def test_a_call_whose_time_ran_out_in_the_queue_is_not_scored() -> None:
    echo = Echo()
    echo.gate.clear()
    desk = Desk("m", echo, Pace(SLOW))
    calls = asyncio.gather(desk.answer(request(1)), desk.answer(request(2, time_left_ms=10)))
    await asyncio.sleep(0)
    await asyncio.sleep(0.02)
    echo.gate.set()
    _, late = await calls
    assert isinstance(late, Failure)
    assert (late.id, late.kind) == (2, DEADLINE)
    assert len(echo.threads) == 1


async def test_a_model_knows_until_when_somebody_waits() -> None:
    echo = Echo()
    desk = Desk("m", echo, Pace(SLOW))
    began = time.monotonic()
    await asyncio.gather(desk.answer(request(1)), desk.answer(request(2, time_left_ms=60_000)))
    assert echo.deadlines[0] is None
    assert began + 60 <= (echo.deadlines[1] or 0) <= time.monotonic() + 60


async def test_too_many_rows_are_refused_but_one_large_call_is_taken() -> None:
    desk = Desk("m", Echo(0.02), Pace(SLOW), max_queued_rows=10)
    large, refused = await asyncio.gather(desk.answer(request(1, rows=50)), desk.answer(request(2)))
    assert isinstance(large, Reply)
    assert isinstance(refused, Failure)
    assert refused.kind == OVERLOADED
    assert refused.retry_after_s > 0


async def test_errors_become_failures_and_the_desk_goes_on() -> None:
    echo = Echo(error=InvalidInput("x", "wrong width"))
    desk = Desk("m", echo, Pace(SLOW))
    invalid = await desk.answer(request())
    echo.error = RuntimeError("out of memory")
    broken = await desk.answer(request())
    echo.error = None
    assert isinstance(invalid, Failure)
    assert (invalid.kind, invalid.message) == (INVALID_INPUT, "x: wrong width")
    assert isinstance(broken, Failure)
    assert (broken.kind, broken.message) == (INTERNAL, "RuntimeError: out of memory")
    assert isinstance(await desk.answer(request()), Reply)


async def test_a_caller_who_leaves_disturbs_nobody() -> None:
    echo = Echo(0.05)
    desk = Desk("m", echo, Pace(QUICK))
    leaves = asyncio.ensure_future(desk.answer(request(1, rows=100)))
    await asyncio.sleep(0.01)
    leaves.cancel()
    await asyncio.gather(leaves, return_exceptions=True)
    assert isinstance(await desk.answer(request(2)), Reply)
    assert echo.most_at_once == 1
    assert desk.rows_waiting == 0


@pytest.mark.parametrize("pace", [SLOW, QUICK])
async def test_a_model_that_would_end_its_process_ends_its_call(pace) -> None:
    class Panic(BaseException):
        """As Rust's panics arrive in Python."""

    for error in (SystemExit(3), Panic("index out of bounds")):
        desk = Desk("m", Echo(error=error), Pace(pace))
        async with asyncio.timeout(20):
            answer = await desk.answer(request())
        assert isinstance(answer, Failure)
        assert answer.kind == INTERNAL
        assert desk.rows_waiting == 0
        desk.close()
