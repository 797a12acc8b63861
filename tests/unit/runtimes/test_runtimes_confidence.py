import warnings

import numpy as np
import pytest

from mesh.errors import ArtifactError
from mesh.routing.types import TensorSpec
from mesh.runtimes.base import Artifact, ConfidenceKind, ConfidenceRule
from mesh.runtimes.confidence import confidence_reader
from mesh.runtimes.outputs import WrongOutput

ARTIFACT = Artifact("m", "onnx")
OPEN = TensorSpec("p", "FP32", (-1, -1))


def read(kind: ConfidenceKind, values: np.ndarray, spec: TensorSpec = OPEN) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return confidence_reader(ARTIFACT, ConfidenceRule(kind, "p"), (spec,))({"p": values})


def test_largest_and_margin() -> None:
    p = np.array([[0.1, 0.7, 0.2], [0.5, 0.5, 0.0]], dtype=np.float32)
    np.testing.assert_allclose(read("max_probability", p), [0.7, 0.5])
    np.testing.assert_allclose(read("margin", p), [0.5, 0.0], atol=1e-7)


def test_reading_leaves_the_outputs_as_they_are() -> None:
    p = np.array([[0.1, 0.7, 0.2]], dtype=np.float32)
    read("margin", p)
    np.testing.assert_array_equal(p, np.array([[0.1, 0.7, 0.2]], dtype=np.float32))


@pytest.mark.parametrize("shape", [(3,), (3, 1)])
def test_single_probability_counts_as_two_classes(shape: tuple[int, ...]) -> None:
    p = np.array([0.9, 0.2, 0.5], dtype=np.float32).reshape(shape)
    np.testing.assert_allclose(read("max_probability", p), [0.9, 0.8, 0.5])
    np.testing.assert_allclose(read("margin", p), [0.8, 0.6, 0.0], atol=1e-7)


@pytest.mark.parametrize("shape", [(2,), (2, 1)])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int64])
def test_output_is_flattened_to_float32(shape: tuple[int, ...], dtype: type) -> None:
    confidence = read("output", np.ones(shape, dtype))
    assert (confidence.shape, confidence.dtype) == ((2,), np.float32)
    assert confidence.flags.c_contiguous


@pytest.mark.parametrize("kind", ["max_probability", "margin"])
def test_nan_gives_nan_without_a_warning(kind: ConfidenceKind) -> None:
    p = np.array([[0.1, np.nan, 0.2], [0.6, 0.3, 0.1], [np.inf, np.inf, 0]], dtype=np.float32)
    confidence = read(kind, p)
    assert np.isnan(confidence[0])
    assert np.isfinite(confidence[1])


def test_too_large_for_float32_is_infinite() -> None:
    assert read("output", np.array([1e300]))[0] == np.inf


@pytest.mark.parametrize(
    ("kind", "spec", "reason"),
    [
        ("output", TensorSpec("q", "FP32", (-1,)), "no such output; the model has ['q']"),
        (
            "output",
            TensorSpec("p", "FP32", (-1, 2)),
            "expected the shape [N] or [N, 1], the model has [-1, 2]",
        ),
        ("margin", TensorSpec("p", "FP32", (-1, 2, 2)), "expected the shape [N] or [N, classes]"),
        ("margin", TensorSpec("p", "BYTES", (-1, 2)), "the output is BYTES"),
    ],
)
def test_rule_that_cannot_fit_is_refused_at_load(kind: ConfidenceKind, spec: TensorSpec, reason: str) -> None:
    with pytest.raises(ArtifactError) as caught:
        confidence_reader(ARTIFACT, ConfidenceRule(kind, "p"), (spec,))
    assert f"model 'm': confidence: {kind}: p: {reason}" in str(caught.value)


def test_shape_that_shows_only_in_the_answer() -> None:
    with pytest.raises(WrongOutput, match="one value per row"):
        read("output", np.zeros((2, 3), np.float32))
    with pytest.raises(WrongOutput, match="classes"):
        read("margin", np.zeros((2, 3, 3), np.float32))
