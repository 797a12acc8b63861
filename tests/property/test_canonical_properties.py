"""Canonical JSON reads back as what was written, and writing it again changes nothing."""

from hypothesis import given
from hypothesis import strategies as st

from mesh.records.canonical import canonical_json, read_json

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
NUMBER = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53)
VALUE = st.recursive(
    st.none() | st.booleans() | NUMBER | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


@given(VALUE)
def test_what_is_written_reads_back_and_is_written_the_same(value):
    written = canonical_json(value)
    assert read_json(written) == value
    assert canonical_json(read_json(written)) == written


@given(st.dictionaries(TEXT, st.integers(0, 9), max_size=6))
def test_the_order_of_members_does_not_matter(value):
    assert canonical_json(value) == canonical_json(dict(reversed(value.items())))


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_no_number_is_lost(value):
    assert float(canonical_json(value)) == value
