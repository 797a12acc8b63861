"""What an engine tells, as metrics."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final

import numpy as np

from mesh.engine.compared import Compared, ShadowKey
from mesh.engine.engine import Engine
from mesh.engine.ports import CallOutcome, Queue, ShadowOutcome
from mesh.routing.types import Answer, Origin
from mesh.shadows.tally import ShadowTally
from mesh.telemetry import names
from mesh.telemetry.metric import Gauge
from mesh.telemetry.recorder import Recorder
from mesh.telemetry.snapshot import LabelValues

_BREAKER_LEVEL: Final = {"closed": 0, "half_open": 1, "open": 2}
_EMPTY: Final = Queue(0, 0.0, 0, 0, 0)


class EngineGauges:
    """Reads an engine once a second, so that what changes with every row costs nothing for each.

    What the engine no longer has says nothing any more: the breaker of a model that is gone is not open.
    """

    def __init__(self, recorder: Recorder, engine: Engine) -> None:
        self._recorder, self._engine = recorder, engine
        self._before: dict[str, Queue] = {}
        self._told: set[tuple[Gauge, LabelValues]] = set()

    def read(self) -> None:
        """What is so now: rows that wait, the state of each model's breaker, its queue and its calls."""
        queues = self._engine.queues()
        for model, queue in queues.items():
            self._count(model, queue)
        self._before = queues
        told = {(metric, labels): value for metric, labels, value in self._now(queues)}
        for metric, labels in self._told - told.keys():
            self._recorder.unset(metric, labels)
        for (metric, labels), value in told.items():
            self._recorder.set(metric, value, labels)
        self._told = set(told)

    def _count(self, model: str, queue: Queue) -> None:
        before = self._before.get(model, _EMPTY)
        if queue.queued_callers < before.queued_callers:
            before = _EMPTY  # another policy made another queue, which counts from nothing
        waited = max(0.0, queue.queued_s - before.queued_s)
        self._recorder.count(names.MODEL_QUEUE_SECONDS, waited, (model,))
        self._recorder.count(
            names.MODEL_QUEUED_CALLERS, queue.queued_callers - before.queued_callers, (model,)
        )

    def _now(self, queues: Mapping[str, Queue]) -> Iterator[tuple[Gauge, LabelValues, float]]:
        for endpoint, rows in self._engine.pending_rows.items():
            yield names.PENDING_ROWS, (endpoint,), rows
        for model, state in self._engine.breaker_states().items():
            yield names.BREAKER_STATE, (model,), _BREAKER_LEVEL[state]
        for model, queue in queues.items():
            yield names.MODEL_WAITING_ROWS, (model,), queue.waiting_rows
            yield names.MODEL_SLOTS, (model, "out"), queue.calls_out
            yield names.MODEL_SLOTS, (model, "free"), max(0, queue.slots - queue.calls_out)


class Metering:
    """An engine's observer that records; runs on the engine's loop, with a recorder of that thread."""

    def __init__(self, recorder: Recorder, tally: ShadowTally | None = None) -> None:
        """Every number goes to `recorder`, and how shadows compare to `tally`."""
        self._recorder = recorder
        self._tally = tally

    def answered(self, endpoint: str, answer: Answer, seconds: float) -> None:
        """Rows by who answered them and how long that took, failures by model and kind, degraded rows.

        The time of a batch counts once, for whoever answered most of its rows.
        """
        recorder = self._recorder
        if len(answer.origins) == 1 and not answer.failed:
            labels = _labels(endpoint, answer.origins[0])
            recorder.count(names.ROWS, len(answer), labels)
            recorder.observe(names.ANSWER_SECONDS, seconds, labels)
        else:
            answered = answer.origin_of[answer.origin_of >= 0]
            shares = np.bincount(answered, minlength=len(answer.origins))
            for index, rows in enumerate(shares.tolist()):
                if rows:
                    recorder.count(names.ROWS, rows, _labels(endpoint, answer.origins[index]))
            if len(answered):
                most = answer.origins[int(shares.argmax())]
                recorder.observe(names.ANSWER_SECONDS, seconds, _labels(endpoint, most))
            for failure in answer.failed.values():
                recorder.count(names.FAILED_ROWS, 1, (endpoint, failure.model, failure.kind))
        if degraded := int(np.count_nonzero(answer.degraded)):
            recorder.count(names.DEGRADED_ROWS, degraded, (endpoint,))

    def called(self, model: str, version: str, outcome: CallOutcome, rows: int, seconds: float) -> None:
        """Calls by outcome, rows sent, time taken."""
        self._recorder.count(names.MODEL_CALLS, 1, (model, outcome, version))
        self._recorder.count(names.MODEL_ROWS, rows, (model, version))
        self._recorder.observe(names.MODEL_CALL_SECONDS, seconds, (model, version))

    def shadowed(
        self, model: str, outcome: ShadowOutcome, rows: int, what: Compared | ShadowKey | None
    ) -> None:
        """Shadow rows by outcome, what was compared to the tally, and whether labels agree."""
        if self._tally is not None and what is not None:
            if isinstance(what, Compared):
                self._tally.compared(what)
            else:
                self._tally.missed(what, outcome, rows)
        self._recorder.count(names.SHADOW_ROWS, rows, (model, outcome))
        if isinstance(what, Compared):
            differ = int(np.count_nonzero(what.disagree))
            self._recorder.count(names.SHADOW_AGREED_ROWS, rows - differ, (model, "yes"))
            self._recorder.count(names.SHADOW_AGREED_ROWS, differ, (model, "no"))


@lru_cache(maxsize=4096)
def _labels(endpoint: str, origin: Origin) -> tuple[str, str, str, str, str]:
    return (endpoint, origin.model, origin.route, origin.role, origin.version)
