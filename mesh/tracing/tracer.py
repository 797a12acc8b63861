"""Which journeys are kept, and the spans that are made of those."""

import random
import time
from collections.abc import Callable
from typing import Final

from mesh.telemetry import names
from mesh.telemetry.recorder import Recorder
from mesh.tracing.context import parse_traceparent
from mesh.tracing.journey import Journey, RecordContext
from mesh.tracing.span import Attributes, Kind, SpanSink
from mesh.tracing.spans import spans_of

TROUBLE_PER_S: Final = 100
"""Journeys with errors or degraded answers that are kept a second in one process, so that an outage does not become one of the
tracing. Those beyond are counted."""

MAX_RECORDS: Final = 128
"""Links of one micro-batch, which is also what OpenTelemetry's SDK allows by default."""


class Tracer:
    """Begins and ends journeys on one event loop. Kept is what the caller has sampled, else a share `ratio`; and all trouble."""

    def __init__(
        self,
        ratio: float,
        sink: SpanSink,
        recorder: Recorder,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._ratio, self._sink, self._recorder = ratio, sink, recorder
        self._draw = draw
        self._second = 0
        self._trouble = 0

    def begin(self) -> Journey:
        """Something that nobody sent a trace with. What it is called is said when it ends, if it is kept."""
        return Journey(None, self._draw() < self._ratio)

    def asked(self, traceparent: str | bytes | None) -> Journey | None:
        """A request that came with this header; None for one that is told of only if it goes wrong: `late` makes its journey.

        Most requests are such, so for them no more is done here than to draw a number.
        """
        if traceparent is not None:
            parent = parse_traceparent(traceparent)
            if parent is not None:
                return Journey(parent, parent.sampled)
        return Journey(None, True) if self._draw() < self._ratio else None

    def late(self, seconds: float) -> Journey:
        """A request that began so many seconds ago, was not to be kept, and went wrong."""
        journey = Journey(None, False)
        journey.began_ns -= int(seconds * 1e9)
        return journey

    def note_records(self, journey: Journey, found: list[RecordContext]) -> None:
        """The records of a micro-batch that came with traces that their senders keep: so the batch is kept."""
        journey.records = found[:MAX_RECORDS]
        journey.sampled = journey.sampled or bool(found)

    def kept(self, journey: Journey, error: str | None = None) -> bool:
        """It is over; whether it is to be told of. `error` is the class or code of what went wrong on our side."""
        if error is not None:
            journey.error = error
        if journey.error is None and not journey.troubled:
            if journey.sampled:
                self._recorder.count(names.TRACES, 1, ("sampled",))
            return journey.sampled
        if not journey.sampled and not self._has_room():
            self._recorder.count(names.TRACES_DROPPED)
            return False
        why = "degraded" if journey.failure is None else "error"
        self._recorder.count(names.TRACES, 1, (why,))
        return True

    def tell(self, journey: Journey, kind: Kind, name: str, attributes: Attributes) -> None:
        """Export a journey that is kept."""
        journey.kind, journey.name, journey.attributes = kind, name, attributes
        self._sink.emit(spans_of(journey, time.time_ns()))

    def _has_room(self) -> bool:
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._trouble = second, 0
        self._trouble += 1
        return self._trouble <= TROUBLE_PER_S
