"""Which records of a poll came with a trace that its sender keeps."""

import pytest
from polls import polled

from ingest.record import Headers
from ingest.tracing import sampled_records
from mesh.tracing.tracer import MAX_RECORDS

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-"


@pytest.mark.parametrize(
    ("headers", "kept"),
    [
        (None, False),
        ([], False),
        ([("tenant", b"1")], False),
        ([("tenant", (TRACE + "01").encode())], False),
        ([("traceparent", None)], False),
        ([("traceparent", b"")], False),
        ([("traceparent", b"1")], False),
        ([("traceparent", (TRACE + "00").encode())], False),
        ([("traceparent", (TRACE + "02").encode())], False),
        ([("traceparent", (TRACE + "01").encode())], True),
        ([("traceparent", (TRACE + "0f").encode())], True),
        ([("traceparent", TRACE + "03")], True),
        ([("tenant", b"a"), ("traceparent", (TRACE + "01").encode())], True),
    ],
)
def test_a_record_is_kept_if_its_sender_says_so(headers: Headers | None, kept: bool):
    others: list[Headers | None] = [None, [("traceparent", (TRACE + "00").encode())]]
    found = sampled_records(polled([b"{}"] * 3, first=40, headers=[*others, headers]))
    assert [one.offset for one in found] == ([42] if kept else [])
    assert all(one.context.header[:-2] == TRACE for one in found)


def test_links_are_bounded():
    sampled: list[Headers | None] = [[("traceparent", (TRACE + "01").encode())]] * (MAX_RECORDS + 9)
    assert len(sampled_records(polled([b"{}"] * len(sampled), headers=sampled))) == MAX_RECORDS
