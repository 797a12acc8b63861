import numpy as np
import pytest

from mesh.routing.keys import Keys
from mesh.routing.sticky import buckets, key_text, place
from mesh.routing.types import MISSING, Batch

GOLDEN = {
    ("default/canary-rollout", "user-1"): 0.9108094258058023,
    ("default/canary-rollout", "user-2"): 0.6925437459523677,
    ("default/canary-rollout", ""): 0.5257153496846886,
    ("default/canary-rollout", "événement-42"): 0.7659785775597815,
    ("default/canary-rollout", "42"): 0.625203694827487,
    ("fraud/split", "user-1"): 0.5750699432913137,
    ("default/hybrid-anomaly/shadow/degrader", "user-1"): 0.41536734367291883,
    ("", ""): 0.47004568861809615,
    ("a/b", "topic-0-123456789"): 0.9855480418491684,
}


def test_golden_vectors():
    """Changing these moves every user of every canary: don't."""
    for (salt, key), expected in GOLDEN.items():
        assert buckets(salt, [key, "other"])[0] == expected
        assert place(salt, key) == expected


def test_alone_and_together():
    keys = [f"user-{n}" for n in range(1000)]
    together = buckets("default/canary", keys)
    assert together.dtype == np.float64
    assert together.tolist() == [place("default/canary", key) for key in keys]
    assert together.tolist() == [buckets("default/canary", [key])[0] for key in keys]
    assert buckets("s", []).shape == (0,)


def test_half_a_surrogate_pair_is_a_key():
    assert buckets("s", ["\ud800", "a"])[0] == place("s", "\ud800")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("u42", "u42"),
        ("", ""),
        (42, "42"),
        (42.0, "42"),
        (np.int64(42), "42"),
        (0.5, "0.5"),
        (True, "true"),
        (False, "false"),
        (None, None),
        (MISSING, None),
        ([1], None),
        ({"a": 1}, None),
    ],
)
def test_key_text(value, text):
    assert key_text(value) == text


def keys_of(batch, attribute):
    return list(Keys(batch, attribute).texts)


def test_the_key_is_explicit_else_the_attribute_else_the_id():
    attributes = {"user": ["u1", MISSING, 7, None]}
    ids = ["i0", "i1", "i2", "i3"]
    assert keys_of(Batch({}, ids, ["k"] * 4, attributes), "user") == ["k"] * 4
    assert keys_of(Batch({}, ids, None, attributes), "user") == ["u1", "i1", "7", "i3"]
    assert keys_of(Batch({}, ids, None, attributes), None) == ids
    assert keys_of(Batch({}, ids, None, {}), "user") == ids


def test_places_of_some_rows_are_those_of_all():
    batch = Batch({}, [f"i{n}" for n in range(50)])
    rows = np.array([3, 17, 49])
    every = Keys(batch, None).places("s", np.arange(50))
    assert Keys(batch, None).places("s", rows).tolist() == every[rows].tolist()
    both = Keys(batch, None)
    both.places("other", np.arange(50))
    assert both.places("s", rows).tolist() == every[rows].tolist()
    assert both.place("s", 17) == every[17]
