"""Shadow calls: after the primary, bounded in rows and to one call at a time per model, dropped first."""

import asyncio
from collections import deque
from dataclasses import dataclass

from mesh.engine.batcher import Outcome
from mesh.engine.merge import join_tensors, shape_key, split_result
from mesh.engine.ports import Observer
from mesh.engine.replicas import Replicas
from mesh.routing.cascade import ShadowCall
from mesh.routing.facts import LabelRule
from mesh.routing.shadow import Comparison, compare
from mesh.routing.types import CallResult, Scored, Tensors


@dataclass(frozen=True, slots=True)
class _Waiting:
    tensors: Tensors
    rows: int
    call: ShadowCall


class ShadowLane:
    """The shadow calls of one model. A hung shadow fills its lane; what comes then is dropped and counted."""

    def __init__(
        self,
        model: str,
        replicas: Replicas,
        observer: Observer,
        *,
        max_rows: int,
        max_batch_rows: int,
        label: LabelRule | None,
    ) -> None:
        """At most `max_rows` wait; one call of at most `max_batch_rows` is out; `label` reads what is compared."""
        self._model = model
        self._replicas = replicas
        self._observer = observer
        self._max_rows = max_rows
        self._max_batch_rows = max_batch_rows
        self._label = label
        self._queue: deque[_Waiting] = deque()
        self._rows = 0
        self._out = False
        self._loop = asyncio.get_running_loop()

    def offer(self, call: ShadowCall, tensors: Tensors) -> None:
        """Take these rows if there is room, else drop them; compare at once what the cascade has already asked."""
        rows = len(call.rows)
        if call.outputs is not None:
            self._told(rows, compare(call.primary_outputs, call.outputs, self._label))
            return
        if self._rows + rows > self._max_rows:
            self._observer.shadowed(self._model, "dropped", rows, None)
            return
        self._queue.append(_Waiting(tensors, rows, call))
        self._rows += rows
        if not self._out:
            self._out = True
            self._loop.call_soon(self._next)  # after the answer that is being given

    def _next(self) -> None:
        batch: list[_Waiting] = []
        rows = 0
        while self._queue:
            head = self._queue[0]
            joins = not batch or (
                rows + head.rows <= self._max_batch_rows
                and shape_key(head.tensors) == shape_key(batch[0].tensors)
            )
            if not joins:
                break
            batch.append(self._queue.popleft())
            rows += head.rows
        if not batch:
            self._out = False
            return
        tensors = join_tensors([waiting.tensors for waiting in batch])
        self._replicas.send(tensors, rows, None, 0, lambda outcome: self._done(batch, rows, outcome))

    def _done(self, batch: list[_Waiting], rows: int, outcome: Outcome) -> None:
        self._rows -= rows
        if isinstance(outcome, Scored) and outcome.outputs:
            for waiting, scored in zip(batch, split_result(outcome, [w.rows for w in batch]), strict=True):
                self._compare(waiting, scored)
        else:
            self._observer.shadowed(self._model, "failed", rows, None)
        self._loop.call_soon(self._next)

    def _compare(self, waiting: _Waiting, scored: CallResult) -> None:
        if not isinstance(scored, Scored) or scored.failed:
            self._observer.shadowed(self._model, "failed", waiting.rows, None)
            return
        self._told(waiting.rows, compare(waiting.call.primary_outputs, scored.outputs, self._label))

    def _told(self, rows: int, comparison: Comparison) -> None:
        self._observer.shadowed(self._model, "compared", rows, comparison)
