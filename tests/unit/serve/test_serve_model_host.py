"""How a replica opens its model, and when it gives one up."""

from pathlib import Path

import numpy as np
import pytest

from mesh.routing.types import Signature, Tensors, TensorSpec
from mesh.spec import ModelSpec
from mesh.spec.model_file import ModelEntry
from serve.model_host import HUNG_S, _open, hung_after

ROWS: list[int] = []


class Narrow:
    """A model with memory for eight rows."""

    signature = Signature((TensorSpec("x", "FP32", (-1, 2)),), (TensorSpec("y", "FP32", (-1, 2)),))

    def score(self, tensors: Tensors) -> Tensors:
        ROWS.append(len(tensors["x"]))
        if len(tensors["x"]) > 8:
            raise RuntimeError("out of memory")
        return {"y": tensors["x"]}


def model(**fields: object) -> ModelSpec:
    entry = ModelEntry.model_validate({"runtime": "python", "path": f"{__name__}:Narrow", **fields})
    return ModelSpec.of("m", entry, Path())


@pytest.mark.parametrize(("most", "warm"), [(8, {1, 8}), (1, {1})])
def test_warming_up_asks_for_no_more_rows_than_a_call_has(most: int, warm: set[int]) -> None:
    ROWS.clear()
    _, scorer = _open(model(max_batch_rows=most), "config")
    assert set(ROWS) == warm
    assert not scorer.score({"x": np.zeros((1, 2), np.float32)}).failed


def test_a_call_within_its_time_is_no_hung_one() -> None:
    assert hung_after(model()) == HUNG_S
    assert hung_after(model(timeout_s=900.0)) == 900.0
