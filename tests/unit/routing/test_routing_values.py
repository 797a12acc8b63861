"""Columns, labels, combinations, comparisons, deadlines, tables: the small parts."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from routing_driver import TABLE

from mesh.routing.columns import columns
from mesh.routing.combine import Opinion, combine
from mesh.routing.deadline import after, feasible, left_ms, tighter
from mesh.routing.errors import MixedOutputs
from mesh.routing.facts import LabelRule, labels_of, scores_of
from mesh.routing.shadow import compare
from mesh.routing.table import Canary, Route, RouteTable, ShadowRule, Split
from mesh.routing.types import MISSING
from mesh.routing.when import compile_when

NAN = float("nan")


def copied(value):
    return pickle.loads(pickle.dumps(value))  # noqa: S301 - our own bytes


def f32(*rows):
    return np.array(rows, np.float32)


def test_columns_look_dotted_names_up_in_nested_objects():
    objects = [{"a": 1, "b": {"c": "x"}}, {"b": {}}, {"b": 3}, None, {"a": None, "b.c": 1}]
    assert columns(objects, ["a", "b.c"]) == {
        "a": [1, MISSING, MISSING, MISSING, None],
        "b.c": ["x", MISSING, MISSING, MISSING, MISSING],
    }
    assert columns(objects, []) == {}


def test_missing_survives_pickling():
    assert copied(MISSING) is MISSING


def test_labels():
    probabilities = {"p": f32([0.1, 0.9], [0.8, 0.2], [NAN, 0.1])}
    assert labels_of(LabelRule("p", "argmax", ("ok", "bad")), probabilities).tolist() == [
        "bad",
        "ok",
        MISSING,
    ]
    np.testing.assert_equal(labels_of(LabelRule("p", "argmax"), probabilities), [1, 0, NAN])
    np.testing.assert_equal(labels_of(LabelRule("p", "threshold", threshold=0.8), probabilities), [0, 1, NAN])
    texts = {"t": np.array([b"a", "é".encode()], object)}
    assert labels_of(LabelRule("t"), texts).tolist() == ["a", "é"]
    assert labels_of(LabelRule("n", names=("x",)), {"n": np.array([0, 5])}).tolist() == ["x", MISSING]
    assert labels_of(LabelRule("n"), {"n": np.array([[3], [5]])}).tolist() == [3.0, 5.0]
    assert labels_of(LabelRule("b"), {"b": np.array([True, False])}).tolist() == [True, False]
    assert labels_of(LabelRule("absent"), texts) is None
    assert labels_of(LabelRule("t", "argmax"), texts) is None


def test_scores():
    outputs = {"y": f32([1, 2], [3, 4]), "t": np.array([b"a", b"b"], object)}
    assert scores_of(("y", 1), outputs).tolist() == [2, 4]
    assert scores_of(("y", 2), outputs) is None
    assert scores_of(("t", 0), outputs) is None
    assert scores_of(("absent", 0), outputs) is None


def opinions(*outputs, confidences=None, labels=None):
    confidences = confidences or [None] * len(outputs)
    labels = labels or [None] * len(outputs)
    names = "abc"
    return [Opinion(names[n], each, confidences[n], labels[n]) for n, each in enumerate(outputs)]


@pytest.mark.parametrize(
    ("how", "y", "confidence"),
    [("mean", [3.0], 0.5), ("median", [2.0], 0.5), ("max", [6.0], 0.75), ("min", [1.0], 0.25)],
)
def test_combining_numbers(how, y, confidence):
    three = opinions(
        {"y": f32([1])}, {"y": f32([6])}, {"y": f32([2])}, confidences=[f32(0.25), f32(0.75), f32(0.5)]
    )
    outputs, sure = combine(how, three)
    assert outputs["y"].tolist() == [y]
    assert outputs["y"].dtype == np.float32
    assert sure.tolist() == [confidence]
    assert sure.dtype == np.float32


def test_one_without_confidence_leaves_none():
    two = opinions({"y": f32([1])}, {"y": f32([3])}, confidences=[f32(0.5), None])
    assert combine("mean", two)[1] is None


def test_labels_are_not_averaged_but_voted_on():
    classes = [
        {"c": np.array([value, 7]), "t": np.array([text], object)}
        for value, text in ((1, b"x"), (3, b"y"), (3, b"y"))
    ]
    outputs, _ = combine("mean", opinions(*classes))
    assert outputs["c"].tolist() == [3, 7]
    assert outputs["t"].tolist() == [b"y"]
    assert combine("max", opinions(*classes))[0]["c"].tolist() == [3, 7]
    assert combine("max", opinions({"b": np.array([True])}, {"b": np.array([False])}))[0]["b"].tolist() == [
        True
    ]
    tied = opinions(*classes[:2])
    assert combine("median", tied)[0]["c"].tolist() == [1, 7]  # the model listed first


def test_a_vote_takes_whole_rows_of_the_winner():
    labels = [
        np.array(["x", "x", MISSING], object),
        np.array(["y", "y", "y"], object),
        np.array(["y", "z", MISSING], object),
    ]
    three = opinions(*({"y": f32([n], [n], [n])} for n in (1, 2, 3)), labels=labels)
    outputs, sure = combine("vote", three)
    assert outputs["y"].tolist() == [[2], [1], [2]]
    np.testing.assert_allclose(sure, [2 / 3, 1 / 3, 1 / 3])
    with pytest.raises(MixedOutputs, match="'a' gives none"):
        combine("vote", opinions({"y": f32([1])}, {"y": f32([1])}))


def test_first_takes_the_first():
    first, second = {"y": f32([1])}, {"other": f32([2])}
    assert combine("first", opinions(first, second))[0] is first


@pytest.mark.parametrize("other", [{"z": f32([1])}, {"y": f32([1, 2])}, {"y": np.array([[1.0]])}, {}])
def test_outputs_that_differ_do_not_combine(other):
    with pytest.raises(MixedOutputs, match=r"'a' answers y float32 \[N, 1\], 'b' answers"):
        combine("mean", opinions({"y": f32([1])}, other))


def test_comparison_of_numbers_and_labels():
    found = compare({"p": f32([0.9, 0.1], [0.2, 0.8])}, {"p": f32([0.8, 0.2], [0.7, 0.3])})
    assert (found.rows, found.label_disagreements, found.values, found.incomparable) == (2, 1, 4, 0)
    assert found.max_abs_difference == pytest.approx(0.5)
    assert found.mean_abs_difference == pytest.approx(0.3)
    ruled = compare({"p": f32([0.9], [0.2])}, {"p": f32([0.4], [0.1])}, LabelRule("p", "threshold"))
    assert ruled.label_disagreements == 1
    texts = compare({"t": np.array([b"a", b"b"], object)}, {"t": np.array([b"a", b"c"], object)})
    assert (texts.label_disagreements, texts.values, texts.max_abs_difference) == (1, 0, 0.0)


def test_comparison_of_what_cannot_be_compared():
    found = compare({"y": f32([NAN], [NAN], [np.inf], [1])}, {"y": f32([NAN], [1], [np.inf], [2])})
    assert (found.values, found.incomparable, found.max_abs_difference) == (3, 1, 1.0)
    shapes = compare({"y": f32([1], [2])}, {"y": f32([1, 1], [2, 2]), "z": f32(1, 2)})
    assert (shapes.rows, shapes.values, shapes.incomparable) == (2, 0, 6)
    assert compare({}, {}).rows == 0


def test_deadlines():
    assert after(10.0, 500) == 10.5
    assert after(10.0, None) is None
    assert (tighter(1.0, 2.0), tighter(None, 2.0), tighter(1.0, None), tighter(None, None)) == (
        1.0,
        2.0,
        1.0,
        None,
    )
    assert left_ms(10.5, 10.0) == 500
    assert left_ms(10.0, 10.5) == 0
    assert left_ms(None, 1.0) is None
    assert feasible(None, 0.0, 1e9)
    assert feasible(10.5, 10.0, 500)
    assert not feasible(10.5, 10.0, 501)
    assert feasible(10.5, 10.0, None)
    assert not feasible(10.0, 10.0, None)


def test_a_table_knows_what_it_reads_and_names():
    assert TABLE.models == {"rules", "anomaly", "degrader"}
    assert TABLE.answering == ("rules", "anomaly")
    assert TABLE.first_model == "rules"
    assert TABLE.attributes_read == {"rollout"}
    assert replace(TABLE, key="tenant.id", fallback="f").attributes_read == {"rollout", "tenant.id"}
    assert replace(TABLE, fallback="f").answering == ("rules", "anomaly", "f")
    with pytest.raises(ValueError, match="no model"):
        _ = RouteTable("e", ()).first_model


def test_the_hash_follows_the_content():
    assert TABLE.rules_hash == "3cded6670852"
    assert copied(TABLE).rules_hash == TABLE.rules_hash
    first = TABLE.routes[0]
    changed = [
        replace(TABLE, endpoint="other"),
        replace(TABLE, key="k"),
        replace(TABLE, deadline_ms=5),
        replace(TABLE, fallback="rules"),
        replace(TABLE, variants_allowed=True),
        *(
            replace(TABLE, routes=(route, *TABLE.routes[1:]))
            for route in (
                replace(first, name="other"),
                replace(first, when=compile_when("true")),
                replace(first, send=("anomaly",)),
                replace(first, combine="max"),
                replace(first, split=Split((("a", 100),))),
                replace(first, canary=Canary("a", 1)),
                replace(first, canary=Canary("a", 2)),
                replace(first, shadow=(ShadowRule("a"),)),
                replace(first, final=True),
                replace(first, on_error="fail"),
            )
        ),
        replace(TABLE, routes=TABLE.routes[::-1]),
    ]
    assert len({table.rules_hash for table in [TABLE, *changed]}) == len(changed) + 1


def test_a_pickled_table_still_runs():
    table = copied(TABLE)
    assert table == TABLE
    assert table.plan.routes[1].when.mask(1, {"confidence": f32(0.6)}.get).tolist() == [True]


def test_route_answering():
    route = Route("r", compile_when("always"), split=Split((("a", 50), ("b", 50))), canary=Canary("c", 1))
    assert route.answering == ("a", "b", "c")
