"""What the cascade does beyond the documented table, case by case."""

import numpy as np
import pytest
from routing_driver import FACTS, TABLE, batch_of, drive, saying

from mesh.routing.cascade import cascade
from mesh.routing.sticky import buckets
from mesh.routing.table import Canary, LabelRule, ModelFacts, Route, RouteTable, ShadowRule, Split
from mesh.routing.types import MISSING, Batch, Scored, Unreachable
from mesh.routing.when import compile_when

ALWAYS = compile_when("always")
AWAY = Unreachable("away", "no replica", 2.0)


def table_of(*routes, **endpoint):
    return RouteTable("e", routes, **endpoint)


def away(_call):
    return AWAY


def raising(_call):
    return Scored({}, None, "1", dict.fromkeys(range(len(_call.rows)), "ValueError: bad"))


def test_one_model_s_arrays_pass_through_uncopied():
    scored = Scored({"y": np.zeros((3, 2), np.float32)}, np.full(3, 0.1, np.float32), "7")
    result, _ = drive(TABLE, FACTS, batch_of(3), {"rules": lambda _: scored})
    assert result.answer.outputs is scored.outputs
    assert result.answer.confidence is scored.confidence
    assert result.answer.origin_of.tolist() == [0, 0, 0]
    assert result.answer.origins[0].version == "7"


def test_one_call_under_several_routes_passes_through_uncopied():
    table = table_of(Route("a", compile_when("x"), send=("m",)), Route("b", compile_when("!x"), send=("m",)))
    scored = Scored({"y": np.arange(4.0)}, None, "1")
    result, steps = drive(table, {}, batch_of(4, x=[True, False, True, False]), {"m": lambda _: scored})
    assert steps == [[("m", [0, 1, 2, 3])]]
    assert result.answer.outputs is scored.outputs
    assert [result.answer.origins[at].route for at in result.answer.origin_of] == ["a", "b", "a", "b"]


def test_no_model_is_called_for_an_answer_that_nothing_reads():
    table = table_of(Route("a", ALWAYS, send=("slow",)), Route("b", compile_when("x == 1"), send=("fast",)))
    _, steps = drive(table, {}, batch_of(3, x=[1, 2, 1]), {"slow": saying(1), "fast": saying(2)})
    assert steps == [[("slow", [1]), ("fast", [0, 2])]]


def test_attributes_that_decide_alone_ask_for_no_answer():
    table = table_of(
        Route("a", ALWAYS, send=("a",)),
        Route("b", compile_when("x && confidence > 0.4"), send=("b",)),
        Route("c", ALWAYS, send=("c",)),
    )
    _, steps = drive(table, {}, batch_of(3, x=[True, False, True]), dict.fromkeys("abc", saying(1)))
    assert steps == [[("a", [0, 2])], [("c", [0, 1, 2])]]


def test_rows_that_are_over_are_asked_for_together_with_the_others():
    table = table_of(
        Route("a", compile_when("x"), send=("a",), final=True),
        Route("b", ALWAYS, send=("b",)),
        Route("c", compile_when("confidence > 0.9"), send=("c",)),
    )
    result, steps = drive(table, {}, batch_of(2, x=[True, False]), dict.fromkeys("abc", saying(1)))
    assert steps == [[("a", [0]), ("b", [1])]]
    assert [result.answer.origins[at].model for at in result.answer.origin_of] == ["a", "b"]


def test_a_split_divides_by_key_and_keeps_its_shares():
    table = table_of(Route("s", ALWAYS, split=Split((("a", 20), ("b", 30), ("c", 50)))))
    batch = batch_of(500)
    result, steps = drive(table, {}, batch, dict.fromkeys("abc", saying(1)))
    places = buckets("e/s", batch.ids)
    expected = np.where(places < 0.2, "a", np.where(places < 0.5, "b", "c")).tolist()
    assert [result.answer.origins[at].model for at in result.answer.origin_of] == expected
    assert len(steps) == 1
    assert {origin.role for origin in result.answer.origins} == {"primary"}


def test_a_canary_takes_its_share_instead_of_send():
    table = table_of(Route("r", ALWAYS, send=("a",), canary=Canary("b", 25)))
    batch = batch_of(200)
    result, _ = drive(table, {}, batch, {"a": saying(1), "b": saying(2)})
    inside = buckets("e/r", batch.ids) < 0.25
    assert result.answer.outputs["y"][:, 0].tolist() == np.where(inside, 2, 1).tolist()
    assert [result.answer.origins[at].role for at in result.answer.origin_of] == np.where(
        inside, "canary", "primary"
    ).tolist()


@pytest.mark.parametrize(("percent", "model"), [(0, "a"), (100, "b")])
def test_a_canary_of_nothing_and_of_everything(percent, model):
    table = table_of(Route("r", ALWAYS, send=("a",), canary=Canary("b", percent)))
    result, steps = drive(table, {}, batch_of(50), {"a": saying(1), "b": saying(2)})
    assert steps == [[(model, list(range(50)))]]
    assert len(result.answer.origins) == 1


@pytest.mark.parametrize(("variant", "role"), [("canary", "canary"), ("primary", "primary")])
def test_the_variant_is_honoured_only_where_the_table_allows_it(variant, role):
    route = Route("r", ALWAYS, send=("a",), canary=Canary("b", 50))
    models = {"a": saying(1), "b": saying(2)}
    allowed, _ = drive(table_of(route, variants_allowed=True), {}, batch_of(20), models, variant)
    assert {origin.role for origin in allowed.answer.origins} == {role}
    not_allowed, _ = drive(table_of(route), {}, batch_of(20), models, variant)
    assert {origin.role for origin in not_allowed.answer.origins} == {"canary", "primary"}


def test_the_variant_does_not_widen_the_condition():
    table = table_of(
        Route("r", ALWAYS, send=("a",)),
        Route("c", compile_when("x"), canary=Canary("b", 0)),
        variants_allowed=True,
    )
    result, _ = drive(table, {}, batch_of(2, x=[True, False]), {"a": saying(1), "b": saying(2)}, "canary")
    assert [result.answer.origins[at].role for at in result.answer.origin_of] == ["canary", "primary"]


def test_the_fallback_answers_rows_that_no_route_took_and_is_no_degradation():
    table = table_of(Route("r", compile_when("x"), send=("a",)), fallback="f")
    result, _ = drive(table, {}, batch_of(2, x=[True, MISSING]), {"a": saying(1), "f": saying(9)})
    assert result.answer.outputs["y"].tolist() == [[1], [9]]
    fallback = result.answer.origins[result.answer.origin_of[1]]
    assert (fallback.model, fallback.route, fallback.role) == ("f", "fallback", "fallback")
    assert not result.answer.degraded.any()


def test_without_a_fallback_such_rows_fail_with_a_reason_and_only_they():
    table = table_of(Route("r", compile_when("x"), send=("a",)))
    result, _ = drive(table, {}, batch_of(2, x=[True, False]), {"a": saying(1)})
    answer = result.answer
    assert (answer.failed[1].kind, answer.failed[1].model) == ("raised", "e")
    assert answer.failed[1].reason == "no route of 'e' answered this row, and there is no fallback"
    assert answer.origin_of.tolist() == [0, -1]
    assert answer.outputs["y"][0] == 1
    assert np.isnan(answer.outputs["y"][1]).all()
    assert np.isnan(answer.confidence[1])


@pytest.mark.parametrize(
    ("on_error", "model", "role", "route"),
    [("next", "a", "primary", "one"), ("fallback", "f", "fallback", "two"), ("fail", None, None, None)],
)
def test_on_error(on_error, model, role, route):
    table = table_of(
        Route("one", ALWAYS, send=("a",)), Route("two", ALWAYS, send=("b",), on_error=on_error), fallback="f"
    )
    result, steps = drive(table, {}, batch_of(1), {"a": saying(1), "b": away, "f": saying(9)})
    answer = result.answer
    if model is None:
        assert answer.failed[0].model == "b"
        assert (answer.failed[0].kind, answer.failed[0].retry_after_s) == ("away", 2.0)
        assert steps == [[("b", [0])]]
        assert answer.outputs == {}
        assert answer.confidence is None
        assert not answer.degraded[0]
    else:
        origin = answer.origins[0]
        assert (origin.model, origin.role, origin.route) == (model, role, route)
        assert answer.degraded[0]


def test_a_fallback_that_fails_too_leaves_the_answer_so_far():
    table = table_of(
        Route("one", ALWAYS, send=("a",)),
        Route("two", ALWAYS, send=("b",), on_error="fallback"),
        fallback="f",
    )
    result, steps = drive(table, {}, batch_of(1), {"a": saying(1), "b": away, "f": raising})
    assert result.answer.origins[0].model == "a"
    assert steps == [[("b", [0])], [("f", [0])], [("a", [0])]]


def test_a_row_that_trying_again_may_help_says_so():
    """Never a dead letter for good data: the transient cause wins over the row's own."""
    table = table_of(Route("one", ALWAYS, send=("a",)), Route("two", ALWAYS, send=("b",)), fallback="f")
    result, _ = drive(table, {}, batch_of(1), {"a": away, "b": raising, "f": raising})
    assert (result.answer.failed[0].model, result.answer.failed[0].kind) == ("a", "away")
    result, _ = drive(table, {}, batch_of(1), {"a": raising, "b": raising, "f": raising})
    assert (result.answer.failed[0].model, result.answer.failed[0].reason) == ("f", "ValueError: bad")


def test_a_stage_without_time_is_skipped_and_the_answer_so_far_returned():
    late = Unreachable("deadline", "takes 30 ms, 5 ms are left")
    result, _ = drive(TABLE, FACTS, batch_of(2), {"rules": saying(1, 0.9), "anomaly": lambda _: late})
    assert result.answer.origins[0].model == "rules"
    assert result.answer.degraded.all()
    assert result.shadows == ()
    assert result.shadows_skipped == {"degrader": 2}


def test_several_models_are_asked_at_once_and_combined():
    table = table_of(Route("r", ALWAYS, send=("a", "b"), combine="mean"))
    result, steps = drive(table, {}, batch_of(2), {"a": saying(1, 0.2), "b": saying(3, 0.6, "2")})
    assert steps == [[("a", [0, 1]), ("b", [0, 1])]]
    assert result.answer.outputs["y"].tolist() == [[2], [2]]
    np.testing.assert_allclose(result.answer.confidence, [0.4, 0.4])
    assert (result.answer.origins[0].model, result.answer.origins[0].version) == ("a+b", "1+2")
    assert not result.answer.degraded.any()


def test_what_is_left_of_several_models_is_combined_and_marked():
    table = table_of(Route("r", ALWAYS, send=("a", "b"), combine="mean"))

    def half(call):
        return Scored(
            {"y": np.full((2, 1), 3, np.float32)}, np.full(2, 0.6, np.float32), "1", {1: "ValueError: bad"}
        )

    result, _ = drive(table, {}, batch_of(2), {"a": saying(1, 0.2), "b": half})
    assert result.answer.outputs["y"].tolist() == [[2], [1]]
    assert [result.answer.origins[at].model for at in result.answer.origin_of] == ["a+b", "a"]
    assert result.answer.degraded.tolist() == [False, True]


def test_models_that_do_not_combine_fail_their_route():
    table = table_of(Route("one", ALWAYS, send=("a",)), Route("r", ALWAYS, send=("a", "b"), combine="mean"))
    other = Scored({"z": np.ones(1)}, None, "1")
    result, _ = drive(table, {}, batch_of(1), {"a": saying(1), "b": lambda _: other})
    assert result.answer.origins[0].route == "one"
    assert result.answer.degraded[0]


def test_answers_that_do_not_fit_together_fail_as_rows():
    table = table_of(Route("r", compile_when("x"), send=("a",)), Route("s", compile_when("!x"), send=("b",)))
    other = Scored({"y": np.array(["no"], object)}, None, "1")
    batch = batch_of(3, x=[True, False, True])
    result, _ = drive(table, {}, batch, {"a": saying(1), "b": lambda _: other})
    failure = result.answer.failed[1]
    assert (failure.model, failure.kind) == ("b", "raised")
    assert failure.reason == "'a' answers y float32 [N, 1], 'b' answers y object [N]; they must be alike"
    assert result.answer.origin_of.tolist() == [0, -1, 0]


def test_no_model_is_asked_twice_about_a_row():
    table = table_of(
        Route("one", compile_when("x"), send=("a",)),
        Route("two", compile_when("confidence > 0.9"), send=("b",)),
        Route("three", ALWAYS, send=("a",)),
    )
    _, steps = drive(table, {}, batch_of(3, x=[True, False, True]), {"a": saying(1), "b": saying(2)})
    assert steps == [[("a", [0, 2])], [("a", [1])]]


def test_versions_that_differ_between_calls_are_told_apart():
    table = table_of(
        Route("one", compile_when("x"), send=("a",)),
        Route("two", compile_when("confidence > 0.9"), send=("b",)),
        Route("three", compile_when("!x"), send=("a",)),
    )
    versions = iter("12")

    def newer(call):
        return saying(1, version=next(versions))(call)

    result, _ = drive(
        table,
        {},
        batch_of(3, x=[True, False, True]),
        {"a": newer},
    )
    assert [result.answer.origins[at].version for at in result.answer.origin_of] == ["1", "2", "1"]


def test_rules_read_score_label_and_model():
    facts = {"a": ModelFacts("a", score=("p", 1), label=LabelRule("p", "argmax", ("low", "high")))}

    def a(call):
        return Scored({"p": np.array([[0.9, 0.1], [0.2, 0.8]], np.float32)[call.rows]}, None, "1")

    for text, expected in (
        ("score >= 0.8", [False, True]),
        ('label == "high"', [False, True]),
        ('label != "high"', [True, False]),
        ('model == "a"', [True, True]),
        ("has(confidence)", [False, False]),
        ("confidence != 7", [False, False]),
    ):
        table = table_of(
            Route("one", ALWAYS, send=("a",)), Route("two", compile_when(text), canary=Canary("a", 100))
        )
        result, _ = drive(table, facts, batch_of(2), {"a": a})
        assert [result.answer.origins[at].role == "canary" for at in result.answer.origin_of] == expected, (
            text
        )


def test_a_shadow_takes_its_share_by_key():
    table = table_of(Route("r", ALWAYS, send=("a",), shadow=(ShadowRule("s", 30),)))
    batch = batch_of(300)
    result, steps = drive(table, {}, batch, {"a": saying(1)})
    [call] = result.shadows
    assert call.rows.tolist() == (buckets("e/r/shadow/s", batch.ids) < 0.3).nonzero()[0].tolist()
    assert len(call.primary_outputs["y"]) == len(call.rows)
    assert result.shadows_skipped == {}
    assert steps == [[("a", list(range(300)))]]


def test_a_shadow_without_send_compares_with_the_answer_so_far():
    table = table_of(
        Route("one", compile_when("x"), send=("a",)),
        Route("two", ALWAYS, shadow=(ShadowRule("s"),)),
        fallback="f",
    )
    result, _ = drive(table, {}, batch_of(2, x=[True, False]), {"a": saying(1), "f": saying(2)})
    [call] = result.shadows
    assert (call.rows.tolist(), call.primary_origin.model, call.route) == ([0], "a", "two")
    assert result.shadows_skipped == {"s": 1}


def test_a_shadow_is_skipped_where_its_primary_was_never_scored():
    table = table_of(
        Route("one", ALWAYS, send=("a",), shadow=(ShadowRule("s"),)), Route("two", ALWAYS, send=("b",))
    )
    result, steps = drive(table, {}, batch_of(2), {"b": saying(1)})
    assert steps == [[("b", [0, 1])]]
    assert result.shadows == ()
    assert result.shadows_skipped == {"s": 2}


def test_a_shadow_that_has_answered_already_brings_its_outputs():
    table = table_of(
        Route("one", ALWAYS, send=("s",)),
        Route("two", compile_when("confidence < 0.9"), send=("a",), shadow=(ShadowRule("s"),)),
    )
    result, _ = drive(table, {}, batch_of(2), {"s": saying(5), "a": saying(1)})
    [call] = result.shadows
    assert call.outputs["y"].tolist() == [[5], [5]]
    assert call.primary_outputs["y"].tolist() == [[1], [1]]


def test_a_shadow_that_has_failed_already_is_not_asked_again():
    table = table_of(
        Route("one", ALWAYS, send=("s",)), Route("two", ALWAYS, send=("a",), shadow=(ShadowRule("s"),))
    )
    read = table_of(
        table.routes[0], Route("r", compile_when("confidence > 0.9"), send=("b",)), table.routes[1]
    )

    def half(call):
        return Scored({"y": np.zeros((2, 1), np.float32)}, None, "1", {0: "ValueError: bad"})

    result, _ = drive(read, {}, batch_of(2), {"s": half, "a": saying(1)})
    assert [(call.rows.tolist(), call.outputs is not None) for call in result.shadows] == [([1], True)]
    assert result.shadows_skipped == {"s": 1}


def test_every_origin_gets_a_shadow_call_of_its_own():
    table = table_of(Route("r", ALWAYS, split=Split((("a", 50), ("b", 50))), shadow=(ShadowRule("s"),)))
    result, _ = drive(table, {}, batch_of(50), {"a": saying(1), "b": saying(2)})
    assert {call.primary_origin.model for call in result.shadows} == {"a", "b"}
    for call in result.shadows:
        assert set(call.primary_outputs["y"][:, 0].tolist()) == {
            1.0 if call.primary_origin.model == "a" else 2.0
        }
    assert sum(len(call.rows) for call in result.shadows) == 50


def test_keys_come_from_the_table_s_attribute():
    table = table_of(Route("r", ALWAYS, send=("a",), canary=Canary("b", 50)), key="user")
    users = [f"u{n}" for n in range(100)]
    result, _ = drive(table, {}, batch_of(100, user=users), {"a": saying(1), "b": saying(2)})
    assert result.answer.outputs["y"][:, 0].tolist() == np.where(buckets("e/r", users) < 0.5, 2, 1).tolist()


def test_a_batch_of_no_rows_asks_nothing():
    result, steps = drive(TABLE, FACTS, Batch({"x": np.zeros((0, 1))}, []), {})
    assert steps == []
    assert len(result.answer) == 0
    assert dict(result.answer.failed) == {}


def test_results_must_match_the_calls():
    steps = cascade(TABLE, FACTS, batch_of(1))
    next(steps)
    with pytest.raises(ValueError, match="zip"):
        steps.send([])
