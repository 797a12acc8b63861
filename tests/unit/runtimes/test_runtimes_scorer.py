import math
import pickle
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest

from mesh.errors import ArtifactError, DeadlineExceeded, InvalidInput, Unavailable
from mesh.routing.types import Signature, Tensors, TensorSpec
from mesh.runtimes.base import Artifact, ConfidenceKind, ConfidenceRule
from mesh.runtimes.scorer import Scorer

FEATURES = TensorSpec("x", "FP32", (-1, 2))
SCORES = TensorSpec("y", "FP32", (-1, 3))
CONFIDENCE = TensorSpec("sure", "FP32", (-1, 1))


class FunctionRuntime:
    """A runtime that is a function, and counts its calls."""

    def __init__(self, function: Callable[[Tensors], dict], *outputs: TensorSpec, inputs=(FEATURES,)) -> None:
        self.signature = Signature(tuple(inputs), outputs or (SCORES,))
        self.function = function
        self.calls = 0
        self.closed = False

    def score(self, tensors: Tensors) -> dict[str, np.ndarray]:
        self.calls += 1
        return self.function(tensors)

    def close(self) -> None:
        self.closed = True


def scorer(
    function: Callable[[Tensors], dict], *outputs: TensorSpec, rule: tuple[ConfidenceKind, str] | None = None
) -> Scorer:
    confidence = ConfidenceRule(*rule) if rule else None
    return Scorer(
        FunctionRuntime(function, *outputs), Artifact("m", "python", version="7", confidence=confidence)
    )


def rows(count: int) -> dict[str, np.ndarray]:
    return {"x": np.arange(count * 2, dtype=np.float32).reshape(count, 2)}


def three(tensors: Tensors) -> dict[str, np.ndarray]:
    return {"y": np.repeat(tensors["x"][:, :1], 3, axis=1)}


def raises_on(*marked: int) -> Callable[[Tensors], dict]:
    def function(tensors: Tensors) -> dict[str, np.ndarray]:
        if np.isin(tensors["x"][:, 0] // 2, marked).any():
            raise ValueError("poisoned " + "x" * 1000)
        return three(tensors)

    return function


def test_scored_carries_outputs_and_version() -> None:
    scored = scorer(three).score(rows(4))
    np.testing.assert_array_equal(scored.outputs["y"][:, 2], [0, 2, 4, 6])
    assert (scored.version, scored.confidence, dict(scored.failed)) == ("7", None, {})


def test_confidence_output_leaves_the_outputs() -> None:
    both = lambda tensors: {**three(tensors), "sure": tensors["x"][:, :1] / 10}  # noqa: E731
    subject = scorer(both, SCORES, CONFIDENCE, rule=("output", "sure"))
    scored = subject.score(rows(3))
    assert scored.confidence is not None
    assert scored.confidence.shape == (3,)
    assert scored.confidence.dtype == np.float32
    np.testing.assert_allclose(scored.confidence, [0, 0.2, 0.4])
    assert list(scored.outputs) == ["y"]
    assert subject.signature.outputs == (SCORES,)


def test_no_rows_are_not_sent_to_the_model() -> None:
    runtime = FunctionRuntime(three, SCORES, TensorSpec("open", "INT64", (-1, -1, 2)))
    scored = Scorer(runtime, Artifact("m", "python", confidence=ConfidenceRule("margin", "y"))).score(rows(0))
    assert runtime.calls == 0
    assert scored.outputs["y"].shape == (0, 3)
    assert (scored.outputs["open"].shape, scored.outputs["open"].dtype) == ((0, 0, 2), np.int64)
    assert scored.confidence is not None
    assert (scored.confidence.shape, scored.confidence.dtype) == ((0,), np.float32)


def test_wrong_input_survives_pickling() -> None:
    with pytest.raises(InvalidInput) as caught:
        scorer(three).score({"x": np.zeros((2, 5), np.float32)})
    again = pickle.loads(pickle.dumps(caught.value))  # noqa: S301
    assert (again.field, again.reason) == ("x", "expected FP32 [N, 2], got FP32 [2, 5]")


def test_poisoned_rows_fail_alone_with_their_reason() -> None:
    subject = scorer(raises_on(2, 9), rule=("max_probability", "y"))
    scored = subject.score(rows(16))
    assert sorted(scored.failed) == [2, 9]
    assert scored.failed[2].startswith("ValueError: poisoned xxx")
    assert len(scored.failed[2]) == 500
    good = [row for row in range(16) if row not in (2, 9)]
    np.testing.assert_array_equal(scored.outputs["y"][good, 0], np.array(good) * 2)
    assert np.isnan(scored.outputs["y"][[2, 9]]).all()
    assert scored.confidence is not None
    np.testing.assert_array_equal(np.isnan(scored.confidence), np.isin(np.arange(16), (2, 9)))


def test_all_rows_poisoned() -> None:
    scored = scorer(raises_on(*range(5)), rule=("max_probability", "y")).score(rows(5))
    assert scored.outputs == {}
    assert sorted(scored.failed) == [0, 1, 2, 3, 4]
    assert scored.confidence is not None
    assert np.isnan(scored.confidence).all()


def test_fillers_follow_the_datatype() -> None:
    specs = [TensorSpec(name, name, (-1,)) for name in ("FP64", "INT32", "BOOL", "BYTES")]

    def function(tensors: Tensors) -> dict[str, np.ndarray]:
        raises_on(1)(tensors)
        n = len(tensors["x"])
        bytes_ = np.array([b"z"] * n, dtype=object)
        return {"FP64": np.ones(n), "INT32": np.ones(n, np.int32), "BOOL": np.ones(n, bool), "BYTES": bytes_}

    scored = scorer(function, *specs).score(rows(3))
    assert np.isnan(scored.outputs["FP64"][1])
    assert [scored.outputs[name][1] for name in ("INT32", "BOOL", "BYTES")] == [0, False, b""]
    assert [scored.outputs[name][2] for name in ("INT32", "BOOL", "BYTES")] == [1, True, b"z"]


def test_confidence_of_whole_numbers_is_unknown_where_a_row_failed() -> None:
    whole = TensorSpec("y", "INT32", (-1, 3))
    function = lambda tensors: {"y": raises_on(0)(tensors)["y"].astype(np.int32)}  # noqa: E731
    scored = scorer(function, whole, rule=("margin", "y")).score(rows(2))
    assert scored.confidence is not None
    np.testing.assert_array_equal(scored.confidence, [np.nan, 0])


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (lambda _: {"y": np.zeros((1, 3), np.float32)}, "output 'y' has 1 rows for 4 rows of input"),
        (lambda _: {"y": np.float32(1)}, "output 'y' has a single value"),
        (lambda n: {"z": np.zeros((n, 3), np.float32)}, "output 'y' is missing; the model gave ['z']"),
        (lambda n: {"y": np.array([["a"] * 3] * n)}, "output 'y' is BYTES, expected FP32"),
        (lambda n: {"y": np.zeros((n, 3), complex)}, "output 'y': dtype complex128"),
    ],
    ids=["rows", "scalar", "name", "dtype", "complex"],
)
def test_wrong_outputs_fail_all_rows_in_one_call(output: Callable[[int], dict], reason: str) -> None:
    runtime = FunctionRuntime(lambda tensors: output(len(tensors["x"])))
    scored = Scorer(runtime, Artifact("m", "python")).score(rows(4))
    assert runtime.calls == 1
    assert sorted(scored.failed) == [0, 1, 2, 3]
    assert scored.failed[3].startswith(f"WrongOutput: {reason}")


def test_outputs_of_the_same_kind_are_cast() -> None:
    scored = scorer(lambda t: {"y": three(t)["y"].astype(np.float64).T.copy().T, "extra": 1}).score(rows(3))
    assert list(scored.outputs) == ["y"]
    assert scored.outputs["y"].dtype == np.float32
    assert scored.outputs["y"].flags.c_contiguous


@pytest.mark.parametrize("error", [MemoryError(), Unavailable("m", "away")], ids=["memory", "away"])
def test_what_is_no_fault_of_a_row_is_not_halved(error: Exception) -> None:
    def function(_: Tensors) -> dict:
        raise error

    runtime = FunctionRuntime(function)
    with pytest.raises(type(error)):
        Scorer(runtime, Artifact("m", "python")).score(rows(8))
    assert runtime.calls == 1


def test_rows_that_raise_are_not_looked_for_when_nobody_waits_any_more(monkeypatch) -> None:
    now = [0.0]
    monkeypatch.setattr("mesh.runtimes.halving.time", SimpleNamespace(monotonic=lambda: now[0]))

    def function(_: Tensors) -> dict:
        now[0] += 1
        raise ValueError("broken")

    runtime = FunctionRuntime(function)
    with pytest.raises(DeadlineExceeded, match=r"time ran out.*ValueError: broken"):
        Scorer(runtime, Artifact("m", "python")).score(rows(1000), 5.0)
    assert 2 <= runtime.calls <= 6


def test_keyboard_interrupt_goes_through() -> None:
    def function(_: Tensors) -> dict:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scorer(function).score(rows(8))


def test_time_per_call_is_measured_after_warm_up() -> None:
    subject = scorer(three)
    assert subject.seconds_per_call == math.inf
    subject.warm_up((1, 8))
    assert 0 < subject.seconds_per_call < 0.1


def test_warm_up_says_why_a_model_is_broken() -> None:
    with pytest.raises(ArtifactError, match=r"model 'm': it fails on 1 row.*ValueError: poisoned"):
        scorer(raises_on(0)).warm_up()


def test_warm_up_says_what_is_declared_wrongly() -> None:
    wide = TensorSpec("y", "FP32", (-1, 4))
    artifact = Artifact("m", "python", signature=Signature((), (wide,)))
    with pytest.raises(
        ArtifactError, match=r"'y' is declared as FP32 \[N, 4\], but the model gives FP32 \[1, 3\]"
    ):
        Scorer(FunctionRuntime(three, wide), artifact).warm_up()
    open_ = FunctionRuntime(three, wide, inputs=(TensorSpec("x", "FP32", (-1, -1)),))
    Scorer(open_, artifact).warm_up()  # a model of [N, 2] is not asked with its own width


def test_warm_up_with_open_sizes_is_only_a_guess() -> None:
    runtime = FunctionRuntime(raises_on(0), inputs=(TensorSpec("x", "FP32", (-1, -1)),))
    Scorer(runtime, Artifact("m", "python")).warm_up((1,))
    assert runtime.calls == 2


def test_close_closes_the_runtime() -> None:
    runtime = FunctionRuntime(three)
    Scorer(runtime, Artifact("m", "python")).close()
    assert runtime.closed


def test_reserved_name_and_nothing_but_confidence() -> None:
    reserved = TensorSpec("confidence", "FP32", (-1,))
    with pytest.raises(ArtifactError, match=r"declare confidence: {output: confidence}"):
        scorer(three, SCORES, reserved)
    with pytest.raises(ArtifactError, match="no other output"):
        scorer(three, reserved, rule=("output", "confidence"))


def test_a_row_that_makes_a_library_panic_fails_alone() -> None:
    class Panic(BaseException):
        """As Rust's panics arrive in Python."""

    def function(tensors: Tensors) -> dict[str, np.ndarray]:
        if (tensors["x"][:, 0] == 4).any():
            raise Panic("index out of bounds")
        return three(tensors)

    scored = scorer(function).score(rows(5))
    assert scored.failed == {2: "Panic: index out of bounds"}
    assert len(scored.outputs["y"]) == 5
