"""Scores may come in any order; alerts are decided poll after poll, with what was known in time."""

import asyncio
import time
from dataclasses import replace

import numpy as np
import pytest
from telemetry_bench import Alerts, Bench, Gated
from telemetry_made import BEGAN_MS, PLAN, polled, records

from ingest.record import Polled
from ingest.telemetry.chain import Computed
from ingest.telemetry.past import parts_of
from ingest.telemetry.snapshots import Cut
from mesh.errors import Unavailable
from mesh.pipeline.plan import DEFAULT_STAGES, Level, StagePlan, in_order
from mesh.routing.types import Answer, Origin
from mesh.telemetry import names

SCORE = StagePlan("score", "score", ("features",), 0.2, endpoints={Level.FULL: "m"})
ALERT = replace(DEFAULT_STAGES[-1], after=("detect", "score"))


def plan(score: StagePlan = SCORE, deadline_ms: int = 2_000):
    return replace(PLAN, stages=in_order([*DEFAULT_STAGES[:-1], score, ALERT]), deadline_ms=deadline_ms)


def answer(rows: int) -> Answer:
    scores = {"score": np.full(rows, 0.5, np.float32)}
    origins, none = (Origin("m", "1", "m", "primary"),), np.zeros(rows, bool)
    return Answer(scores, None, origins, np.zeros(rows, np.intp), none, {}, "")


def computed(bench: Bench, asset: str, first: int, begin: int = 0) -> tuple[Polled, Computed]:
    """Nine readings, of a new asset two windows."""
    made = polled({0: (first, records(asset, begin, begin + 9))})
    return made, bench.chain.compute(made, Level.FULL)


async def test_alerts_are_decided_in_the_order_of_polls_whatever_order_scores_come_in() -> None:
    engine = Gated(answer(2))
    bench = Bench(plan=plan(), engine=engine)
    gates = [engine.gate(asset) for asset in ("a", "b", "c")]
    turns = []
    for asset, first in (("a", 0), ("b", 9), ("c", 18)):
        made, found = computed(bench, asset, first)
        turns.append(asyncio.create_task(bench.judging.turn(made, found, Level.FULL, [])))
    for gate in gates[::-1]:
        gate.set()
        await bench.pause()
        assert len(bench.alerts.decided) == (3 if gate is gates[0] else 0)
    await asyncio.gather(*turns)
    assert [first for first, _, _ in bench.alerts.decided] == [0, 9, 18]


async def test_rules_see_the_columns_of_every_stage_that_the_alert_waits_for() -> None:
    bench = Bench(plan=plan(), engine=Gated(answer(2)))
    await bench.judging.turn(*computed(bench, "a", 0), Level.FULL, [])
    ((_, rows, level),) = bench.alerts.decided
    assert set(rows.columns) == {"z", "sensor", "feature", "score", "degraded", "model", "version"}
    assert (rows.assets, level) == (["a", "a"], Level.FULL)


async def test_models_are_asked_for_several_polls_at_a_time() -> None:
    engine = Gated(answer(2))
    bench = Bench(plan=plan(), engine=engine)
    engine.gate("a")
    engine.gate("b")
    turns = [
        asyncio.create_task(bench.judging.turn(*computed(bench, asset, first), Level.FULL, []))
        for asset, first in (("a", 0), ("b", 9))
    ]
    await bench.pause()
    assert len(engine.deadlines) == 2
    for gate in engine.open.values():
        gate.set()
    await asyncio.gather(*turns)


async def test_a_stage_that_is_left_out_is_counted_and_its_rows_are_judged_without_it() -> None:
    optional = replace(SCORE, required=False)
    bench = Bench(plan=plan(optional, deadline_ms=3_600_000), engine=Gated(Unavailable("m", "away", 0.001)))
    await bench.judging.turn(*computed(bench, "a", 0), Level.FULL, [])
    ((_, rows, _),) = bench.alerts.decided
    assert set(rows.columns) == {"z", "sensor", "feature"}
    assert bench.counted(names.TELEMETRY_LEFT_OUT, ("score",)) == 2


@pytest.mark.parametrize(
    ("kind", "stamp_ms", "read_ms"),
    [
        (1, BEGAN_MS + 7_000, BEGAN_MS + 7_000),
        (1, BEGAN_MS + 17_000, BEGAN_MS + 7_000),
        (1, BEGAN_MS + 17_001, BEGAN_MS + 8_000),
        (1, BEGAN_MS + 18_001, BEGAN_MS + 18_001),
        (1, BEGAN_MS - 86_400_000, BEGAN_MS - 86_400_000),
        (0, -1, BEGAN_MS + 7_000),
    ],
)
async def test_the_deadline_runs_from_the_oldest_reading_that_closed_a_row(kind, stamp_ms, read_ms) -> None:
    """Kafka's time stands for a reading's own where they are more than ten seconds apart, ours where Kafka has none."""
    optional = replace(SCORE, required=False, share=0.5)
    engine = Gated(answer(2))
    bench = Bench(plan=plan(optional, deadline_ms=10_000), engine=engine)
    made, found = computed(bench, "a", 0)
    messages = [replace(message, at_ms=stamp_ms, kind=kind) for message in made.messages]
    made = replace(made, messages=messages, received_at=BEGAN_MS / 1e3 + 7.0)
    before = time.monotonic() - time.time()
    await bench.judging.turn(made, found, Level.FULL, [])
    (deadline,) = engine.deadlines
    assert deadline is not None
    share = 0.4 + 0.5
    assert deadline == pytest.approx(read_ms / 1e3 + share * 10.0 + before, abs=0.05)


async def test_what_is_required_has_no_deadline() -> None:
    engine = Gated(answer(2))
    bench = Bench(plan=plan(), engine=engine)
    await bench.judging.turn(*computed(bench, "a", 0), Level.FULL, [])
    assert engine.deadlines == [None]


@pytest.mark.parametrize(
    ("level", "asked", "decided"), [(Level.LIGHT, 1, 1), (Level.CHEAP, 0, 1), (Level.STORE, 0, 0)]
)
async def test_higher_levels_do_less(level, asked, decided) -> None:
    engine = Gated(answer(2))
    bench = Bench(plan=plan(replace(SCORE, upto=Level.LIGHT)), engine=engine)
    await bench.judging.turn(*computed(bench, "a", 0), level, [])
    assert (len(engine.deadlines), len(bench.alerts.decided)) == (asked, decided)


async def test_cuts_come_back_with_the_state_of_alerts_after_their_poll() -> None:
    bench = Bench()
    bench.alerts.available.clear()
    first = asyncio.create_task(
        bench.judging.turn(*computed(bench, "a", 0), Level.FULL, [Cut(0, 9, {"a": b"chain", "quiet": b""})])
    )
    second = asyncio.create_task(bench.judging.turn(*computed(bench, "a", 9, 9), Level.FULL, []))
    await bench.pause()
    assert bench.alerts.state[0, "a"] == 11, (
        "the second poll was decided while the first one's alerts were written"
    )
    bench.alerts.available.set()
    (cut,) = await first
    await second
    assert {name: parts_of(state) for name, state in cut.states.items()} == {
        "a": (b"chain", b"2"),
        "quiet": (b"", b""),
    }


async def test_everything_whose_turn_was_taken_is_settled_before_a_partition_moves() -> None:
    engine = Gated(answer(2))
    bench = Bench(plan=plan(), engine=engine)
    await bench.judging.settled()
    gate = engine.gate("a")
    turn = asyncio.create_task(bench.judging.turn(*computed(bench, "a", 0), Level.FULL, []))
    settled = asyncio.create_task(bench.judging.settled())
    await bench.pause()
    assert not settled.done()
    gate.set()
    await settled
    assert len(bench.alerts.decided) == 1
    await turn


async def test_a_poll_that_cannot_be_scored_does_not_hold_up_those_after_it() -> None:
    bench = Bench(plan=plan(), engine=Gated(ValueError("no")), alerts=Alerts())
    broken = asyncio.create_task(bench.judging.turn(*computed(bench, "a", 0), Level.FULL, []))
    made = polled({0: (9, records("a", 9, 9))})
    empty = bench.chain.compute(polled({0: (9, [b"garbage"])}), Level.FULL)
    await asyncio.wait_for(bench.judging.turn(replace(made, offsets=[9]), empty, Level.FULL, []), 20)
    with pytest.raises(ValueError, match="no"):
        await broken


async def test_the_time_from_reading_to_decision_is_observed_by_level() -> None:
    bench = Bench()
    await bench.judging.turn(*computed(bench, "a", 0), Level.LIGHT, [])
    seen = bench.recorder.snapshot().histograms[names.READING_SECONDS.name]
    assert sum(seen["L1",].counts) == 2


async def test_how_long_decisions_take_is_remembered_with_the_wait_in_kafka() -> None:
    bench = Bench(plan=plan(), engine=Gated(answer(2)))
    made, found = computed(bench, "a", 0)
    waited = replace(made, received=time.monotonic() - 1.5)
    assert bench.judging.p95_ms(time.monotonic()) == 0.0
    await bench.judging.turn(waited, found, Level.FULL, [])
    assert 1_500 + made.waited_ms <= bench.judging.p95_ms(time.monotonic()) < 10_000 + made.waited_ms
