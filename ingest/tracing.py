"""A poll as a journey: the traces that its records came with, and where the batch's own begins."""

from ingest.record import Headers, Polled
from mesh.tracing.context import HEADER, TraceContext, parse_traceparent
from mesh.tracing.journey import Journey, RecordContext
from mesh.tracing.span import Attribute
from mesh.tracing.tracer import Tracer


def begin(tracer: Tracer | None, polled: Polled) -> Journey | None:
    """The journey of this poll; None where nothing is traced."""
    if tracer is None:
        return None
    attributes: dict[str, Attribute] = {
        "messaging.system": "kafka",
        "messaging.operation.name": "process",
        "messaging.destination.name": polled.topic,
        "messaging.batch.message_count": len(polled),
    }
    journey = tracer.begin(f"process batch {polled.topic}", "consumer", None, attributes)
    found = contexts_of(polled)
    if found:
        tracer.note_records(journey, found)
    return journey


def contexts_of(polled: Polled) -> list[RecordContext]:
    """The traces of those records that came with one."""
    found = []
    for at, message in enumerate(polled.messages):
        headers = message.headers()
        if headers:
            context = _context(headers)
            if context is not None:
                found.append(RecordContext(context, polled.partitions[at], polled.offsets[at]))
    return found


def _context(headers: Headers) -> TraceContext | None:
    for name, value in headers:
        if name == HEADER or name.lower() == HEADER:
            return parse_traceparent(value)
    return None
