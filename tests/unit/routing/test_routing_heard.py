"""What several models of a cascade said of a row can be asked of its answer, superseded models among them."""

from dataclasses import replace

import numpy as np
import pytest
from routing_driver import FACTS, TABLE, batch_of, drive

from mesh.engine.merge import split_answer
from mesh.routing.table import Route, RouteTable
from mesh.routing.types import Scored
from mesh.routing.when import compile_when

SCORED = {name: replace(facts, score=("y", 0)) for name, facts in FACTS.items()}


def by_row(values, confidence=0.5):
    """A model that says its own of each row of the batch."""

    def says(call):
        scores = np.array(values, np.float32)[call.rows][:, None]
        sure = (
            np.broadcast_to(np.float32(confidence), len(call.rows))
            if np.isscalar(confidence)
            else (np.array(confidence, np.float32)[call.rows])
        )
        return Scored({"y": scores}, sure, "1")

    return says


MODELS = {
    "rules": by_row([0.1, 0.2, 0.3], confidence=[0.9, 0.1, 0.9]),
    "anomaly": by_row([0.7, 0.8, np.nan]),
}


def test_a_superseded_model_is_heard_with_the_one_that_answered():
    result, _ = drive(TABLE, SCORED, batch_of(3), MODELS)
    voices = result.answer.voices
    assert [sorted(voices.of(row)) for row in range(3)] == [["anomaly", "rules"], ["rules"], ["rules"]]
    assert voices.of(0) == pytest.approx({"rules": 0.1, "anomaly": 0.7})
    assert voices.spread() == pytest.approx([0.6, 0.0, 0.0])


def test_each_caller_hears_of_its_own_rows():
    result, _ = drive(TABLE, SCORED, batch_of(3), MODELS)
    first, second = split_answer(result.answer, [1, 2])
    assert first.voices.of(0) == pytest.approx({"rules": 0.1, "anomaly": 0.7})
    assert second.voices.of(0) == pytest.approx({"rules": 0.2})
    assert (first.voices.spread().tolist(), second.voices.spread().tolist()) == ([pytest.approx(0.6)], [0, 0])


def test_members_that_answer_together_are_heard_apart():
    table = RouteTable(
        "e", (Route("all", compile_when("always"), send=("rules", "anomaly"), combine="mean"),)
    )
    result, _ = drive(table, SCORED, batch_of(2), MODELS)
    assert result.answer.voices.of(1) == pytest.approx({"rules": 0.2, "anomaly": 0.8})
    assert result.answer.outputs["y"][1, 0] == pytest.approx(0.5)


def test_one_model_alone_has_no_voices_and_scores_that_nobody_declared_are_none():
    table = RouteTable("e", (Route("one", compile_when("always"), send=("rules",)),))
    alone, _ = drive(table, SCORED, batch_of(2), MODELS)
    bare, _ = drive(TABLE, FACTS, batch_of(3), MODELS)
    assert alone.answer.voices is None
    assert (dict(bare.answer.voices.of(0)), bare.answer.voices.spread().tolist()) == ({}, [0, 0, 0])
