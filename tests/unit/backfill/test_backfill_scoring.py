"""Old rows through a model: what stands in the table of its answers, and models that do not fit."""

import numpy as np
import pytest

from mesh.backfill import Backfill, day_key
from mesh.backfill.scoring import RowScorer
from mesh.errors import InvalidInput
from mesh.routing.types import Signature, TensorSpec
from mesh.runtimes.base import Artifact, ConfidenceRule
from mesh.stores.slices import slices_of
from tests.fakes.feature_rows import T0, a_batch, a_view, days

ECHO = Artifact("echo", "identity", version="3")
RULES = Artifact(
    "rules",
    "rules",
    signature=Signature(
        (TensorSpec("features", "FP32", (-1, 2)),),
        (TensorSpec("probabilities", "FP32", (-1, 2)), TensorSpec("confidence", "FP32", (-1,))),
    ),
    confidence=ConfidenceRule("output", "confidence"),
    options={
        "columns": ["a", "b"],
        "rules": [{"column": "a", "above": 1.0}],
        "scale": {"a": 1.0},
        "steepness": 1.0,
        "calibration": 1.0,
    },
)


def test_each_output_is_a_column_beside_who_said_it_of_which_row():
    table = RowScorer(ECHO, [2, 0]).score(a_batch([("pump-1", 0, 7.0), ("pump-2", 1_000, 8.0)]))
    rows = table.to_pylist()
    assert [row["entity"] for row in rows] == ["pump-1", "pump-2"]
    assert (rows[0]["features.0"], rows[0]["features.1"], rows[1]["features.1"]) == (3.0, 7.0, 8.0)
    assert (rows[0]["model"], rows[0]["version"], rows[0]["failed"]) == ("echo", "3", None)
    assert rows[0]["event_time"].timestamp() == pytest.approx(T0 / 1e3)
    assert str(rows[0]["day"]) == "2026-01-02"


def test_a_model_says_the_same_as_when_it_is_asked_alone():
    table = RowScorer(RULES, [0, 1]).score(a_batch([("p", 0, 0.0), ("p", 1, 5.0)]))
    low, high = table["probabilities.1"].to_pylist()
    assert low < 0.5 < high
    assert table["confidence"].null_count == 0


@pytest.mark.parametrize(
    ("datatype", "value", "held"),
    [
        ("INT8", 127.0, True),
        ("INT8", 128.0, False),
        ("UINT8", -1.0, False),
        ("INT64", 2.0**62, True),
        ("INT64", 2.0**63, False),
        ("INT32", 0.5, False),
        ("INT32", np.nan, False),
        ("BOOL", 1.0, True),
        ("BOOL", 2.0, False),
        ("FP32", np.nan, True),
    ],
)
def test_what_an_input_does_not_hold_fails_its_row_and_no_other(datatype: str, value: float, held: bool):
    whole = Artifact(
        "whole",
        "identity",
        version="1",
        signature=Signature(
            (TensorSpec("x", datatype, (-1, 2)),),
            (TensorSpec("x", datatype, (-1, 2)),),
        ),
    )
    table = RowScorer(whole, [0, 0]).score(a_batch([("p", 0, 1.0), ("q", 1, value)]))
    reasons = table["failed"].to_pylist()
    assert reasons[0] is None
    assert table["x.0"].to_pylist()[0] == 1.0
    assert reasons[1] == (None if held else f"InvalidInput: a value is missing or does not fit {datatype}")


def test_a_row_that_the_model_never_saw_has_no_confidence():
    pair = (TensorSpec("x", "INT32", (-1, 2)),)
    sure = Artifact(
        "sure", "identity", signature=Signature(pair, pair), confidence=ConfidenceRule("max_probability", "x")
    )
    table = RowScorer(sure, [0, 0]).score(a_batch([("p", 0, 1.0), ("q", 1, np.nan)]))
    assert table["confidence"].to_pylist() == [1.0, None]


def test_no_rows_are_no_answers_with_the_same_columns():
    scorer = RowScorer(RULES, [0, 1])
    full, empty = scorer.score(a_batch([("p", 0)])), scorer.score(a_batch([]))
    assert (empty.num_rows, empty.schema) == (0, full.schema)


def test_a_model_of_another_width_is_refused():
    with pytest.raises(InvalidInput, match="--columns: are 3, and 'rules' takes 2"):
        RowScorer(RULES, [0, 1, 2])


def test_a_day_is_cut_at_whole_hours_and_at_the_ends():
    day = T0 // days(1)
    cut = slices_of(day, day * days(1) + 1_800_000, day * days(1) + 7_200_001)
    edges = [(one.start - day * days(1), one.end - day * days(1)) for one in cut]
    assert edges == [(1_800_000, 3_600_000), (3_600_000, 7_200_000), (7_200_000, 7_200_001)]
    whole = slices_of(day, 0, 10**15)
    assert (len(whole), whole[0].start, whole[-1].end) == (24, day * days(1), (day + 1) * days(1))
    assert slices_of(day, 0, day * days(1)) == ()


@pytest.mark.parametrize(
    "changed",
    [
        {"columns": ("temp.mean",)},
        {"view": a_view(transform="0" * 16)},
        {"model": Artifact("echo", "identity", version="4")},
    ],
)
def test_a_key_names_all_that_results_follow_from(changed):
    job = {
        "view": a_view(),
        "history": "x",
        "model": ECHO,
        "columns": ("temp.std",),
        "start": T0 // days(1) * days(1),
        "end": (T0 // days(1) + 2) * days(1),
    }
    day = T0 // days(1)
    key = day_key(Backfill(**job), day, ["b", "a"], "digest")
    assert key == day_key(Backfill(**job | {"history": "moved"}), day, ["a", "b"], "digest")
    assert key != day_key(Backfill(**job | changed), day, ["a", "b"], "digest")
    assert key not in (
        day_key(Backfill(**job), day, ["a"], "digest"),
        day_key(Backfill(**job), day, ["a", "b"], "other"),
    )
    assert 0 <= key < np.iinfo(np.int64).max


def test_only_whole_days_are_scored():
    with pytest.raises(ValueError, match="beginnings of days"):
        Backfill(a_view(), "x", ECHO, ("temp.std",), T0, T0 + days(1))
