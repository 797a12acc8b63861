"""Rows to the mesh: who is asked at which level, how long it is waited for, and what comes back as columns."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from polls import Facts, signature

from ingest.stages.rows import Rows, joined
from ingest.stages.score import LeftOut, Score, columns_of
from mesh.errors import DeadlineExceeded, InvalidInput, MeshError, Overloaded, Unavailable
from mesh.pipeline.plan import Level, StagePlan
from mesh.routing.types import MISSING, Answer, Batch, FailureKind, Origin, RowFailure, TensorSpec, Variant

NAMES = ("temp.mean", "temp.std", "flow.mean", "flow.std")
REQUIRED = StagePlan("score", "score", ("features",), endpoints={Level.FULL: "m"})
OPTIONAL = replace(REQUIRED, required=False)
FLAT = signature(TensorSpec("x", "FP32", (-1, 4)))


def rows(count: int = 2) -> Rows:
    at = np.arange(count)
    features = np.arange(count * 4, dtype=np.float64).reshape(count, 2, 2)
    return Rows(at, [f"pump-{each}" for each in at], at * 1_000, at, features, {"z": at + 0.5})


def answer(count: int = 2, outputs=None, confidence=None, failed=None) -> Answer:
    outputs = {"score": np.arange(count, dtype=np.float32)} if outputs is None else outputs
    degraded, origin_of = np.zeros(count, bool), np.zeros(count, np.intp)
    return Answer(
        outputs, confidence, (Origin("m", "1", "m", "primary"),), origin_of, degraded, failed or {}, ""
    )


def nobody(count: int, kind: FailureKind = "away") -> Answer:
    """What the mesh answers while a model is away."""
    return answer(count, {}, failed=dict.fromkeys(range(count), RowFailure("m", kind, "no replica", 0.001)))


class Scripted(Facts):
    """An engine that says what it was told to, call after call; the last for ever."""

    endpoints = ("m", "light")

    def __init__(self, *says: Answer | MeshError, known=FLAT, reads: frozenset[str] = frozenset()) -> None:
        super().__init__(known, reads)
        self._says = list(says)
        self.asked: list[tuple[str, Batch, float | None]] = []

    async def infer(
        self, endpoint: str, batch: Batch, *, deadline: float | None = None, variant: Variant | None = None
    ) -> Answer:
        said: Sequence[Answer | MeshError] = self._says
        self.asked.append((endpoint, batch, deadline))
        last = said[min(len(self.asked), len(said)) - 1]
        if isinstance(last, MeshError):
            raise last
        return last


async def scored(
    engine: Scripted, plan: StagePlan = REQUIRED, *, level=Level.FULL, within_s=60.0, given=None
) -> Rows:
    stage = Score(plan, engine, NAMES)
    return await asyncio.wait_for(
        stage.step(rows() if given is None else given, level, time.monotonic() + within_s), 20
    )


async def test_the_answer_comes_as_columns_beside_those_there_were() -> None:
    found = await scored(Scripted(answer(confidence=np.array([0.25, 0.5], np.float32))))
    assert {name: values.tolist() for name, values in found.columns.items()} == {
        "z": [0.5, 1.5],
        "score": [0.0, 1.0],
        "confidence": [0.25, 0.5],
        "degraded": [False, False],
        "model": ["m", "m"],
        "version": ["1", "1"],
    }


async def test_the_endpoint_of_the_level_is_asked_and_nobody_above_it() -> None:
    plan = replace(REQUIRED, upto=Level.CHEAP, endpoints={Level.FULL: "m", Level.LIGHT: "light"})
    engine = Scripted(answer())
    found = [await scored(engine, plan, level=level) for level in Level]
    assert [endpoint for endpoint, _, _ in engine.asked] == ["m", "light", "light"]
    assert "score" not in found[Level.STORE].columns


async def test_without_rows_nobody_is_asked() -> None:
    engine = Scripted(answer())
    assert len(await scored(engine, given=rows(0))) == 0
    assert not engine.asked


@pytest.mark.parametrize(
    ("spec", "shape", "dtype"),
    [
        (TensorSpec("x", "FP32", (-1, 4)), (2, 4), np.float32),
        (TensorSpec("x", "FP64", (-1, -1)), (2, 4), np.float64),
        (TensorSpec("windows", "FP32", (-1, 2, 2)), (2, 2, 2), np.float32),
    ],
)
async def test_features_go_in_the_shape_and_type_that_the_model_takes(spec, shape, dtype) -> None:
    engine = Scripted(answer(), known=signature(spec))
    await scored(engine)
    ((_, batch, _),) = engine.asked
    (tensor,) = batch.tensors.values()
    assert list(batch.tensors) == [spec.name]
    assert (tensor.shape, tensor.dtype) == (shape, dtype)
    np.testing.assert_array_equal(tensor.ravel(), np.arange(8))


async def test_rows_are_known_by_asset_and_time_and_stick_to_their_asset() -> None:
    engine = Scripted(answer())
    await scored(engine)
    ((_, batch, _),) = engine.asked
    assert batch.ids == ["pump-0@0", "pump-1@1000"]
    assert batch.keys == ["pump-0", "pump-1"]


async def test_rules_read_the_asset_columns_and_features_by_their_names() -> None:
    reads = frozenset({"asset", "z", "temp.std", "flow.mean", "tenant"})
    engine = Scripted(answer(), reads=reads)
    await scored(engine)
    ((_, batch, _),) = engine.asked
    assert batch.attributes == {
        "asset": ["pump-0", "pump-1"],
        "z": [0.5, 1.5],
        "temp.std": [1.0, 5.0],
        "flow.mean": [2.0, 6.0],
        "tenant": [MISSING, MISSING],
    }


@pytest.mark.parametrize(
    "away", [Unavailable("m", "starting", 0.001), Overloaded("m", "full", 0.001), DeadlineExceeded("late")]
)
async def test_a_required_answer_is_waited_for_past_its_deadline(away) -> None:
    engine = Scripted(away, away, answer())
    found = await scored(engine, within_s=-1.0)
    assert found.columns["score"].tolist() == [0.0, 1.0]
    assert [deadline for _, _, deadline in engine.asked] == [None] * 3


@pytest.mark.parametrize("kind", ["away", "overloaded", "deadline"])
async def test_rows_that_nobody_answers_in_passing_are_waited_for_too(kind) -> None:
    engine = Scripted(nobody(2, kind), answer(failed={1: RowFailure("m", kind, "gone")}), answer())
    found = await scored(engine)
    assert found.columns["score"].tolist() == [0.0, 1.0]
    assert len(engine.asked) == 3


async def test_a_model_that_nobody_knows_yet_is_waited_for() -> None:
    engine = Scripted(answer(), known=None)
    waiting = asyncio.create_task(scored(engine))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    assert not engine.asked
    engine.known = FLAT
    assert "score" in (await waiting).columns


async def test_what_is_not_required_is_left_out_after_its_retries() -> None:
    engine = Scripted(nobody(2))
    with pytest.raises(LeftOut, match="m: model 'm' is not available: away: no replica"):
        await scored(engine, replace(OPTIONAL, retries=1))
    assert len(engine.asked) == 2
    assert all(deadline is not None for _, _, deadline in engine.asked)
    with pytest.raises(LeftOut, match="late"):
        await scored(Scripted(DeadlineExceeded("late")), OPTIONAL)


async def test_a_retry_that_would_begin_after_the_deadline_is_not_waited_for(monkeypatch) -> None:
    monkeypatch.setattr("ingest.stages.score._BACKOFF_S", (90.0, 90.0))
    engine = Scripted(Unavailable("m", "starting", 90.0))
    with pytest.raises(LeftOut, match="starting"):  # and no TimeoutError, as waiting for either would be
        await scored(engine, replace(OPTIONAL, retries=10), within_s=60.0)
    assert len(engine.asked) == 1


async def test_what_is_not_required_takes_what_was_answered() -> None:
    found = await scored(Scripted(answer(failed={0: RowFailure("m", "away", "gone")})), OPTIONAL)
    np.testing.assert_array_equal(found.columns["score"], [np.nan, 1.0])


async def test_features_of_a_wrong_width_stop_what_is_required_and_leave_out_what_is_not() -> None:
    wrong = InvalidInput("x", "expected [-1, 4], got [2, 6]")
    with pytest.raises(InvalidInput, match="expected"):
        await scored(Scripted(wrong))
    with pytest.raises(LeftOut, match=r"m: x: expected \[-1, 4\]"):
        await scored(Scripted(wrong), OPTIONAL)


def test_outputs_become_columns_by_their_width() -> None:
    outputs = {
        "score": np.array([1, 2], np.float32),
        "life": np.array([[3], [4]], np.float32),
        "interval": np.array([[5, 6], [7, 8]], np.float32),
        "grid": np.arange(8, dtype=np.int64).reshape(2, 2, 2),
        "label": np.array([b"ok", b"bad"], object),
    }
    found = columns_of(answer(outputs=outputs))
    assert {name: values.tolist() for name, values in found.items()} == {
        "score": [1, 2],
        "life": [3, 4],
        "interval.0": [5, 7],
        "interval.1": [6, 8],
        "grid.0": [0, 4],
        "grid.1": [1, 5],
        "grid.2": [2, 6],
        "grid.3": [3, 7],
        "label": [b"ok", b"bad"],
        "degraded": [False, False],
        "model": ["m", "m"],
        "version": ["1", "1"],
    }


def test_rows_that_failed_hold_nothing_that_a_rule_could_believe() -> None:
    outputs = {"score": np.array([1, 2], np.float32), "class": np.array([3, 4], np.int64)}
    failed = {1: RowFailure("m", "raised", "ValueError: no")}
    found = columns_of(answer(outputs=outputs, confidence=np.array([0.5, 0.9], np.float32), failed=failed))
    for name, first in (("score", 1.0), ("class", 3.0), ("confidence", 0.5)):
        np.testing.assert_array_equal(found[name], [first, np.nan])


def test_where_every_row_failed_there_is_no_output() -> None:
    failed = dict.fromkeys(range(2), RowFailure("m", "raised", "ValueError: no"))
    assert set(columns_of(replace(answer(outputs={}, failed=failed), origins=()))) == {"degraded"}


def test_each_row_says_which_version_answered_it_and_a_failed_one_none() -> None:
    origins = (Origin("m", "1", "main", "primary"), Origin("m@2", "2", "main", "canary"))
    found = columns_of(
        replace(
            answer(3, failed={1: RowFailure("m", "raised", "no")}),
            origins=origins,
            origin_of=np.array([1, -1, 0]),
        )
    )
    assert (found["model"].tolist(), found["version"].tolist()) == (["m@2", "", "m"], ["2", "", "1"])


def test_joined_rows_have_the_columns_of_all_later_parts_winning() -> None:
    whole = joined(
        [rows().also({"a": np.array([1, 2])}), rows().also({"a": np.array([3, 4]), "b": np.array([5, 6])})]
    )
    assert {name: values.tolist() for name, values in whole.columns.items()} == {
        "z": [0.5, 1.5],
        "a": [3, 4],
        "b": [5, 6],
    }
