"""The desk of one model replica: calls queue here and are scored one at a time, or refused."""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol

from mesh.errors import DeadlineExceeded, MeshError, Overloaded
from mesh.routing.types import Scored, Tensors
from mesh.wire.errors import failure_of
from mesh.wire.frames import Failure, Reply, Request
from serve.pace import Pace

MAX_QUEUED_ROWS: Final = 65_536
"""Rows that may wait at a replica; a larger call is taken only while nothing else waits."""

_RETRY_AFTER_S = 0.5

Respond = Callable[[Reply | Failure], None]

logger = logging.getLogger("ray.serve")


class Scores(Protocol):
    """A model that scores rows; one call at a time."""

    def score(self, tensors: Tensors, deadline: float | None) -> Scored:
        """Raises `InvalidInput`, and `DeadlineExceeded` past `deadline` (`time.monotonic`).

        Rows that the model raises on are in `Scored.failed`.
        """
        ...


class Desk:
    """Answers calls in the order they come, in one thread of its own.

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
        self.compute_s = 0.0
        """Seconds spent on calls so far."""

    @property
    def busy_s(self) -> float:
        """How long the call that is being scored has been at it; 0 where none is."""
        began = self._began
        return 0.0 if began is None else time.monotonic() - began

    def take(self, request: Request, respond: Respond) -> None:
        """Give `respond` the reply, or why there is none: now, or later on the event loop. Never raises."""
        rows = request.rows
        if self.rows_waiting and self.rows_waiting + rows > self._max_queued_rows:
            reason = f"{self.rows_waiting} rows wait, the limit is {self._max_queued_rows}"
            respond(failure_of(request.id, Overloaded(self._model, reason, _RETRY_AFTER_S)))
            return
        deadline = time.monotonic() + request.time_left_ms / 1000 if request.time_left_ms else None
        self.rows_waiting += rows
        if not self._in_thread and self._pace.inline(rows):
            self._give(request, respond, self._score(request, deadline))
            return
        self._in_thread += 1
        self._thread.submit(self._in_own_thread, request, respond, deadline)

    async def answer(self, request: Request) -> Reply | Failure:
        """As `take`, for one that waits; leaving early disturbs nobody."""
        future: asyncio.Future[Reply | Failure] = self._loop.create_future()
        self.take(request, lambda answer: None if future.done() else future.set_result(answer))
        return await future

    def close(self) -> None:
        """Take no more calls; does not wait for the one in the thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _in_own_thread(self, request: Request, respond: Respond, deadline: float | None) -> None:
        answer = self._score(request, deadline)
        self._loop.call_soon_threadsafe(self._returned, request, respond, answer)

    def _returned(self, request: Request, respond: Respond, answer: Scored | Failure) -> None:
        self._in_thread -= 1
        self._give(request, respond, answer)

    def _give(self, request: Request, respond: Respond, answer: Scored | Failure) -> None:
        self.rows_waiting -= request.rows
        if isinstance(answer, Scored):
            respond(Reply(request.id, answer, self.rows_waiting))
        else:
            respond(answer)

    def _score(self, request: Request, deadline: float | None) -> Scored | Failure:
        began = time.monotonic()
        if deadline is not None and began >= deadline:
            reason = f"time ran out while {request.rows} row(s) waited for '{self._model}'"
            return failure_of(request.id, DeadlineExceeded(reason))
        self._began = began
        try:
            return self._scorer.score(request.tensors, deadline)
        except MeshError as error:
            return failure_of(request.id, error)
        except KeyboardInterrupt:
            raise
        # A model may raise anything, `SystemExit` or the panic of a library written in Rust, and the replica has to outlive it:
        # a call that never came back would be counted as waiting for ever.
        except BaseException as error:
            logger.exception("model '%s' failed on a call of %d rows", self._model, request.rows)
            return failure_of(request.id, error)
        finally:
            self._began = None
            took = time.monotonic() - began
            self.compute_s += took
            self._pace.observe(request.rows, took)
