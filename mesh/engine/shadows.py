"""Shadow calls: after the primary, bounded in rows and to one call at a time per model, dropped first."""

import asyncio
import time
from collections import deque
from dataclasses import dataclass

import numpy as np

from mesh.engine.batcher import Outcome
from mesh.engine.compared import Offer, compared
from mesh.engine.merge import join_tensors, joinable_rows, shape_key, split_result, take_rows
from mesh.engine.ports import Observer, ShadowOutcome
from mesh.engine.replicas import Replicas
from mesh.routing.shadow import compare
from mesh.routing.types import CallResult, Scored, Tensors


@dataclass(frozen=True, slots=True)
class _Waiting:
    tensors: Tensors
    rows: int
    offer: Offer


class ShadowLane:
    """The shadow calls of one model. A hung shadow fills its lane; what comes then is dropped and counted."""

    def __init__(
        self, model: str, replicas: Replicas, observer: Observer, *, max_rows: int, max_batch_rows: int
    ) -> None:
        """At most `max_rows` wait; one call of at most `max_batch_rows` is out."""
        self._model = model
        self._replicas = replicas
        self._observer = observer
        self._max_rows = max_rows
        self._max_batch_rows = max_batch_rows
        self._queue: deque[_Waiting] = deque()
        self._rows = 0
        self._out = False
        self._loop = asyncio.get_running_loop()

    def offer(self, offer: Offer, tensors: Tensors) -> None:
        """Take these rows if there is room, else drop them; compare at once what the cascade has already asked."""
        rows = len(offer.call.rows)
        if offer.call.outputs is not None:
            self._told(offer, offer.call.outputs, "", offer.shadow_seconds)
            return
        if self._rows + rows > self._max_rows:
            self._missed(offer, "dropped", rows)
            return
        self._queue.append(_Waiting(tensors, rows, offer))
        self._rows += rows
        if not self._out:
            self._out = True
            self._loop.call_soon(self._next)  # after the answer that is being given

    def _next(self) -> None:
        batch: list[_Waiting] = []
        rows, most = 0, self._max_batch_rows
        while self._queue:
            head = self._queue[0]
            joins = not batch or (
                rows + head.rows <= most and shape_key(head.tensors) == shape_key(batch[0].tensors)
            )
            if not joins:
                break
            batch.append(self._queue.popleft())
            rows += head.rows
            if len(batch) == 1 and self._queue:
                most = min(most, joinable_rows(head.tensors, rows))
        if not batch:
            self._out = False
            return
        tensors = join_tensors([waiting.tensors for waiting in batch])
        asked = time.monotonic()
        self._replicas.send(tensors, rows, None, 0, lambda outcome: self._done(batch, rows, asked, outcome))

    def _done(self, batch: list[_Waiting], rows: int, asked: float, outcome: Outcome) -> None:
        self._rows -= rows
        seconds = time.monotonic() - asked
        if isinstance(outcome, Scored) and outcome.outputs:
            for waiting, scored in zip(batch, split_result(outcome, [w.rows for w in batch]), strict=True):
                self._compare(waiting, scored, seconds)
        else:
            for waiting in batch:
                self._missed(waiting.offer, "failed", waiting.rows)
        self._loop.call_soon(self._next)

    def _compare(self, waiting: _Waiting, scored: CallResult, seconds: float) -> None:
        if not isinstance(scored, Scored):
            self._missed(waiting.offer, "failed", waiting.rows)
        elif scored.failed:
            self._compare_rest(waiting, scored, seconds)
        else:
            self._told(waiting.offer, scored.outputs, scored.version, seconds)

    def _compare_rest(self, waiting: _Waiting, scored: Scored, seconds: float) -> None:
        """Rows that failed, failed alone: what they came with is evidence all the same."""
        good = [row for row in range(waiting.rows) if row not in scored.failed]
        self._missed(waiting.offer, "failed", waiting.rows - len(good))
        if good:
            outputs = take_rows(scored.outputs, np.array(good), waiting.rows)
            self._told(waiting.offer.only(good), outputs, scored.version, seconds)

    def _told(self, offer: Offer, outputs: Tensors, version: str, seconds: float | None) -> None:
        facts = offer.shadow_facts
        found = compare(offer.call.primary_outputs, outputs, facts.label if facts else None)
        self._observer.shadowed(
            self._model, "compared", found.rows, compared(offer, outputs, version, seconds, found)
        )

    def _missed(self, offer: Offer, outcome: ShadowOutcome, rows: int) -> None:
        self._observer.shadowed(self._model, outcome, rows, offer.key)
