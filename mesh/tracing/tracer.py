"""Which journeys are kept, and the spans that are made of those."""

import random
import time
from collections.abc import Callable
from typing import Final

from mesh.telemetry import names
from mesh.telemetry.recorder import Recorder
from mesh.tracing.context import TraceContext, parse_traceparent
from mesh.tracing.journey import Journey, RecordContext
from mesh.tracing.span import Attributes, Kind, SpanSink
from mesh.tracing.spans import spans_of

TROUBLE_PER_S: Final = 100
"""Journeys with errors or degraded answers that are kept a second in one process, so that an outage does not become one of the
tracing. Those beyond are counted."""

NOTHING: Final[Attributes] = {}
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
        bits: Callable[[int], int] = random.getrandbits,
    ) -> None:
        self._ratio, self._sink, self._recorder = ratio, sink, recorder
        self._draw, self._bits = draw, bits
        self._second = 0
        self._trouble = 0

    def begin(
        self, name: str, kind: Kind, traceparent: str | bytes | None, attributes: Attributes
    ) -> Journey:
        """A request that came with this header."""
        parent = None if traceparent is None else parse_traceparent(traceparent)
        if parent is None:
            trace_id, sampled = f"{self._bits(128) or 1:032x}", self._draw() < self._ratio
        else:
            trace_id, sampled = parent.trace_id, parent.sampled
        context = TraceContext(trace_id, self.span_id(), sampled)
        return Journey(name, kind, context, parent, time.time_ns(), dict(attributes))

    def note_records(self, journey: Journey, found: list[RecordContext]) -> None:
        """The records of a micro-batch that came with traces; one that is sampled keeps the batch."""
        wanted = [record for record in found if record.context.sampled]
        journey.records = (wanted + [record for record in found if not record.context.sampled])[:MAX_RECORDS]
        if wanted and not journey.context.sampled:
            context = journey.context
            journey.context = TraceContext(context.trace_id, context.span_id, True)

    def end(self, journey: Journey, error: str | None = None, attributes: Attributes = NOTHING) -> None:
        """It is over; `error` is the class or code of what went wrong on our side."""
        journey.error = error or journey.error
        why = self._why_kept(journey)
        if why is None:
            return
        journey.attributes.update(attributes)
        self._recorder.count(names.TRACES, 1, (why,))
        self._sink.emit(spans_of(journey, time.time_ns(), self.span_id))

    def span_id(self) -> str:
        """A new one: 16 hexadecimal digits."""
        return f"{self._bits(64) or 1:016x}"

    def _why_kept(self, journey: Journey) -> str | None:
        if journey.error is not None or journey.degraded:
            if journey.context.sampled or self._has_room():
                return "degraded" if journey.error is None else "error"
            self._recorder.count(names.TRACES_DROPPED)
            return None
        return "sampled" if journey.context.sampled else None

    def _has_room(self) -> bool:
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._trouble = second, 0
        self._trouble += 1
        return self._trouble <= TROUBLE_PER_S
