"""A poll as a journey: the traces that its records came with, and where the batch's own begins."""

from itertools import chain
from typing import Final

from ingest.record import Polled
from mesh.tracing.context import HEADER, parse_traceparent
from mesh.tracing.journey import Journey, RecordContext
from mesh.tracing.span import Attribute
from mesh.tracing.tracer import MAX_RECORDS, Tracer

_KEPT: Final = frozenset((*b"13579bdf", *"13579bdf"))
"""The last digit of a header whose lowest flag is set: its sender keeps the trace. As an item of bytes, or of str."""


def begin(tracer: Tracer | None, polled: Polled) -> Journey | None:
    """The journey of this poll; None where nothing is traced."""
    if tracer is None:
        return None
    journey = tracer.begin()
    found = sampled_records(polled)
    if found:
        tracer.note_records(journey, found)
    return journey


def end(tracer: Tracer | None, journey: Journey | None, polled: Polled, error: str | None) -> None:
    """The poll is done with; `error` is the class of what ended the worker."""
    if tracer is None or journey is None or not tracer.kept(journey, error):
        return
    attributes: dict[str, Attribute] = {
        "messaging.system": "kafka",
        "messaging.operation.name": "process",
        "messaging.destination.name": polled.topic,
        "messaging.batch.message_count": len(polled),
    }
    tracer.tell(journey, "consumer", f"process batch {polled.topic}", attributes)


def sampled_records(polled: Polled) -> list[RecordContext]:
    """The records that came with a trace that its sender keeps, up to the links of one batch.

    Most polls have no header at all, or traces that nobody keeps: those are passed over.
    """
    found: list[RecordContext] = []
    if HEADER not in polled.header_names or not _any_kept(polled):
        return found
    for at, headers in enumerate(polled.headers):
        for name, value in headers or ():
            context = parse_traceparent(value) if name == HEADER else None
            if context is not None and context.sampled:
                found.append(RecordContext(context, polled.partitions[at], polled.offsets[at]))
        if len(found) >= MAX_RECORDS:
            break
    return found


def _any_kept(polled: Polled) -> bool:
    """By the headers' last digits alone, since this is asked of every record."""
    for name, value in chain.from_iterable(filter(None, polled.headers)):
        if name == HEADER and value and value[-1] in _KEPT:
            return True
    return False
