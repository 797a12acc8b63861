import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.routing.types import Tensors
from mesh.runtimes.halving import score_by_halves


@settings(deadline=None)
@given(
    st.integers(1, 300).flatmap(
        lambda rows: st.tuples(st.just(rows), st.sets(st.integers(0, rows - 1), min_size=1, max_size=8))
    )
)
def test_exactly_the_poisoned_rows_fail_within_the_promised_work(case: tuple[int, set[int]]) -> None:
    rows, poisoned = case
    calls = 0

    def score(tensors: Tensors, count: int) -> dict[str, np.ndarray]:
        nonlocal calls
        calls += 1
        assert len(tensors["x"]) == count
        if poisoned & set(tensors["x"].tolist()):
            raise ValueError("poisoned")
        return {"y": tensors["x"] * 2}

    pieces, failed = score_by_halves(score, {"x": np.arange(rows)}, rows, ValueError("poisoned"))
    assert failed == dict.fromkeys(failed, "ValueError: poisoned")
    assert set(failed) == poisoned
    answered = {
        start + place: value for start, _, part in pieces for place, value in enumerate(part["y"].tolist())
    }
    assert answered == {row: row * 2 for row in range(rows) if row not in poisoned}
    k = len(poisoned)
    assert calls <= min(2 * rows - 2, 2 * k * (math.ceil(math.log2(rows / k)) + 2))
