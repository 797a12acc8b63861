from dataclasses import replace

import pytest
from routing_driver import FACTS, TABLE

from mesh.routing.checks import find_problems
from mesh.routing.table import Canary, LabelRule, ModelFacts, Route, RouteTable, ShadowRule, Split
from mesh.routing.types import Signature, TensorSpec
from mesh.routing.when import compile_when

ALWAYS, NEVER = compile_when("always"), compile_when("false")
A = Route("a", ALWAYS, send=("rules",))


def when(text):
    return compile_when(text)


def problems(*routes, facts=FACTS, **endpoint):
    return [
        (found.key_path, found.reason) for found in find_problems(RouteTable("e", routes, **endpoint), facts)
    ]


def test_the_documented_table_has_none():
    assert find_problems(TABLE, FACTS) == []


@pytest.mark.parametrize(
    ("routes", "endpoint", "path", "reason"),
    [
        ((), {}, ("routes",), "at least one route"),
        ((A,), {"key": "confidence"}, ("key",), "must be an attribute"),
        ((A,), {"deadline_ms": 0}, ("deadline_ms",), "above 0"),
        ((A,), {"fallback": "ruels"}, ("fallback",), "did you mean 'rules'?"),
        ((A, replace(A, when=when("x"))), {}, ("routes", 1, "name"), "route 1 already"),
        ((replace(A, name="fallback"),), {}, ("routes", 0, "name"), "choose another"),
        ((replace(A, name="a/b"),), {}, ("routes", 0, "name"), "without '/'"),
        ((replace(A, send=("anomalie",)),), {}, ("routes", 0, "send", 0), "did you mean 'anomaly'?"),
        (
            (replace(A, shadow=(ShadowRule("zzz"),)),),
            {},
            ("routes", 0, "shadow", 0),
            "unknown model 'zzz'; there are: ",
        ),
        ((replace(A, canary=Canary("rool", 1)),), {}, ("routes", 0, "canary", "model"), "unknown model"),
        ((A, Route("b", ALWAYS)), {}, ("routes", 1), "does nothing"),
        ((replace(A, split=Split((("rules", 100),))),), {}, ("routes", 0, "split"), "exclude each other"),
        (
            (
                Route(
                    "b", ALWAYS, split=Split((("rules", 50), ("anomaly", 50))), canary=Canary("degrader", 1)
                ),
            ),
            {},
            ("routes", 0, "canary"),
            "exclude each other",
        ),
        (
            (Route("b", ALWAYS, split=Split((("rules", 50), ("anomaly", 49)))),),
            {},
            ("routes", 0, "split"),
            "sum to 99;",
        ),
        (
            (Route("b", ALWAYS, split=Split((("rules", 150), ("anomaly", -50)))),),
            {},
            ("routes", 0, "split", "rules"),
            "from 0 to 100, not 150",
        ),
        ((replace(A, canary=Canary("anomaly", 101)),), {}, ("routes", 0, "canary", "percent"), "not 101"),
        (
            (replace(A, canary=Canary("anomaly", float("nan"))),),
            {},
            ("routes", 0, "canary", "percent"),
            "not nan",
        ),
        (
            (replace(A, shadow=(ShadowRule("anomaly", -1),)),),
            {},
            ("routes", 0, "shadow", 0, "percent"),
            "not -1",
        ),
        ((replace(A, on_error="fallback"),), {}, ("routes", 0, "on_error"), "no fallback"),
        ((replace(A, on_error="nxt"),), {}, ("routes", 0, "on_error"), "did you mean 'next'?"),
        (
            (replace(A, send=("rules", "anomaly"), combine="median_"),),
            {},
            ("routes", 0, "combine"),
            "did you mean 'median'?",
        ),
        (
            (replace(A, send=("rules", "anomaly"), combine="vote"),),
            {},
            ("routes", 0, "combine"),
            "declares no label",
        ),
        ((replace(A, send=("rules", "rules")),), {}, ("routes", 0, "send"), "2 times"),
        ((replace(A, shadow=(ShadowRule("rules"),)),), {}, ("routes", 0, "shadow"), "with itself"),
        ((replace(A, canary=Canary("rules", 5)),), {}, ("routes", 0, "canary", "model"), "already"),
        ((replace(A, when=NEVER),), {}, ("routes", 0), "false for every row"),
        (
            (replace(A, final=True), replace(A, name="b")),
            {},
            ("routes", 1),
            "'a' above it is final for every row",
        ),
        (
            (replace(A, when=when("x == 1"), final=True), replace(A, name="b", when=when("x==1"))),
            {},
            ("routes", 1),
            "same condition",
        ),
        ((A, Route("c", ALWAYS, canary=Canary("anomaly", 0))), {}, ("routes", 1), "0 percent"),
        (
            (A, replace(A, name="b", send=("anomaly",), on_error="fail")),
            {},
            ("routes", 0),
            "'b' takes over all its rows",
        ),
        ((replace(A, when=when("confidence > 0.5")),), {}, ("routes", 0, "when"), "no route above answers"),
        (
            (Route("s", ALWAYS, shadow=(ShadowRule("degrader"),)), A),
            {},
            ("routes", 0, "shadow"),
            "nothing to be compared",
        ),
        ((Route("s", ALWAYS, final=True),), {}, ("routes",), "nothing can answer"),
    ],
)
def test_each_problem_is_found_with_its_place(routes, endpoint, path, reason):
    found = problems(*routes, **endpoint)
    assert [where for where, why in found if reason in why] == [path], found


def test_all_problems_come_at_once_and_in_order():
    found = problems(
        replace(A, send=("nobody",)),
        replace(A, canary=Canary("anomaly", 200)),
        fallback="noone",
        deadline_ms=-1,
    )
    assert [path for path, _ in found] == [
        ("deadline_ms",),
        ("fallback",),
        ("routes", 0, "send", 0),
        ("routes", 1, "canary", "percent"),
        ("routes", 1, "name"),
    ]


def test_a_canary_of_0_percent_is_fine_where_callers_may_ask_for_it_or_the_route_sends():
    assert problems(A, Route("c", ALWAYS, canary=Canary("anomaly", 0)), variants_allowed=True) == []
    assert problems(replace(A, canary=Canary("anomaly", 0))) == []


def test_a_backup_below_an_always_route_is_fine():
    assert problems(A, replace(A, name="b", send=("anomaly",))) == []


def test_reading_what_a_model_does_not_have():
    facts = {**FACTS, "plain": ModelFacts("plain")}
    plain = replace(A, send=("plain",))
    for name, text in (("confidence", "confidence > 0.5"), ("score", "score > 1"), ("label", 'label == "x"')):
        [(path, reason)] = problems(plain, replace(A, name="b", when=when(text)), facts=facts)
        assert path == ("routes", 1, "when")
        assert reason.startswith(f"reads {name}, but 'plain', ")
    assert problems(plain, replace(A, name="b", when=when('model == "plain"')), facts=facts) == []
    covered = (plain, replace(A, name="b"), replace(A, name="c", when=when("confidence > 0.5")))
    assert problems(*covered, facts=facts) == []
    partly = (
        plain,
        replace(A, name="b", when=when("x")),
        replace(A, name="c", when=when("confidence > 0.5")),
    )
    assert len(problems(*partly, facts=facts)) == 1


def test_a_vote_makes_a_confidence_of_its_own():
    facts = {name: ModelFacts(name, label=LabelRule("y")) for name in "ab"}
    several = Route("v", ALWAYS, send=("a", "b"), combine="vote")
    after = Route("w", when("confidence < 1"), send=("a",))
    assert problems(several, after, facts=facts) == []
    assert len(problems(replace(several, combine="mean"), after, facts=facts)) == 1


def signed(name, inputs, outputs):
    return ModelFacts(
        name, Signature((TensorSpec("x", *inputs),), (TensorSpec("y", *outputs),)), has_confidence=True
    )


@pytest.mark.parametrize(
    ("inputs", "outputs", "reason"),
    [
        (("FP32", (-1, 16)), ("FP32", (-1, 2)), None),
        (("FP32", (-1, -1)), ("FP32", (-1, -1)), None),
        (
            ("FP32", (-1, 16)),
            ("FP32", (-1, 3)),
            "outputs y FP32 [N, 3], but 'rules' of the same endpoint has y FP32 [N, 2]",
        ),
        (("FP32", (-1, 16)), ("FP64", (-1, 2)), "outputs y FP64"),
        (("FP32", (-1, 16)), ("FP32", (-1,)), "outputs y FP32 [N],"),
        (("FP64", (-1, 16)), ("FP32", (-1, 2)), "inputs x FP64"),
        (("FP32", (-1, 17)), ("FP32", (-1, 2)), "inputs x FP32 [N, 17]"),
    ],
)
def test_models_of_a_table_must_fit_together(inputs, outputs, reason):
    facts = {
        "rules": signed("rules", ("FP32", (-1, 16)), ("FP32", (-1, 2))),
        "anomaly": signed("anomaly", inputs, outputs),
        "degrader": ModelFacts("degrader"),
    }
    found = find_problems(TABLE, facts)
    assert ([] if reason is None else [("routes", 1, "send", 0)]) == [problem.key_path for problem in found]
    assert all(reason in problem.reason for problem in found)


def test_a_shadow_may_answer_otherwise_but_must_take_the_same_inputs():
    facts = {
        "rules": signed("rules", ("FP32", (-1, 16)), ("FP32", (-1, 2))),
        "anomaly": ModelFacts("anomaly", has_confidence=True),
        "degrader": signed("degrader", ("FP32", (-1, 16)), ("BYTES", (-1,))),
    }
    assert find_problems(TABLE, facts) == []
    facts["degrader"] = signed("degrader", ("FP32", (-1, 3)), ("FP32", (-1, 2)))
    [problem] = find_problems(TABLE, facts)
    assert problem.key_path == ("routes", 1, "shadow", 0)


def timed(**milliseconds):
    return {name: ModelFacts(name, has_confidence=True, expected_ms=ms) for name, ms in milliseconds.items()}


def test_the_worst_case_must_meet_the_deadline():
    facts = timed(rules=2, anomaly=30, degrader=500)
    assert find_problems(replace(TABLE, deadline_ms=32), facts) == []
    [problem] = find_problems(replace(TABLE, deadline_ms=31), facts)
    assert problem.key_path == ("deadline_ms",)
    assert "32 ms (rules, then anomaly" in problem.reason
    assert find_problems(replace(TABLE, deadline_ms=1), timed(rules=None, anomaly=None, degrader=None)) == []


def test_models_of_one_source_work_together_and_none_twice():
    facts = timed(a=10, b=20, c=40)
    several = Route("r", ALWAYS, send=("a", "b"), combine="mean")
    again = Route("s", when("confidence < 0.5"), send=("b",))
    assert problems(several, again, facts=facts, deadline_ms=20) == []
    assert len(problems(several, again, facts=facts, deadline_ms=19)) == 1
    skipped = (
        Route("r", ALWAYS, send=("c",)),
        Route("s", ALWAYS, send=("a",)),
        Route("t", when("score > 0"), send=("b",)),
    )
    facts = {name: replace(known, score=("y", 0)) for name, known in facts.items()}
    assert problems(*skipped, facts=facts, deadline_ms=30) == []  # c is not asked unless a fails
    assert len(problems(*skipped, facts=facts, deadline_ms=29)) == 1
