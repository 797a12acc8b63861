"""A drain-on-free batcher: rows go out at once while calls are free, else they gather until one returns.

No timer decides when a batch is full. Under light load a row waits for nothing; under heavy load a batch is what
arrived during the calls before it. (The idea is group commit: DeWitt et al., SIGMOD 1984.)
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from mesh.engine.merge import ShapeKey, join_tensors, joinable_rows, shape_key, split_result
from mesh.errors import MeshError
from mesh.routing.types import CallResult, Tensors, Unreachable

Outcome = CallResult | MeshError
Done = Callable[[Outcome], None]


class Carrier(Protocol):
    """Takes one call to a replica."""

    def free_calls(self) -> int:
        """How many calls may go out now."""
        ...

    def send(self, tensors: Tensors, rows: int, deadline: float | None, queued_rows: int, done: Done) -> None:
        """Start one call; `done` is called exactly once, on the loop, within a bounded time."""
        ...


class _Waiter:
    """One caller's rows until they are answered."""

    __slots__ = ("came", "deadline", "future", "key", "rows", "tensors", "timer")

    def __init__(
        self, tensors: Tensors, rows: int, deadline: float | None, future: asyncio.Future[CallResult]
    ) -> None:
        self.tensors = tensors
        self.rows = rows
        self.deadline = deadline
        self.future = future
        self.key: ShapeKey = shape_key(tensors)
        self.timer: asyncio.TimerHandle | None = None
        self.came = time.monotonic()


class Batcher:
    """Joins the calls of many callers to one model. Lives on one event loop."""

    def __init__(self, model: str, carrier: Carrier, max_rows: int, max_pending_rows: int) -> None:
        """Batches of at most `max_rows` (a single larger call goes alone); at most `max_pending_rows` wait."""
        self._model = model
        self._carrier = carrier
        self._max_rows = max_rows
        self._max_pending_rows = max_pending_rows
        self._waiting: deque[_Waiter] = deque()
        self._loop = asyncio.get_running_loop()
        self._scheduled = False
        self._sending = False
        self.pending_rows = 0
        self.queued_s = 0.0
        """Seconds that callers have waited for a free call, added up over all `queued_callers`."""
        self.queued_callers = 0

    def submit(self, tensors: Tensors, rows: int, deadline: float | None) -> asyncio.Future[CallResult]:
        """Ask for these rows to be scored.

        The future always gets a result within the carrier's bound, or by `deadline` (`time.monotonic` seconds).
        Cancelling it drops this caller's rows and disturbs nobody else's.
        """
        future: asyncio.Future[CallResult] = self._loop.create_future()
        if self.pending_rows and self.pending_rows + rows > self._max_pending_rows:
            future.set_result(
                Unreachable("overloaded", f"{self.pending_rows} rows wait for '{self._model}'", 1.0)
            )
            return future
        waiter = _Waiter(tensors, rows, deadline, future)
        if deadline is not None:
            waiter.timer = self._loop.call_later(deadline - time.monotonic(), self._expire, waiter)
        self._waiting.append(waiter)
        self.pending_rows += rows
        # At the end of this turn of the loop, so that what arrived together goes together
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._turn)
        return future

    def kick(self) -> None:
        """Calls may have become free: send what waits."""
        if self._sending:  # a call came back while it was being sent: the loop below goes on, one deep
            return
        self._sending = True
        try:
            while self._waiting and self._carrier.free_calls() > 0:
                batch = self._gather()
                if batch:
                    self._send(batch)
        finally:
            self._sending = False

    def _turn(self) -> None:
        self._scheduled = False
        self.kick()

    def _gather(self) -> list[_Waiter]:
        """The oldest waiter and those behind it that can join it; callers that left or ran out of time are dropped."""
        batch: list[_Waiter] = []
        rows, most = 0, self._max_rows
        while self._waiting:
            waiter = self._waiting[0]
            if waiter.future.done():
                self._drop(self._waiting.popleft())
                continue
            if batch and (rows + waiter.rows > most or waiter.key != batch[0].key):
                break
            self._waiting.popleft()
            self.pending_rows -= waiter.rows
            rows += waiter.rows
            batch.append(waiter)
            if len(batch) == 1 and self._waiting:
                most = min(most, joinable_rows(waiter.tensors, rows))
        return batch

    def _send(self, batch: list[_Waiter]) -> None:
        now = time.monotonic()
        self.queued_callers += len(batch)
        self.queued_s += sum([now - waiter.came for waiter in batch])
        deadlines = [waiter.deadline for waiter in batch]
        latest = None if None in deadlines else max(d for d in deadlines if d is not None)
        if len(batch) == 1:
            tensors, rows = batch[0].tensors, batch[0].rows
        else:
            tensors = join_tensors([waiter.tensors for waiter in batch])
            rows = sum([waiter.rows for waiter in batch])
        self._carrier.send(
            tensors, rows, latest, self.pending_rows, lambda outcome: self._done(batch, outcome)
        )

    def _done(self, batch: list[_Waiter], outcome: Outcome) -> None:
        if isinstance(outcome, MeshError):
            for waiter in batch:
                self._settle(waiter)
                if not waiter.future.done():
                    waiter.future.set_exception(outcome)
        else:
            for waiter, result in zip(batch, split_result(outcome, [w.rows for w in batch]), strict=True):
                self._settle(waiter)
                if not waiter.future.done():
                    waiter.future.set_result(result)
        self.kick()

    def _expire(self, waiter: _Waiter) -> None:
        if not waiter.future.done():
            waiter.future.set_result(
                Unreachable("deadline", f"'{self._model}' had not answered when time ran out")
            )

    def _drop(self, waiter: _Waiter) -> None:
        self.pending_rows -= waiter.rows
        self._settle(waiter)

    @staticmethod
    def _settle(waiter: _Waiter) -> None:
        if waiter.timer is not None:
            waiter.timer.cancel()
