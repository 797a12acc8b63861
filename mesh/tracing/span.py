"""A finished span, as it is exported."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from mesh.tracing.context import TraceContext

Kind = Literal["server", "consumer", "producer", "client", "internal"]
Attribute = str | bool | int | float
Attributes = Mapping[str, Attribute]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened at one time within a span."""

    name: str
    at_ns: int
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class Span:
    """Times are nanoseconds since 1970. `error` is an error's class or code, never its message."""

    name: str
    kind: Kind
    context: TraceContext
    parent: TraceContext | None
    began_ns: int
    ended_ns: int
    attributes: Attributes = field(default_factory=dict)
    links: tuple[TraceContext, ...] = ()
    events: tuple[Event, ...] = ()
    error: str | None = None


class SpanSink(Protocol):
    """Takes finished spans; must return at once, and bound what it holds."""

    def emit(self, spans: Sequence[Span]) -> None:
        """Export these, later."""
        ...

    def close(self, timeout_s: float) -> None:
        """Export what is held, for at most so long. Blocks."""
        ...


class MemorySpans:
    """Keeps the newest spans in `spans`."""

    def __init__(self, most: int = 10_000) -> None:
        self.spans: list[Span] = []
        self._most = most

    def emit(self, spans: Sequence[Span]) -> None:
        """See `SpanSink`."""
        self.spans = [*self.spans, *spans][-self._most :]

    def close(self, timeout_s: float) -> None:
        """See `SpanSink`."""
