import numpy as np
import pytest

from mesh.cli.explain import _tensors, explain_row, page, said
from mesh.errors import InvalidInput
from mesh.routing.table import Canary, ModelFacts, Route, RouteTable, ShadowRule
from mesh.routing.types import MISSING, Batch, Scored, TensorSpec, Unreachable
from mesh.routing.when import compile_when

TABLE = RouteTable(
    "default",
    (
        Route("baseline", compile_when("always"), send=("rules",)),
        Route(
            "hybrid", compile_when("confidence >= 0.6"), send=("anomaly",), shadow=(ShadowRule("degrader"),)
        ),
        Route("rollout", compile_when("rollout == true"), canary=Canary("anomaly", 100)),
    ),
)
FACTS = {name: ModelFacts(name, has_confidence=True) for name in ("rules", "anomaly", "degrader")}


def explained(confidence, rollout=MISSING, away=()):
    def call(model):
        if model in away:
            return Unreachable("away", f"{model} is away")
        return Scored({"y": np.zeros((1, 1), np.float32)}, np.array([confidence], np.float32), "1")

    return explain_row(TABLE, FACTS, Batch({}, ["row"], attributes={"rollout": [rollout]}), call, None)


@pytest.mark.parametrize(
    ("confidence", "rollout", "applies", "answer", "called"),
    [
        (0.3, MISSING, [True, False, False], "rules · baseline · primary", ("rules",)),
        (0.9, False, [True, True, False], "anomaly · hybrid · primary", ("rules", "anomaly")),
        (0.3, True, [True, False, True], "anomaly · rollout · canary", ("rules", "anomaly")),
        (0.3, "true", [True, False, False], "rules · baseline · primary", ("rules",)),
    ],
)
def test_every_route_says_whether_it_applies_and_who_answers_in_the_end(
    confidence, rollout, applies, answer, called
):
    found = explained(confidence, rollout)
    assert [route.applied for route in found.routes] == applies
    assert said(found.result.answer).startswith(answer)
    assert found.called == called


def test_shadows_and_what_was_read_are_shown():
    text = page("endpoint default", explained(0.9)).plain
    assert "when confidence >= 0.6" in text
    assert "applies (confidence is 0.9); sends it to anomaly; shadowed by degrader" in text
    assert "does not apply (rollout is missing)" in text
    assert "compared with: degrader (hybrid)" in text


def test_a_row_without_an_answer_says_why():
    found = explained(0.9, away=("rules",))
    assert said(found.result.answer) == "none: rules is away"
    assert "confidence is missing" in found.routes[1].reason


@pytest.mark.parametrize(
    ("datatype", "given"), [("INT64", [[1.5]]), ("UINT8", [[300]]), ("BOOL", [[7]]), ("FP32", [["a"]])]
)
def test_a_row_that_the_mesh_would_refuse_is_refused(datatype, given):
    with pytest.raises(InvalidInput, match="FEATURES: is no row of numbers"):
        _tensors((TensorSpec("x", datatype, (-1, 1)),), given)


def test_texts_are_given_as_the_mesh_gives_them():
    assert _tensors((TensorSpec("x", "BYTES", (-1, 1)),), [["ä"]])["x"].tolist() == [["ä".encode()]]
    assert _tensors((TensorSpec("x", "INT64", (-1, 2)),), [[1, 2.0]])["x"].tolist() == [[1, 2]]
