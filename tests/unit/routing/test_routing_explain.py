import pytest
from routing_driver import FACTS, TABLE, batch_of, saying

from mesh.routing.explain import explain
from mesh.routing.sticky import place
from mesh.routing.table import Route, RouteTable, Split
from mesh.routing.types import MISSING, Batch
from mesh.routing.when import compile_when

MODELS = {"rules": saying(1, 0.9), "anomaly": saying(2, 0.7)}


def told(table, batch, variant=None, models=MODELS):
    steps = explain(table, FACTS, batch, variant)
    results = None
    while True:
        try:
            step = next(steps) if results is None else steps.send(results)
        except StopIteration as done:
            return done.value
        results = [models[call.model](call) for call in step.calls]


def row(key, rollout):
    return Batch({}, ["id"], [key], {"rollout": [rollout]})


IN = next(f"k{n}" for n in range(1000) if place("default/canary-rollout", f"k{n}") < 0.1)
OUT = next(f"k{n}" for n in range(1000) if place("default/canary-rollout", f"k{n}") >= 0.1)


def test_each_route_says_why():
    explanation = told(TABLE, row(IN, True))
    first, second, third = explanation.routes
    assert (explanation.endpoint, explanation.rules, explanation.key) == ("default", TABLE.rules_hash, IN)
    assert explanation.called == ("rules", "anomaly")
    assert (first.applied, first.models, first.role, first.reason) == (
        True,
        ("rules",),
        "primary",
        "applies; sends it to rules",
    )
    assert second.reason.startswith("applies (confidence is 0.9)")
    assert second.reason.endswith("; sends it to anomaly; shadowed by degrader")
    assert (third.role, third.models, dict(third.read)) == ("canary", ("anomaly",), {"rollout": True})
    assert third.place == place("default/canary-rollout", IN)
    assert "inside the canary's share of 0.1" in third.reason
    assert explanation.result.answer.origins[0].route == "canary-rollout"


def test_what_does_not_apply():
    explanation = told(TABLE, row(OUT, MISSING), models={"rules": saying(1, 0.2)})
    assert explanation.routes[1].reason.startswith("does not apply (confidence is 0.2")
    assert explanation.routes[2].reason == "does not apply (rollout is missing)"
    assert explanation.routes[2].place is None
    assert explanation.called == ("rules",)


def test_outside_the_share_the_answer_stays():
    third = told(TABLE, row(OUT, True)).routes[2]
    assert third.applied
    assert third.models == ()
    assert "outside the canary's share" in third.reason
    assert third.reason.endswith("leaves the answer as it is")


def test_the_cascade_is_over_after_a_final_route():
    table = RouteTable(
        "e",
        (
            Route("a", compile_when("always"), split=Split((("rules", 50), ("anomaly", 50))), final=True),
            Route("b", compile_when("confidence > 0.1"), send=("anomaly",)),
        ),
        fallback="rules",
    )
    explanation = told(table, batch_of(1))
    assert "of the split; sends it to" in explanation.routes[0].reason
    assert explanation.routes[0].reason.endswith("ends the cascade")
    assert explanation.routes[1].reason == "not reached: the cascade was over for this row"
    assert not explanation.routes[1].applied
    assert len(explanation.called) == 1


def test_an_answer_that_was_not_asked_for_is_not_shown():
    table = RouteTable(
        "e",
        (
            Route("a", compile_when("always"), send=("rules",)),
            Route("b", compile_when("x && confidence > 0.1"), send=("anomaly",)),
        ),
    )
    assert told(table, batch_of(1, x=[False])).routes[1].reason == "does not apply (x is False)"


def test_only_one_row():
    with pytest.raises(ValueError, match="not 2"):
        next(explain(TABLE, FACTS, batch_of(2)))
