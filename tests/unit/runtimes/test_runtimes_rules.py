import math
import warnings

import numpy as np
import pytest

from mesh.errors import ArtifactError
from mesh.routing.types import Signature, TensorSpec
from mesh.runtimes import describe, open_runtime
from mesh.runtimes.base import Artifact, ConfidenceRule

OPTIONS = {
    "columns": ["temperature", "unused", "pressure"],
    "rules": [{"column": "temperature", "above": 640.0}, {"column": "pressure", "below": 550.0}],
    "scale": {"temperature": 2.0, "pressure": 10},
    "steepness": 3.0,
    "calibration": 0.5,
}


def score(rows: list[list[float]], **changes: object) -> tuple[np.ndarray, np.ndarray]:
    runtime = open_runtime(Artifact("r", "rules", options={**OPTIONS, **changes}))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        outputs = runtime.score({"features": np.array(rows, dtype=np.float32)})
    return outputs["probabilities"], outputs["confidence"]


def expected(margin: float) -> tuple[float, float]:
    return 1 / (1 + math.exp(-3 * margin)), 1 - math.exp(-abs(margin) / 0.5)


@pytest.mark.parametrize(
    ("temperature", "pressure", "margin"),
    [(641, 560, 0.5), (636, 549, 0.1), (630, 580, -3.0), (640, 555, 0.0), (645, 500, 5.0)],
)
def test_the_formula(temperature: float, pressure: float, margin: float) -> None:
    probabilities, confidence = score([[temperature, 0, pressure]])
    p, sure = expected(margin)
    np.testing.assert_allclose(probabilities[0], [1 - p, p], rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(confidence[0], sure, rtol=1e-5, atol=1e-7)


def test_shapes_and_dtypes() -> None:
    probabilities, confidence = score([[640, 0, 560]] * 7)
    assert (probabilities.shape, probabilities.dtype) == ((7, 2), np.float32)
    assert (confidence.shape, confidence.dtype) == ((7,), np.float32)


def test_rows_do_not_depend_on_their_neighbours() -> None:
    rows = [[600 + 7.0 * n, n, 500 + 9.0 * n] for n in range(20)]
    together = score(rows)
    alone = [score([row]) for row in rows]
    np.testing.assert_array_equal(together[1], [confidence[0] for _, confidence in alone])


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_only_a_column_that_a_rule_reads_spoils_its_row(bad: float) -> None:
    probabilities, confidence = score([[bad, 0, 560], [640, bad, 560], [640, 0, bad], [640, 0, 560]])
    np.testing.assert_array_equal(np.isnan(confidence), [True, False, True, False])
    np.testing.assert_array_equal(np.isnan(probabilities).all(axis=1), [True, False, True, False])


def test_extremes_neither_overflow_nor_warn() -> None:
    probabilities, confidence = score([[3e38, 0, -3e38], [-3e38, 0, 3e38]], steepness=1e6)
    np.testing.assert_array_equal(probabilities, [[0, 1], [1, 0]])
    np.testing.assert_array_equal(confidence, [1, 1])


def test_signature_leaves_out_the_confidence() -> None:
    artifact = Artifact("r", "rules", options=OPTIONS, confidence=ConfidenceRule("output", "confidence"))
    features = TensorSpec("features", "FP32", (-1, 3))
    assert describe(artifact) == Signature((features,), (TensorSpec("probabilities", "FP32", (-1, 2)),))


def test_declared_width_must_be_that_of_the_columns() -> None:
    declared = Signature((TensorSpec("features", "FP32", (-1, 17)),), ())
    with pytest.raises(ArtifactError, match=r"FP32 \[N, 17\].*FP32 \[N, 3\]"):
        open_runtime(Artifact("r", "rules", signature=declared, options=OPTIONS))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"columns": []}, "options.columns: expected a list of different names"),
        ({"columns": ["a", "a"]}, "options.columns"),
        ({"columns": "temperature"}, "options.columns"),
        ({"rules": []}, "options.rules: expected a list"),
        ({"rules": [{"column": "temperature"}]}, r"options.rules\[0\]: expected {column: NAME, above: x}"),
        (
            {"rules": [{"column": "x", "above": 1}]},
            r"options.rules\[0\].column: expected one of .*'temperature'",
        ),
        (
            {"rules": [{"column": "pressure", "above": "hot"}]},
            r"options.rules\[0\].above: expected a finite number",
        ),
        ({"rules": [{"column": "pressure", "below": math.nan}]}, r"options.rules\[0\].below"),
        ({"rules": [{"column": "pressure", "below": 1, "above": 1}]}, r"options.rules\[0\]"),
        ({"scale": {"x": 1}}, "options.scale.x: expected one of"),
        ({"scale": {"pressure": 0}}, "options.scale.pressure: expected a number above 0, got 0"),
        ({"steepness": -1}, "options.steepness: expected a number above 0, got -1"),
        ({"calibration": True}, "options.calibration"),
        ({"input": ""}, "options.input: expected a text"),
        ({"steepnes": 1}, "options.steepnes: .*did you mean 'steepness'"),
    ],
)
def test_errors_name_the_option(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ArtifactError, match=message):
        open_runtime(Artifact("r", "rules", options={**OPTIONS, **changes}))
