"""W3C Trace Context: what is taken, and what means to begin anew."""

import pytest

from mesh.tracing.context import TraceContext, parse_traceparent

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.mark.parametrize(
    ("header", "sampled"),
    [
        (f"00-{TRACE}-{SPAN}-01", True),
        (f"00-{TRACE}-{SPAN}-00", False),
        (f"00-{TRACE}-{SPAN}-03".encode(), True),
        (f"cc-{TRACE}-{SPAN}-01-what-comes-later", True),
    ],
)
def test_headers_that_are_taken(header: str | bytes, sampled: bool):
    assert parse_traceparent(header) == TraceContext(TRACE, SPAN, sampled)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        b"\xff\xfe",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[1:]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}",
        "0" * 10_000,
    ],
)
def test_headers_that_mean_to_begin_anew(header: str | bytes | None):
    assert parse_traceparent(header) is None


def test_a_context_says_itself_as_a_header():
    context = TraceContext(TRACE, SPAN, sampled=True)
    assert parse_traceparent(context.header) == context
