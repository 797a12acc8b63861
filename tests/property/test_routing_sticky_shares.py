"""Sticky shares over 100,000 keys."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.routing.sticky import buckets

KEYS = [f"user-{number}" for number in range(100_000)]


@settings(max_examples=10, deadline=None)
@given(st.text(max_size=20), st.floats(0, 100), st.floats(0, 100))
def test_raising_a_percent_only_moves_rows_in(salt, one, other):
    low, high = sorted((one, other))
    places = buckets(salt, KEYS)
    was, now = places < low / 100, places < high / 100
    assert not (was & ~now).any()


@settings(max_examples=10, deadline=None)
@given(st.text(max_size=20), st.sampled_from(["user-{}", "{}", "topic-0-{}", "{:08d}", "\u00e9{}x"]))
def test_places_are_even(salt, form):
    """Chi-squared over 100 bins: 99 degrees of freedom, beyond 180 about once in a million."""
    places = buckets(salt, [form.format(number) for number in range(100_000)])
    assert places.min() >= 0
    assert places.max() < 1
    counts = np.histogram(places, 100, (0, 1))[0]
    assert ((counts - 1000.0) ** 2 / 1000).sum() < 180


@settings(max_examples=10, deadline=None)
@given(st.text(max_size=20), st.text(max_size=20))
def test_salts_are_independent(one, other):
    """The share of a share is the product of the shares."""
    if one == other:
        other += "x"
    first, second = buckets(one, KEYS), buckets(other, KEYS)
    both = ((first < 0.1) & (second < 0.1)).mean()
    assert both == pytest.approx(0.01, abs=0.0016)  # five standard deviations
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.016
