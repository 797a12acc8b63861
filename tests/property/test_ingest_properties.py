"""The watermark against a naive model, and decoding against Python's own JSON."""

import json
import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.decode import Opener
from ingest.features import RowReader
from ingest.record import Polled, Span
from ingest.watermark import Watermark
from mesh.routing.types import TensorSpec

spans_and_order = st.lists(
    st.tuples(st.integers(0, 3), st.integers(1, 5), st.integers(0, 3)), min_size=1, max_size=30
).flatmap(lambda spans: st.tuples(st.just(spans), st.permutations(range(len(spans)))))


@given(spans_and_order, st.one_of(st.none(), st.integers(0, 5)))
def test_the_watermark_is_the_first_offset_not_done(
    drawn: tuple[list[tuple[int, int, int]], list[int]], committed: int | None
) -> None:
    shapes, order = drawn
    mark, offset, spans, delivered = Watermark(committed), committed or 0, [], []
    for gap, records, holes in shapes:
        first = offset + gap
        span = Span(0, first, first + records + holes - 1, records)
        begin = span.first if mark.expected is None else mark.expected
        assert mark.open(span) == span.last + 1 - begin - records
        spans.append(span)
        delivered += [(place, span) for place in range(first, span.last + 1)]
        offset = span.last + 1
    done: set[int] = set()
    last = committed if committed is not None else spans[0].first
    for index in order:
        mark.complete(spans[index])
        done.add(index)
        naive = next((span.first for i, span in enumerate(spans) if i not in done), spans[-1].last + 1)
        before = [span for i, span in enumerate(spans) if i < len(spans) and span.last < naive]
        assert mark.position == (before[-1].last + 1 if before else last)
        assert mark.open_records == sum(span.records for i, span in enumerate(spans) if i not in done)
    assert mark.position == spans[-1].last + 1


numbers = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False, width=32), st.integers(-(2**31), 2**31), st.just(1e300)
)
anything = st.recursive(
    st.one_of(numbers, st.none(), st.booleans(), st.text(max_size=3)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=12,
)
rows = st.lists(st.lists(numbers, min_size=1, max_size=4), min_size=1, max_size=3)
dumped = st.tuples(
    st.one_of(rows, st.lists(st.lists(numbers, min_size=2, max_size=2), min_size=1, max_size=1), anything),
    st.sampled_from([None, (",", ":")]),
)


def naive_rows(value: object, width: int) -> list[list[float]] | None:
    """What a record means, by the contract: rows of `width` numbers, finite as float32."""
    if not isinstance(value, list) or not value:
        return None
    for row in value:
        if not isinstance(row, list) or len(row) != width:
            return None
        for item in row:
            if isinstance(item, bool) or not isinstance(item, int | float):
                return None
            with np.errstate(over="ignore"):
                if not math.isfinite(np.float32(item)):
                    return None
    return value


@settings(max_examples=300)
@given(st.lists(dumped, min_size=1, max_size=12))
def test_rows_are_read_exactly_where_python_would_read_them(
    drawn: list[tuple[object, tuple[str, str] | None]],
) -> None:
    width = 2
    raws = [json.dumps(value, separators=style).encode() for value, style in drawn]
    blocks, refused = RowReader(TensorSpec("x", "FP32", (-1, width))).read(raws)
    found: dict[int, list[list[float]]] = {}
    for block in blocks:
        chosen = block.chosen if block.chosen is not None else range(len(raws))
        counts = block.rows_of if block.rows_of is not None else np.ones(len(chosen), int)
        stops = np.cumsum(counts)
        for place, stop, count in zip(chosen, stops, counts, strict=True):
            found[place] = block.rows[stop - count : stop].tolist()
    expected = {}
    for place, (value, _) in enumerate(drawn):
        good = naive_rows(value, width)
        if good is not None:
            expected[place] = np.array(good, np.float32).tolist()
    assert found == expected
    assert sorted(place for place, _ in refused) == [i for i in range(len(raws)) if i not in expected]


class NoHeaders:
    def key(self) -> bytes | None:
        return None

    def headers(self) -> None:
        return None

    def timestamp(self) -> tuple[int, int]:
        return (0, 0)


garbage = st.one_of(
    st.none(), st.binary(max_size=60), anything.map(lambda value: json.dumps(value).encode()),
    st.fixed_dictionaries(
        {"features": anything}, optional={"model_id": anything, "input_id": anything, "metadata": anything}
    ).map(lambda value: json.dumps(value).encode()),
)  # fmt: skip


@settings(max_examples=300)
@given(st.lists(garbage, max_size=8), st.booleans())
def test_whatever_comes_is_in_one_group_or_refused(values: list[bytes | None], pad: bool) -> None:
    if pad:  # long records take another way through the same contract
        values = [value and value + b" " * 5_000 for value in values]
    n = len(values)
    poll = Polled("t", values, [0] * n, list(range(n)), [NoHeaders()] * n, (), 0.0, 0.0)
    groups, rejected = Opener("m", 100_000).open(poll, ["m"])
    places = [at for group in groups for at in group.positions] + [each.position for each in rejected]
    assert sorted(places) == list(range(n))
    for group in groups:
        for i, at in enumerate(group.positions):
            value = json.loads(values[at] or b"")
            assert json.loads(group.metadata[i]) == (value.get("metadata") or {})
            assert group.input_ids[i] == value.get("input_id")
