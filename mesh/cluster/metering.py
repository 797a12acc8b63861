"""What an engine tells, as metrics."""

from typing import Final

import numpy as np

from mesh.engine.compared import Compared, ShadowKey
from mesh.engine.engine import Engine
from mesh.engine.ports import CallOutcome, ShadowOutcome
from mesh.routing.types import Answer
from mesh.shadows.tally import ShadowTally
from mesh.telemetry import names
from mesh.telemetry.recorder import Recorder

_BREAKER_LEVEL: Final = {"closed": 0, "half_open": 1, "open": 2}


def set_engine_gauges(recorder: Recorder, engine: Engine) -> None:
    """What is so now: rows that wait, and the state of each model's breaker."""
    for endpoint, rows in engine.pending_rows.items():
        recorder.set(names.PENDING_ROWS, rows, (endpoint,))
    for model, state in engine.breaker_states().items():
        recorder.set(names.BREAKER_STATE, _BREAKER_LEVEL[state], (model,))


class Metering:
    """An engine's observer that records; runs on the engine's loop, with a recorder of that thread."""

    def __init__(self, recorder: Recorder, tally: ShadowTally | None = None) -> None:
        """Every number goes to `recorder`, and how shadows compare to `tally`."""
        self._recorder = recorder
        self._tally = tally

    def answered(self, endpoint: str, answer: Answer) -> None:
        """Rows by who answered them, failures by model and kind, degraded rows."""
        recorder = self._recorder
        if len(answer.origins) == 1 and not answer.failed:
            origin = answer.origins[0]
            labels = (endpoint, origin.model, origin.route, origin.role)
            recorder.count(names.ROWS, len(answer), labels)
        else:
            answered = answer.origin_of[answer.origin_of >= 0]
            for index, rows in enumerate(np.bincount(answered, minlength=len(answer.origins)).tolist()):
                if rows:
                    origin = answer.origins[index]
                    recorder.count(names.ROWS, rows, (endpoint, origin.model, origin.route, origin.role))
            for failure in answer.failed.values():
                recorder.count(names.FAILED_ROWS, 1, (endpoint, failure.model, failure.kind))
        if degraded := int(np.count_nonzero(answer.degraded)):
            recorder.count(names.DEGRADED_ROWS, degraded, (endpoint,))

    def called(self, model: str, outcome: CallOutcome, rows: int, seconds: float) -> None:
        """Calls by outcome, rows sent, time taken."""
        self._recorder.count(names.MODEL_CALLS, 1, (model, outcome))
        self._recorder.count(names.MODEL_ROWS, rows, (model,))
        self._recorder.observe(names.MODEL_CALL_SECONDS, seconds, (model,))

    def shadowed(
        self, model: str, outcome: ShadowOutcome, rows: int, what: Compared | ShadowKey | None
    ) -> None:
        """Shadow rows by outcome, and what was compared to the tally."""
        if self._tally is not None and what is not None:
            if isinstance(what, Compared):
                self._tally.compared(what)
            else:
                self._tally.missed(what, outcome, rows)
        self._recorder.count(names.SHADOW_ROWS, rows, (model, outcome))
