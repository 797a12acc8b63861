"""Where a span belongs: W3C Trace Context, level 1 (https://www.w3.org/TR/trace-context-1/). Pure: stdlib."""

import re
from dataclasses import dataclass
from typing import Final

HEADER: Final = "traceparent"

_FORM: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_MAX_CHARACTERS: Final = 256


@dataclass(frozen=True, slots=True)
class TraceContext:
    """A span: 32 and 16 hexadecimal digits, and whether whoever began the trace wants it kept."""

    trace_id: str
    span_id: str
    sampled: bool

    @property
    def header(self) -> str:
        """As the header `traceparent` says it."""
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"


def parse_traceparent(value: str | bytes | None) -> TraceContext | None:
    """The span that a header names; None where there is none, or it is malformed, which means to begin anew."""
    if not value or len(value) > _MAX_CHARACTERS:
        return None
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    found = _FORM.fullmatch(text.strip())
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if version == "ff" or (version == "00" and more) or not trace_id.strip("0") or not span_id.strip("0"):
        return None
    return TraceContext(trace_id, span_id, bool(int(flags, 16) & 1))
