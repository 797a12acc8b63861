"""Model calls, noted for whoever traces. Only called where somebody does."""

import asyncio
import time
from collections.abc import Sequence
from functools import partial
from typing import Final

from mesh.routing.calls import CallPart, CohortCalls
from mesh.routing.cascade import ModelCall, ShadowCall
from mesh.routing.types import Answer, CallResult, Scored, Unreachable

UNKNOWN: Final = "unknown"


class ReturnedCalls:
    """A `CallRound` of model calls that went out at `began_ns` and have all returned: one by one as `ended` says, else now."""

    __slots__ = ("_began", "_calls", "_ended", "_results")

    def __init__(
        self,
        calls: Sequence[ModelCall],
        results: Sequence[CallResult],
        began_ns: int,
        ended: "Endings | None" = None,
    ) -> None:
        self._calls, self._results, self._began = calls, results, began_ns
        self._ended = (time.time_ns(),) if ended is None else ended.at_ns

    def parts(self) -> list[CallPart]:
        """See `CallRound`."""
        return [
            _part(call, result, self._began, ended)
            for call, result, ended in zip(self._calls, self._results, self._ended, strict=True)
        ]


class Endings:
    """When each of several calls returned, in nanoseconds since 1970. One call alone, which is most, needs no callback."""

    __slots__ = ("at_ns",)

    def __init__(self, futures: Sequence[asyncio.Future[CallResult]]) -> None:
        self.at_ns = [0] * len(futures)
        for at, future in enumerate(futures):
            future.add_done_callback(partial(self._returned, at))

    def _returned(self, at: int, _done: asyncio.Future[CallResult]) -> None:
        self.at_ns[at] = time.time_ns()


class OfferedRows:
    """A `CallRound` of shadows: they were offered rows; what they say comes after the answer, and is compared elsewhere."""

    __slots__ = ("_at", "_shadows")

    def __init__(self, shadows: Sequence[ShadowCall]) -> None:
        self._shadows, self._at = shadows, time.time_ns()

    def parts(self) -> list[CallPart]:
        """See `CallRound`."""
        return [
            CallPart(one.model, UNKNOWN, "offered", one.rows, len(one.rows), self._at, self._at, shadow=True)
            for one in self._shadows
        ]


def with_calls(answer: Answer, noted: CohortCalls | None) -> Answer:
    """The answer with the calls that it rests on."""
    if noted is None:
        return answer
    noted.troubled = answer.troubled
    # Every cohort passes here, and `dataclasses.replace` takes twice as long.
    return Answer(
        answer.outputs,
        answer.confidence,
        answer.origins,
        answer.origin_of,
        answer.degraded,
        answer.failed,
        answer.rules,
        answer.voices,
        (noted, 0, len(answer)),
    )


def _part(call: ModelCall, result: CallResult, began_ns: int, ended_ns: int) -> CallPart:
    """With the version that answered, and the outcome in the words of `mesh_model_calls_total`."""
    rows = len(call.rows)
    if isinstance(result, Unreachable):
        return CallPart(call.model, UNKNOWN, result.kind, call.rows, rows, began_ns, ended_ns)
    raised = isinstance(result, Scored) and bool(result.failed) and len(result.failed) == rows
    outcome = "raised" if raised else "answered"
    return CallPart(call.model, result.version, outcome, call.rows, rows, began_ns, ended_ns)
