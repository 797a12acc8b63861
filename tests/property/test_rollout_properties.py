"""Rollouts: bets that nobody wins on average, rules that come back exactly, walks that never promote what was not shown."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.errors import InvalidInput
from mesh.rollouts.judging import judge
from mesh.rollouts.machine import Situation, decided
from mesh.rollouts.plan import AlertRule, Metric, Plan, Step
from mesh.rollouts.staging import Stage, refuse_known, staged, without
from mesh.rollouts.states import MOVES, begun
from mesh.rollouts.statistics.beta_binomial import log_evidence, proportion_interval
from mesh.rollouts.statistics.betting import log_wealth_above, log_wealth_below
from mesh.rollouts.tally import Tally

METRICS = (
    Metric("alerts", "alert_disagreement", margin=0.05, direction="either", due="shadow"),
    Metric("apart", "discordance", margin=0.1, due="shadow"),
)
STEPS = (
    Step("shadow", min_pairs=50, max_ms=5_000),
    Step("canary", percent=10.0, min_rows=20, max_ms=5_000),
    Step("promote", keep_warm_ms=1_000),
)


def plan(exclude: str | None = None) -> Plan:
    return Plan("try", "default", "old", "new", AlertRule(0.5), STEPS, METRICS, exclude=exclude)


@given(
    st.floats(0.01, 0.9),
    st.floats(0, 1),
    st.floats(0, 1),
    st.integers(1, 9),
)
def test_a_bet_against_what_is_true_gains_nothing_on_average(
    margin: float, discordant: float, lean: float, windows: int
) -> None:
    # Only the candidate alerts with probability up, only the primary with down; up - down is at most the margin.
    up = min(discordant * lean, margin + discordant * (1 - lean))
    down = discordant * (1 - lean)
    same = 1 - up - down
    if same < 0 or up - down > margin:
        return
    total = 0.0
    for ups in range(windows + 1):
        for downs in range(windows + 1 - ups):
            rest = windows - ups - downs
            ways = math.factorial(windows) / (
                math.factorial(ups) * math.factorial(downs) * math.factorial(rest)
            )
            wealth = math.exp(log_wealth_above((1.0, 0.0, -1.0), (ups, rest, downs), margin))
            total += ways * up**ups * down**downs * same**rest * wealth
    assert total <= 1 + 1e-9


@given(st.integers(0, 40), st.integers(0, 40), st.floats(0.02, 0.98))
def test_evidence_above_and_below_are_never_both_large(ups: int, rest: int, mean: float) -> None:
    counts = (ups, rest)
    above = log_wealth_above((1.0, 0.0), counts, mean)
    below = log_wealth_below((1.0, 0.0), counts, mean)
    assert min(above, below) < math.log(20)


@given(st.floats(0.02, 0.98), st.integers(1, 30))
def test_a_mixture_is_one_on_average_under_what_it_tests(q: float, trials: int) -> None:
    total = sum(
        math.comb(trials, k) * q**k * (1 - q) ** (trials - k) * math.exp(log_evidence(k, trials, q))
        for k in range(trials + 1)
    )
    assert abs(total - 1) < 1e-6


@given(st.integers(0, 500), st.integers(0, 500), st.floats(0.001, 0.3))
def test_a_smaller_error_makes_a_wider_interval(hits: int, misses: int, alpha: float) -> None:
    low, high = proportion_interval(hits, hits + misses, alpha)
    wider_low, wider_high = proportion_interval(hits, hits + misses, alpha / 2)
    assert 0 <= wider_low <= low <= high <= wider_high <= 1
    if hits + misses:
        assert low <= hits / (hits + misses) <= high


names = st.sampled_from(["rules", "other", "third"])
routes = st.lists(
    st.one_of(
        st.fixed_dictionaries({"send": st.lists(names, min_size=1, max_size=2)}),
        st.fixed_dictionaries({"send": st.just(["old"])}),
        st.fixed_dictionaries({"send": st.just(["old"]), "shadow": st.lists(names, min_size=1, max_size=1)}),
        st.fixed_dictionaries(
            {
                "canary": st.fixed_dictionaries(
                    {"model": st.sampled_from(["old", "other"]), "percent": st.just(5)}
                )
            }
        ),
        st.fixed_dictionaries({"split": st.just({"rules": 50, "other": 50}), "final": st.just(True)}),
    ),
    max_size=5,
)
whens = st.sampled_from(["always", "a > 1", "(a > 1) || b == 2", "!(c == 3)"])
stages = st.sampled_from(
    [Stage("none"), Stage("shadow", 100.0), Stage("canary", 100.0, 5.0), Stage("warm", 1.0), Stage("all")]
)


@given(
    routes,
    st.data(),
    st.booleans(),
    st.sampled_from([None, "c >= 3", "!(d) && e"]),
    st.lists(stages, max_size=4),
)
def test_whatever_stages_it_went_through_the_rules_come_back(
    parts: list[dict], data: st.DataObject, named: bool, exclude: str | None, walk: list[Stage]
) -> None:
    made = [{"name": f"r{n}", "when": data.draw(whens), **part} for n, part in enumerate(parts)]
    table = {"routes": [*made, {"name": "last", "when": "always", "send": ["old"]}], "fallback": "old"}
    document = {"endpoints": {"default": table}} if named else table
    now: dict = document
    for stage in walk:
        now = staged(now, plan(exclude), stage)
        assert staged(now, plan(exclude), stage) == now
    assert without(now, plan(exclude)) == document


anybody = st.sampled_from(["old", "new", "other"])
others = st.sampled_from(["new", "other"])  # rules refuse a model that is compared with itself
any_routes = st.lists(
    st.one_of(
        st.fixed_dictionaries({"send": st.lists(anybody, min_size=1, max_size=2, unique=True)}),
        st.fixed_dictionaries({"send": st.just(["old"]), "shadow": st.lists(others, min_size=1, max_size=1)}),
        st.fixed_dictionaries(
            {"canary": st.fixed_dictionaries({"model": anybody, "percent": st.just(5)})},
            optional={"send": st.lists(anybody, min_size=1, max_size=1)},
        ),
        st.fixed_dictionaries({"split": st.just({"new": 50, "other": 50})}),
    ),
    max_size=3,
)


@given(any_routes, st.sampled_from([None, "old", "new", "other"]), stages)
def test_of_rules_that_a_rollout_may_begin_with_nothing_is_lost(
    parts: list[dict], fallback: str | None, stage: Stage
) -> None:
    made = [{"name": f"r{n}", "when": "always", **part} for n, part in enumerate(parts)]
    document: dict = {"routes": [*made, {"name": "last", "when": "always", "send": ["old"]}]}
    if fallback is not None:
        document["fallback"] = fallback
    try:
        refuse_known(document, plan())
        now = staged(document, plan(), stage)
    except InvalidInput:
        return
    assert without(now, plan()) == document


tallies = st.builds(
    Tally,
    both=st.integers(0, 300),
    only_primary=st.integers(0, 60),
    only_candidate=st.integers(0, 60),
    neither=st.integers(0, 600),
    rows=st.fixed_dictionaries({"candidate": st.integers(0, 60)}),
)


@settings(max_examples=60)
@given(st.lists(st.tuples(tallies, st.integers(1, 4_000), st.booleans()), max_size=15))
def test_no_walk_promotes_without_success_of_everything_at_that_look(
    looks: list[tuple[Tally, int, bool]],
) -> None:
    made, now = plan(), 0
    rollout = begun(made, "ann", now)
    for tally, wait, guarded in looks:
        now += wait
        judgements = judge(made, tally)
        after = decided(rollout, Situation(tally, judgements, {"drift": "x"} if guarded else {}, now))
        if after is not rollout:
            assert after.state in MOVES[rollout.state].values()
            assert after.generation == rollout.generation + 1
        if after.state == "Promoting" and rollout.state != "Promoting":
            assert {one.verdict for one in judgements} == {"success"}
        failed = any(one.verdict == "failure" for one in judgements)
        if failed and rollout.state in ("Shadowing", "Progressing", "Paused"):
            assert after.state == "RollingBack"
        rollout = after
