"""The desk of one model replica: calls queue here and are scored one at a time; late ones are refused."""

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol

from mesh.errors import DeadlineExceeded, InvalidInput, MeshError, Overloaded
from mesh.routing.types import Scored, Tensors
from mesh.wire.frames import DEADLINE, INTERNAL, INVALID_INPUT, OVERLOADED, Failure, Reply, Request
from serve.pace import Pace

MAX_QUEUED_ROWS: Final = 65_536
"""Rows that may wait at a replica; a larger call is taken only while nothing else waits."""

_RETRY_AFTER_S = 0.5

logger = logging.getLogger("ray.serve")


class Scores(Protocol):
    """A model that scores rows; one call at a time."""

    def score(self, tensors: Tensors) -> Scored:
        """Raises `InvalidInput`; rows that the model raises on are in `Scored.failed`."""
        ...


class Desk:
    """Answers requests in the order they come, in one executor thread.

    A model that is quick (see `Pace`) answers on the event loop while the thread is idle: never both at once.
    """

    def __init__(
        self, model: str, scorer: Scores, pace: Pace, max_queued_rows: int = MAX_QUEUED_ROWS
    ) -> None:
        """Create it on the event loop that it is to live on."""
        self._model = model
        self._scorer = scorer
        self._pace = pace
        self._max_queued_rows = max_queued_rows
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"score-{model}")
        self._in_thread = 0
        self._began: float | None = None
        self.rows_waiting = 0

    @property
    def busy_s(self) -> float:
        """How long the call that is being scored has been at it; 0 where none is."""
        began = self._began
        return 0.0 if began is None else time.monotonic() - began

    async def answer(self, request: Request) -> Reply | Failure:
        """The reply, or why there is none: never raises but for cancellation."""
        rows = request.rows
        if self.rows_waiting and self.rows_waiting + rows > self._max_queued_rows:
            reason = f"{self.rows_waiting} rows wait, the limit is {self._max_queued_rows}"
            return failure_of(request.id, Overloaded(self._model, reason, _RETRY_AFTER_S))
        deadline = time.monotonic() + request.time_left_ms / 1000 if request.time_left_ms else None
        self.rows_waiting += rows
        try:
            scored = await self._score(request.tensors, rows, deadline)
        except MeshError as error:
            return failure_of(request.id, error)
        # A model may raise anything, and the replica has to outlive it.
        except Exception as error:
            logger.exception("model '%s' failed on a call of %d rows", self._model, rows)
            return Failure(request.id, INTERNAL, f"{type(error).__name__}: {error}")
        finally:
            self.rows_waiting -= rows
        return Reply(request.id, scored, self.rows_waiting)

    def close(self) -> None:
        """Take no more calls; does not wait for the one in the thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _score(self, tensors: Tensors, rows: int, deadline: float | None) -> Scored:
        if not self._in_thread and self._pace.inline(rows):
            return self._timed(tensors, rows, deadline)
        self._in_thread += 1
        call = self._loop.run_in_executor(self._thread, self._timed, tensors, rows, deadline)
        # The count follows the thread, not the caller, who may be cancelled while the model still works.
        call.add_done_callback(self._left_thread)
        return await asyncio.shield(call)

    def _left_thread(self, call: "asyncio.Future[Scored]") -> None:
        self._in_thread -= 1
        if not call.cancelled():
            call.exception()  # seen here too, in case nobody waits any more

    def _timed(self, tensors: Tensors, rows: int, deadline: float | None) -> Scored:
        self._began = began = time.monotonic()
        if deadline is not None and began >= deadline:
            self._began = None
            raise DeadlineExceeded(f"time ran out while {rows} row(s) waited for '{self._model}'")
        try:
            return self._scorer.score(tensors)
        finally:
            self._began = None
            self._pace.observe(rows, time.monotonic() - began)


def failure_of(call: int, error: MeshError) -> Failure:
    """How an error crosses the wire."""
    if isinstance(error, InvalidInput):
        return Failure(call, INVALID_INPUT, str(error))
    if isinstance(error, Overloaded):
        return Failure(call, OVERLOADED, error.reason, error.retry_after_s)
    if isinstance(error, DeadlineExceeded):
        return Failure(call, DEADLINE, str(error))
    return Failure(call, INTERNAL, str(error))
