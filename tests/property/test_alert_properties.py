"""Alerts follow from the rows alone: not from batches, not from restarts, not from repeats."""

import asyncio
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.alerts import AlertEvent, AlertStage, Budget, Policy, Rule, ScoredRows
from mesh.alerts.summary import read_summary
from mesh.routing.when import compile_when
from mesh.stores.alerts import AlertQuery, MemoryAlerts
from tests.fakes.scored_rows import part, rows

RULES = (
    Rule("hot", compile_when("score > 0.5"), "warning", read_summary("{asset}"), 1_000, 5_000, 3_000,
         compile_when("score < 0.3"), 1_000),
    Rule("mode", compile_when("score > 0.7"), "critical", read_summary("{mode}"), key="mode", dedup_ms=2_000),
    Rule("flap", compile_when("has(score) && score > 0.4"), "info", read_summary("{score}"), hold_off_ms=4_000),
)  # fmt: skip
ASSETS = ("a", "b", "c")

steps = st.lists(
    st.tuples(
        st.sampled_from(ASSETS),
        st.integers(0, 1_500),
        st.sampled_from([0.0, 0.2, 0.35, 0.45, 0.6, 0.8, float("nan")]),
        st.sampled_from(["x", "y", None]),
    ),
    max_size=60,
)
cuts = st.lists(st.integers(0, 60), max_size=6)


def batch(some) -> ScoredRows:
    times, clock = [], dict.fromkeys(ASSETS, 0)
    for asset, step, _, _ in some:
        clock[asset] += step
        times.append(clock[asset] / 1_000)
    columns = {"score": np.array([one[2] for one in some], np.float64), "mode": [one[3] for one in some]}
    return rows([one[0] for one in some], times, columns)


def run(stage: AlertStage, whole: ScoredRows, bounds, restart=False) -> tuple[AlertEvent, ...]:
    """The events of a batch that is cut at `bounds`, with a new stage from the state after each part if it restarts."""
    edges = sorted({0, len(whole), *(bound for bound in bounds if bound < len(whole))})
    events = []
    for begin, end in pairwise(edges):
        events += stage.take(part(whole, begin, end)).events
        if restart:
            states = stage.dump(ASSETS)
            stage = AlertStage(RULES)
            stage.load(states)
    return tuple(events)


@given(steps, cuts)
def test_batches_change_nothing(some, bounds):
    whole = batch(some)
    assert run(AlertStage(RULES), whole, bounds) == run(AlertStage(RULES), whole, [])


@given(steps, cuts)
def test_restarts_change_nothing(some, bounds):
    whole = batch(some)
    assert run(AlertStage(RULES), whole, bounds, restart=True) == run(AlertStage(RULES), whole, [])


@given(steps)
def test_every_alert_opens_once_and_is_told_only_while_it_is_open(some):
    seen = {}
    for event in run(AlertStage(RULES), batch(some), []):
        before = seen.get(event.id)
        assert (before is None) == (event.kind == "opened")
        assert before != "cleared"
        seen[event.id] = event.kind


@given(steps)
def test_two_of_a_key_open_no_sooner_than_the_hold_off(some):
    last = {}
    for event in run(AlertStage(RULES), batch(some), []):
        if event.kind == "opened":
            off = next(rule.hold_off_ms for rule in RULES if rule.name == event.rule)
            assert event.opened_at - last.get((event.rule, event.key), -off) >= off
            last[event.rule, event.key] = event.opened_at


@given(steps, st.integers(0, 60), st.integers(0, 60))
@settings(max_examples=60)
def test_a_crash_leaves_the_store_as_an_undisturbed_run_does(some, saved, crashed):
    """The state was saved after `saved` rows; rows up to `crashed` were written, and are read and written again."""
    whole = batch(some)
    policy = Policy(RULES, Budget(2_000, 1))
    saved, crashed = sorted((min(saved, len(whole)), min(crashed, len(whole))))

    async def disturbed() -> tuple:
        store, stage = MemoryAlerts(policy), AlertStage(RULES)
        await store.write(stage.take(part(whole, 0, saved)).events)
        states = stage.dump(ASSETS)
        await store.write(stage.take(part(whole, saved, crashed)).events)
        stage = AlertStage(RULES)
        stage.load(states)
        await store.write(stage.take(part(whole, saved, len(whole))).events)
        return (await store.page(AlertQuery(limit=200))).alerts

    async def undisturbed() -> tuple:
        store = MemoryAlerts(policy)
        await store.write(AlertStage(RULES).take(whole).events)
        return (await store.page(AlertQuery(limit=200))).alerts

    assert asyncio.run(disturbed()) == asyncio.run(undisturbed())
