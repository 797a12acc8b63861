"""Single rows of many callers go together, as far as one call can hold them."""

import asyncio

import numpy as np
import pytest

from mesh.engine.cohort import Cohorts
from mesh.routing.types import Answer, Batch, Origin


def batch(number: int, width: int) -> Batch:
    return Batch({"x": np.full((1, width), number, np.uint8)}, (str(number),), None, {})


@pytest.mark.parametrize(("width", "sizes"), [(4, [5]), (12 << 20, [2, 2, 1]), (40 << 20, [1] * 5)])
async def test_a_cohort_is_no_larger_than_a_call_may_be(width, sizes):
    seen = []

    async def answering(joined, _deadline, _variant):
        seen.append(len(joined))
        n = len(joined)
        outputs = {"y": joined.tensors["x"][:, :1]}
        origins = (Origin("m", "1", "r", "primary"),)
        return Answer(outputs, None, origins, np.zeros(n, np.intp), np.zeros(n, np.bool_), {}, "rules", None)

    cohorts = Cohorts(answering, set())
    answers = await asyncio.gather(*[cohorts.submit(batch(number, width), None, None) for number in range(5)])
    assert seen == sizes
    assert [answer.outputs["y"].item() for answer in answers] == [0, 1, 2, 3, 4]
