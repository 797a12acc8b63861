"""Spans to an OpenTelemetry receiver, over OTLP and HTTP. The only importer of OpenTelemetry.

Where and how is said by OpenTelemetry's own variables (OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_HEADERS, OTEL_BSP_…). The
SDK's batch processor holds at most OTEL_BSP_MAX_QUEUE_SIZE spans (2,048), sends from a thread of its own, and drops the oldest.
"""

import platform
from collections.abc import Sequence
from typing import Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event as OtelEvent
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from mesh.tracing.context import TraceContext
from mesh.tracing.span import Kind, Span

_KINDS: Final[dict[Kind, SpanKind]] = {
    "server": SpanKind.SERVER,
    "consumer": SpanKind.CONSUMER,
    "producer": SpanKind.PRODUCER,
    "client": SpanKind.CLIENT,
    "internal": SpanKind.INTERNAL,
}
_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)
_SCOPE: Final = InstrumentationScope("hyperstream-mesh")


class OtelSpans:
    """A `SpanSink` around the SDK's batch processor."""

    def __init__(self, process: str, exporter: SpanExporter | None = None) -> None:
        """`process` is what it does, such as `router`; OTEL_SERVICE_NAME overrides the service's name."""
        self._resource = Resource.create(
            {"service.namespace": "hyperstream", "host.name": platform.node()}
        ).merge(Resource({"mesh.process": process}))
        if self._resource.attributes.get("service.name") == "unknown_service":
            self._resource = self._resource.merge(Resource({"service.name": f"hyperstream-{process}"}))
        self._processor = BatchSpanProcessor(exporter or OTLPSpanExporter())

    def emit(self, spans: Sequence[Span]) -> None:
        """See `SpanSink`."""
        for span in spans:
            self._processor.on_end(self._readable(span))

    def close(self, timeout_s: float) -> None:
        """See `SpanSink`."""
        self._processor.force_flush(int(timeout_s * 1e3))
        self._processor.shutdown()  # type: ignore[no-untyped-call]

    def _readable(self, span: Span) -> ReadableSpan:
        return ReadableSpan(
            name=span.name,
            context=_context(span.context, remote=False),
            parent=None if span.parent is None else _context(span.parent, remote=True),
            resource=self._resource,
            attributes=span.attributes,
            events=[OtelEvent(event.name, event.attributes, event.at_ns) for event in span.events],
            links=[Link(_context(link, remote=True)) for link in span.links],
            kind=_KINDS[span.kind],
            status=Status(StatusCode.UNSET if span.error is None else StatusCode.ERROR, span.error),
            start_time=span.began_ns,
            end_time=max(span.began_ns, span.ended_ns),
            instrumentation_scope=_SCOPE,
        )


def _context(context: TraceContext, *, remote: bool) -> SpanContext:
    return SpanContext(int(context.trace_id, 16), int(context.span_id, 16), remote, _SAMPLED)
