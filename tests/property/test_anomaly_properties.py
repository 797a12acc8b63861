"""Whatever a row of features holds, the anomaly model answers it, alone as in a batch, and as the float64 original does."""

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

pytest.importorskip("onnx", reason="training needs the extra 'train'")

from mesh.learning.anomaly import Verdicts, train
from mesh.learning.anomaly.export import OUTPUTS
from mesh.learning.anomaly.train import Recipe
from tests.unit.learning.anomaly_windows import healthy

TRAINED = train(healthy(), 3, Recipe(false_share=0.02, kept=60, clusters=4))
SESSION = onnxruntime.InferenceSession(TRAINED.onnx, providers=["CPUExecutionProvider"])
ROWS = arrays(
    np.float32,
    st.tuples(st.integers(1, 6), st.just(16)),
    elements=st.one_of(st.floats(width=32), st.floats(0, 60, width=32)),
)


@settings(deadline=None, max_examples=150)
@given(ROWS)
def test_every_answer_is_a_number_in_range_and_that_of_the_original(rows: np.ndarray) -> None:
    said = Verdicts(*SESSION.run(list(OUTPUTS), {"features": rows}))
    ours = TRAINED.ensemble.judge(rows.reshape(-1, 4, 4))
    for name in ("score", "confidence"):
        values = getattr(said, name)
        assert ((values >= 0) & (values <= 1)).all()
    np.testing.assert_allclose(said.score, ours.score, atol=1e-3)
    assert ((said.contribution >= 0) & (said.contribution <= 40)).all()


@settings(deadline=None, max_examples=50)
@given(ROWS)
def test_a_row_is_judged_alone_as_in_a_batch(rows: np.ndarray) -> None:
    (together,) = SESSION.run(["score"], {"features": rows})
    alone = [SESSION.run(["score"], {"features": rows[at : at + 1]})[0][0] for at in range(len(rows))]
    np.testing.assert_allclose(together, alone, atol=1e-5)
