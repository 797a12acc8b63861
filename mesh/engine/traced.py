"""Model calls, noted for whoever traces. Only called where somebody does."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from mesh.routing.calls import CallPart, CohortCalls
from mesh.routing.cascade import ModelCall, ShadowCall
from mesh.routing.types import Answer, CallResult, Scored, Unreachable

UNKNOWN: Final = "unknown"


def note_call(calls: list[CallPart], call: ModelCall, future: asyncio.Future[CallResult]) -> None:
    """Add the call to `calls` when its result is there: before whoever waits for the result goes on."""
    began = time.time_ns()

    def returned(done: asyncio.Future[CallResult]) -> None:
        version, outcome = _told(done, len(call.rows))
        calls.append(CallPart(call.model, version, outcome, call.rows, len(call.rows), began, time.time_ns()))

    future.add_done_callback(returned)


def note_calls(
    calls: list[CallPart], asked: Sequence[ModelCall], futures: Sequence[asyncio.Future[CallResult]]
) -> None:
    """`note_call` for those that were made together."""
    for call, future in zip(asked, futures, strict=True):
        note_call(calls, call, future)


def note_shadows(calls: list[CallPart], shadows: Sequence[ShadowCall]) -> None:
    """Shadows were offered rows; what they say comes after the answer, and is compared elsewhere."""
    now = time.time_ns()
    calls += [
        CallPart(one.model, UNKNOWN, "offered", one.rows, len(one.rows), now, now, shadow=True)
        for one in shadows
    ]


def with_calls(answer: Answer, noted: CohortCalls | None) -> Answer:
    """The answer with the calls that it rests on."""
    if noted is None:
        return answer
    noted.troubled = answer.troubled
    return replace(answer, calls=(noted, 0, len(answer)))


def _told(done: asyncio.Future[CallResult], rows: int) -> tuple[str, str]:
    """The version that answered, and the outcome in the words of `mesh_model_calls_total`."""
    if done.cancelled():
        return UNKNOWN, "cancelled"
    error = done.exception()
    if error is not None:
        return UNKNOWN, "refused"
    result = done.result()
    if isinstance(result, Unreachable):
        return UNKNOWN, result.kind
    raised = isinstance(result, Scored) and bool(result.failed) and len(result.failed) == rows
    return result.version, "raised" if raised else "answered"
