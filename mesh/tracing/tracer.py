"""Which journeys are kept, and the spans that are made of those."""

import asyncio
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

GATHER_S: Final = 0.05
"""How long journeys that have ended wait for others until spans are made of them. Made one by one between requests they took
six times as long, as a processor forgets code that it runs for each hundredth request."""

MAX_GATHERED: Final = 64
"""Journeys that wait, as each holds the arrays of its answers."""

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
        gather_s: float = 0.0,
    ) -> None:
        """Spans are made `gather_s` after a journey has ended, from all that ended meanwhile; 0 makes them at once."""
        self._ratio, self._sink, self._recorder = ratio, sink, recorder
        self._draw, self._gather_s = draw, gather_s
        self._ended: list[tuple[Journey, int]] = []
        self._flushing: asyncio.TimerHandle | None = None
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
        """Export a journey that is kept, soon."""
        journey.kind, journey.name, journey.attributes = kind, name, attributes
        self._ended.append((journey, time.time_ns()))
        if not self._gather_s or len(self._ended) >= MAX_GATHERED:
            self.flush()
        elif self._flushing is None:
            self._flushing = asyncio.get_running_loop().call_later(self._gather_s, self.flush)

    def flush(self) -> None:
        """Hand the spans of all that has ended to the sink."""
        if self._flushing is not None:
            self._flushing.cancel()
            self._flushing = None
        ended, self._ended = self._ended, []
        for journey, ended_ns in ended:
            self._sink.emit(spans_of(journey, ended_ns))

    def _has_room(self) -> bool:
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._trouble = second, 0
        self._trouble += 1
        return self._trouble <= TROUBLE_PER_S
