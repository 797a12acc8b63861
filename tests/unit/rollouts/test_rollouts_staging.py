import numpy as np
import pytest
from rollout_cases import plan

from mesh.errors import InvalidInput
from mesh.rollouts.staging import Document, Stage, refuse_known, staged, without
from mesh.routing.when import compile_when

BARE: Document = {
    "routes": [
        {"name": "base", "when": "always", "send": ["rules"]},
        {"name": "main", "when": "confidence >= 0.6 || urgent == true", "send": ["old"], "shadow": ["other"]},
        {"name": "trial", "when": "rollout == true", "canary": {"model": "old", "percent": 10}},
    ],
    "key": "asset",
    "fallback": "old",
}
STAGES = [
    Stage("none"),
    Stage("shadow", shadow=100.0),
    Stage("canary", shadow=50.0, canary=5.0),
    Stage("warm", shadow=1.0),
    Stage("all"),
]


@pytest.mark.parametrize("exclude", [None, "criticality >= 3", "!(a) || b"])
@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.kind)
@pytest.mark.parametrize("document", [BARE, {"endpoints": {"default": {**BARE}, "more": {"routes": []}}}])
def test_lifting_the_rollout_off_gives_the_rules_back_exactly(
    document: Document, stage: Stage, exclude: str | None
) -> None:
    made = plan(exclude=exclude)
    there = staged(document, made, stage)
    assert without(there, made) == document
    assert staged(there, made, stage) == there  # putting it on twice changes nothing


@pytest.mark.parametrize("exclude", ["!(a == 1) || b == 1", "b == 1 || a == 1", "!(b == 1)"])
def test_rows_that_never_go_to_the_canary_are_still_those_of_its_route(exclude: str) -> None:
    document = {"routes": [{"name": "main", "when": "c == 1 || c == 2", "send": ["old"]}]}
    drawn, vetoed = (
        compile_when(route["when"]) for route in staged(document, plan(exclude=exclude), STAGES[2])["routes"]
    )
    values = {
        name: np.array(column)
        for name, column in zip("abc", np.indices((2, 2, 4)).reshape(3, -1), strict=True)
    }
    mine = compile_when("c == 1 || c == 2").mask(16, values.get)
    never = compile_when(exclude).mask(16, values.get)
    assert vetoed.mask(16, values.get).tolist() == (mine & never).tolist()
    assert drawn.mask(16, values.get).tolist() == (mine & ~never).tolist()


def test_a_condition_that_people_write_meanwhile_stays_theirs() -> None:
    made = plan(exclude="criticality >= 3")
    there = staged(BARE, made, STAGES[2])
    routes = [{**one, "when": "urgent == true"} if one["name"] == "main" else one for one in there["routes"]]
    lifted = without({**there, "routes": routes}, made)
    assert [(one["name"], one["when"]) for one in lifted["routes"]] == [
        ("base", "always"), ("main", "urgent == true"), ("trial", "rollout == true"),
    ]  # fmt: skip


def test_a_shadow_is_compared_and_a_canary_answers_its_share_while_it_is_compared() -> None:
    route = staged(BARE, plan(), STAGES[1])["routes"][1]
    assert route["shadow"] == ["other", {"model": "new", "percent": 100.0}]
    assert route["send"] == ["old"]
    route = staged(BARE, plan(), STAGES[2])["routes"][1]
    assert route["canary"] == {"model": "new", "percent": 5.0}
    assert route["shadow"] == ["other", {"model": "new", "percent": 50.0}]


def test_a_promotion_takes_every_place_of_the_old_model_which_stays_warm() -> None:
    after = staged(BARE, plan(), STAGES[3])
    assert after["routes"][1]["send"] == ["new"]
    assert after["routes"][1]["shadow"] == ["other", {"model": "old", "percent": 1.0}]
    assert after["routes"][2]["canary"]["model"] == "new"
    assert after["fallback"] == "new"


def test_a_veto_goes_before_the_lots_and_leaves_the_routes_name_to_them() -> None:
    routes = staged(BARE, plan(exclude="criticality >= 3"), STAGES[2])["routes"]
    assert [route["name"] for route in routes] == ["base", "main", "main-excluded", "trial"]
    assert routes[1]["when"] == "(confidence >= 0.6 || urgent == true) && !(criticality >= 3)"
    assert routes[2]["when"] == "(confidence >= 0.6 || urgent == true) && (criticality >= 3)"
    assert "canary" not in routes[2]
    assert routes[2]["send"] == ["old"]


def test_what_people_change_meanwhile_is_kept() -> None:
    made = plan()
    there = staged(BARE, made, STAGES[2])
    there["routes"][0] = {"name": "base", "when": "always", "send": ["better-rules"]}
    after = staged(there, made, Stage("none"))
    assert after == {**BARE, "routes": [there["routes"][0], *BARE["routes"][1:]]}


@pytest.mark.parametrize(
    ("routes", "field", "says"),
    [
        ([{"name": "a", "when": "always", "send": ["rules"]}], "primary", "no route"),
        ([{"name": "a", "when": "always", "send": ["old", "b"]}], "primary", "answers alone"),
        ([{"name": "a", "when": "always", "split": {"old": 50, "b": 50}}], "primary", "answers alone"),
        (
            [{"name": "a", "when": "always", "send": ["old"], "canary": {"model": "b", "percent": 5}}],
            "primary",
            "answers alone",
        ),
    ],
)
def test_rules_that_give_it_no_place_are_refused(routes: list[object], field: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=says) as refused:
        staged({"routes": routes}, plan(), STAGES[1])
    assert refused.value.field == field


@pytest.mark.parametrize("document", [{}, {"routes": []}, {"endpoints": {"more": {"routes": []}}}])
def test_where_the_endpoint_is_gone_there_is_nothing_to_lift_off(document: Document) -> None:
    assert staged(document, plan(), Stage("none")) == document
    with pytest.raises(InvalidInput, match="no endpoint 'default'"):
        staged(document, plan(), Stage("all"))


@pytest.mark.parametrize("named", [False, True])
def test_a_candidate_that_is_the_fallback_already_is_refused(named: bool) -> None:
    table = {"routes": [{"name": "a", "when": "always", "send": ["old"]}], "fallback": "new"}
    document = {"endpoints": {"default": table}} if named else table
    with pytest.raises(
        InvalidInput, match="'new' is the `fallback` of endpoint 'default' already"
    ) as refused:
        refuse_known(document, plan())
    assert refused.value.field == "candidate"


def test_a_candidate_that_is_in_the_rules_already_and_an_endpoint_that_is_not_are_refused() -> None:
    with pytest.raises(InvalidInput, match="take it out first"):
        refuse_known(
            {"routes": [{"name": "a", "when": "always", "send": ["old"], "shadow": ["new"]}]}, plan()
        )
    with pytest.raises(InvalidInput, match="there are: default"):
        refuse_known(BARE, plan(endpoint="other"))
