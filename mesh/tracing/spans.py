"""A journey as spans.

Names and attributes follow OpenTelemetry's semantic conventions 1.44 (messaging, feature flags); what they do not know begins
with `mesh.`.
"""

from collections.abc import Iterator

from mesh.routing.calls import CallPart, calls_of
from mesh.routing.types import Origin
from mesh.tracing.context import TraceContext
from mesh.tracing.journey import Journey, RecordContext, new_span_id
from mesh.tracing.span import Attribute, Event, Span


def spans_of(journey: Journey, ended_ns: int) -> list[Span]:
    """The journey's own span first, then its model calls and other steps, then a span in the trace of each of its records."""

    def child() -> TraceContext:
        return TraceContext(journey.context.trace_id, new_span_id(), True)

    own = TraceContext(journey.context.trace_id, journey.context.span_id, True)
    origins = journey.origins
    spans = [_own(journey, own, origins, ended_ns)]
    for share in journey.shares:
        spans += [_call(call, origins, child(), own) for call in calls_of(share)]
    for step in journey.steps:
        spans.append(
            Span(
                step.name,
                step.kind,
                child(),
                own,
                step.began_ns,
                step.ended_ns,
                step.attributes,
                error=step.error,
            )
        )
    spans += [_record(journey, record, own, ended_ns, new_span_id()) for record in journey.records]
    return spans


def _own(journey: Journey, own: TraceContext, origins: set[Origin], ended_ns: int) -> Span:
    attributes: dict[str, Attribute] = {**journey.attributes, "mesh.degraded": journey.degraded}
    if journey.rules:
        attributes["mesh.rules"] = journey.rules
    if journey.failure is not None:
        attributes["error.type"] = journey.failure
    return Span(
        journey.name,
        journey.kind,
        own,
        journey.parent,
        journey.began_ns,
        ended_ns,
        attributes,
        tuple(record.context for record in journey.records),
        tuple(_decisions(origins, journey.rules, ended_ns)),
        journey.failure,
    )


def _decisions(origins: set[Origin], rules: str, at_ns: int) -> Iterator[Event]:
    """Who answered, as evaluations of a flag: the route is the flag, model and role are what it came to."""
    for origin in sorted(origins, key=lambda one: (one.route, one.role, one.model)):
        yield Event(
            "feature_flag.evaluation",
            at_ns,
            {
                "feature_flag.key": origin.route,
                "feature_flag.result.variant": origin.role,
                "feature_flag.version": rules,
                "mesh.model.name": origin.model,
                "mesh.model.version": origin.version,
            },
        )


def _call(call: CallPart, origins: set[Origin], context: TraceContext, parent: TraceContext) -> Span:
    stands = [origin for origin in origins if (origin.model, origin.version) == (call.model, call.version)]
    answered = call.outcome == "answered"
    attributes: dict[str, Attribute] = {
        "mesh.model.name": call.model,
        "mesh.model.version": call.version,
        "mesh.call.outcome": call.outcome,
        "mesh.call.rows": call.row_count,
        "mesh.decision": _decision(call, stands),
    }
    if call.shadow:
        attributes["mesh.role"] = "shadow"
    elif stands:
        attributes["mesh.role"] = ",".join(sorted({origin.role for origin in stands}))
        attributes["mesh.route"] = ",".join(sorted({origin.route for origin in stands}))
    return Span(
        f"{'shadow' if call.shadow else 'call'} {call.model}",
        "client",
        context,
        parent,
        call.began_ns,
        call.ended_ns,
        attributes,
        error=None if answered or call.shadow else call.outcome,
    )


def _decision(call: CallPart, stands: list[Origin]) -> str:
    """What became of the call: its answer stands, another's took its place, it gave none, or it was only compared."""
    if call.shadow:
        return "offered"
    if call.outcome != "answered":
        return "failed"
    return "stands" if stands else "superseded"


def _record(
    journey: Journey, record: RecordContext, batch: TraceContext, ended_ns: int, span_id: str
) -> Span:
    """In the record's own trace, so that its way can be read from its sender on; the link leads to the batch."""
    topic = journey.attributes.get("messaging.destination.name", "")
    return Span(
        f"process {topic}",
        "consumer",
        TraceContext(record.context.trace_id, span_id, True),
        record.context,
        journey.began_ns,
        ended_ns,
        {
            "messaging.system": "kafka",
            "messaging.operation.name": "process",
            "messaging.destination.name": topic,
            "messaging.destination.partition.id": str(record.partition),
            "messaging.kafka.offset": record.offset,
        },
        (batch,),
        error=journey.failure,
    )
