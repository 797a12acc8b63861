"""The golden table of the documentation: each row alone, all in one batch, and in any order."""

import random
from dataclasses import dataclass

import numpy as np
import pytest
from routing_driver import FACTS, TABLE, drive

from mesh.routing.sticky import place
from mesh.routing.types import MISSING, Batch, Scored

IN = next(f"key-{n}" for n in range(1000) if place("default/canary-rollout", f"key-{n}") < 0.1)
OUT = next(f"key-{n}" for n in range(1000) if place("default/canary-rollout", f"key-{n}") >= 0.1)
NAN = float("nan")


@dataclass(frozen=True)
class Case:
    number: str
    confidence: float | None  # what rules says; None where it fails
    rollout: object
    key: str
    called: tuple[str, ...]
    answer: tuple[str, str, str] | None
    compared: bool = False
    degraded: bool = False
    anomaly_fails: bool = False
    skipped: bool = False


BASELINE = ("rules", "baseline", "primary")
HYBRID = ("anomaly", "hybrid-anomaly", "primary")
CANARY = ("anomaly", "canary-rollout", "canary")
CASES = [
    Case("1 absent in", 0.30, MISSING, IN, ("rules",), BASELINE),
    Case("1 absent out", 0.30, MISSING, OUT, ("rules",), BASELINE),
    Case("1 false", 0.30, False, IN, ("rules",), BASELINE),
    Case("2", 0.59999, False, IN, ("rules",), BASELINE),
    Case("3 in", 0.60, False, IN, ("rules", "anomaly"), HYBRID, compared=True),
    Case("3 out", 0.60, False, OUT, ("rules", "anomaly"), HYBRID, compared=True),
    Case("4", 0.30, True, IN, ("rules", "anomaly"), CANARY),
    Case("5", 0.30, True, OUT, ("rules",), BASELINE),
    Case("6", 0.90, True, IN, ("rules", "anomaly"), CANARY, compared=True),
    Case("7", 0.90, True, OUT, ("rules", "anomaly"), HYBRID, compared=True),
    Case("8 text", 0.30, "true", IN, ("rules",), BASELINE),
    Case("8 number", 0.30, 1, IN, ("rules",), BASELINE),
    Case("9", NAN, True, OUT, ("rules",), BASELINE),
    Case(
        "10", 0.90, False, IN, ("rules", "anomaly"), BASELINE, degraded=True, anomaly_fails=True, skipped=True
    ),
    Case("11", None, True, IN, ("rules", "anomaly"), CANARY, degraded=True),
    Case("12", None, False, IN, ("rules",), None),
]


def score(cases, call):
    rows = [cases[row] for row in call.rows.tolist()]
    if call.model == "rules":
        failed = {at: "ValueError: no" for at, case in enumerate(rows) if case.confidence is None}
        sure = [case.confidence if case.confidence is not None else 0.0 for case in rows]
        y = [sure_ * 10 for sure_ in sure]
    else:
        failed = {at: "ValueError: no" for at, case in enumerate(rows) if case.anomaly_fails}
        sure, y = [0.75] * len(rows), [case.number.encode()[0] * 100.0 for case in rows]
    outputs = {} if len(failed) == len(rows) else {"y": np.array(y, np.float32)[:, None]}
    return Scored(outputs, np.array(sure, np.float32), "1", failed)


def check(cases):
    batch = Batch(
        {"x": np.zeros((len(cases), 1))},
        [case.number for case in cases],
        [case.key for case in cases],
        {"rollout": [case.rollout for case in cases]},
    )
    models = dict.fromkeys(("rules", "anomaly"), lambda call: score(cases, call))
    result, steps = drive(TABLE, FACTS, batch, models)
    asked = [(model, row) for step in steps for model, rows in step for row in rows]
    compared = {row for call in result.shadows for row in call.rows.tolist() if call.model == "degrader"}
    answer = result.answer
    assert len(asked) == len(set(asked))
    for row, case in enumerate(cases):
        assert {model for model, at in asked if at == row} == set(case.called), case.number
        assert (row in compared) == case.compared, case.number
        assert bool(answer.degraded[row]) == case.degraded, case.number
        if case.answer is None:
            assert (answer.failed[row].model, answer.failed[row].kind) == ("rules", "raised")
            assert "ValueError: no" in answer.failed[row].reason
            continue
        origin = answer.origins[answer.origin_of[row]]
        assert (origin.model, origin.route, origin.role) == case.answer, case.number
        assert row not in answer.failed
        sure = 0.75 if origin.model == "anomaly" else case.confidence
        np.testing.assert_equal(answer.confidence[row], np.float32(sure))
        expected = case.number.encode()[0] * 100.0 if origin.model == "anomaly" else case.confidence * 10
        np.testing.assert_equal(answer.outputs["y"][row, 0], np.float32(expected))
    skipped = sum(case.skipped for case in cases)
    assert dict(result.shadows_skipped) == ({"degrader": skipped} if skipped else {})
    assert answer.rules == TABLE.rules_hash


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.number)
def test_alone(case):
    check([case])


def test_all_in_one_batch():
    check(CASES)


@pytest.mark.parametrize("seed", range(20))
def test_in_any_order(seed):
    cases = CASES * 3
    random.Random(seed).shuffle(cases)
    check(cases)


def test_shadow_compares_with_what_the_routes_primary_said():
    """Case 6: the canary takes the row over, and the shadow is still compared with the route's own primary."""
    case = next(case for case in CASES if case.number == "6")
    batch = Batch({"x": np.zeros((1, 1))}, ["i"], [case.key], {"rollout": [True]})
    models = dict.fromkeys(("rules", "anomaly"), lambda call: score([case], call))
    result, _ = drive(TABLE, FACTS, batch, models)
    [call] = result.shadows
    assert (call.model, call.route, call.rows.tolist()) == ("degrader", "hybrid-anomaly", [0])
    assert (call.primary_origin.model, call.primary_origin.route, call.primary_origin.role) == HYBRID
    assert call.primary_outputs["y"].tolist() == [[ord("6") * 100.0]]
    assert call.primary_confidence.tolist() == [0.75]
    assert call.outputs is None
