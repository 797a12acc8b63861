from dataclasses import replace

import pytest
from rollout_cases import ALERTS, ALIKE, APART, FLIPPED, FPR, LATENCY, NOTHING, plan

from mesh.rollouts.judging import Judgement, judge
from mesh.rollouts.plan import Metric
from mesh.rollouts.record import Evidence, looked
from mesh.rollouts.statistics.quantiles import Histogram
from mesh.rollouts.tally import Counted, Observations, PairSeen, Tally, Value


def judged(metric: Metric, tally: Tally, *beside: Metric) -> Judgement:
    return judge(plan(metrics=(metric, *beside)), tally)[0]


def test_a_candidate_that_alerts_alike_succeeds_and_one_that_is_flipped_fails() -> None:
    assert judged(ALERTS, ALIKE).verdict == "success"
    assert judged(ALERTS, FLIPPED).verdict == "failure"
    assert judged(APART, ALIKE).verdict == "success"
    assert judged(APART, FLIPPED).verdict == "failure"


def test_a_flip_that_leaves_the_number_of_alerts_alone_is_seen_by_discordance() -> None:
    half = Tally(only_primary=500, only_candidate=500)
    assert judged(ALERTS, half).verdict == "inconclusive"
    assert judged(APART, half).verdict == "failure"


def test_direction_says_which_way_is_worse() -> None:
    fewer = Tally(only_primary=300, neither=700)
    assert judged(replace(ALERTS, direction="increase"), fewer).verdict == "success"
    assert judged(replace(ALERTS, direction="decrease"), fewer).verdict == "failure"
    assert judged(ALERTS, fewer).verdict == "failure"


@pytest.mark.parametrize("metric", [ALERTS, APART, LATENCY, FPR, Metric("cost", "threshold", limit=2.0)])
def test_nothing_seen_is_inconclusive(metric: Metric) -> None:
    assert judged(metric, NOTHING).verdict == "inconclusive"


def test_too_few_samples_never_succeed() -> None:
    assert judged(replace(APART, min_samples=1_001), ALIKE).verdict == "inconclusive"


def test_failure_shares_alpha_and_success_does_not() -> None:
    alone, shared = judged(APART, ALIKE), judged(APART, ALIKE, ALERTS)
    assert alone.failure_boundary is not None
    assert shared.failure_boundary is not None
    assert shared.failure_boundary > alone.failure_boundary
    assert shared.success_boundary == alone.success_boundary
    assert judged(APART, ALIKE, replace(ALERTS, dry_run=True)).failure_boundary == alone.failure_boundary


def latencies(primary: float, candidate: float, count: int = 2_000) -> Tally:
    spread = [1 + step / count for step in range(count)]
    return Tally(
        latencies={
            "primary": Histogram().with_values(primary * one for one in spread),
            "candidate": Histogram().with_values(candidate * one for one in spread),
        }
    )


def test_latency_compares_quantiles_of_the_same_time() -> None:
    assert judged(LATENCY, latencies(5.0, 5.0)).verdict == "success"
    assert judged(LATENCY, latencies(5.0, 10.0)).verdict == "failure"
    assert judged(LATENCY, latencies(5.0, 7.4)).verdict == "inconclusive"
    assert judged(LATENCY, latencies(5.0, 5.0, 20)).verdict == "inconclusive"
    assert (
        judged(LATENCY, replace(latencies(5.0, 5.0), latencies={"primary": Histogram({1: 9})})).verdict
        == "inconclusive"
    )


def reviews(primary: tuple[int, int], candidate: tuple[int, int]) -> Tally:
    return Tally(counted={"reviewed_fpr": {"primary": Counted(*primary), "candidate": Counted(*candidate)}})


def test_proportions_are_compared_with_those_of_the_same_time() -> None:
    assert judged(FPR, reviews((20, 1000), (20, 1000))).verdict == "success"
    assert judged(FPR, reviews((20, 1000), (300, 1000))).verdict == "failure"
    assert judged(FPR, reviews((1, 20), (3, 20))).verdict == "inconclusive"
    assert judged(FPR, reviews((20, 1000), (0, 0))).verdict == "inconclusive"


def test_a_threshold_fails_after_so_many_looks_in_a_row() -> None:
    cost = Metric("cost", "threshold", limit=2.0, looks=2)
    made, evidence = plan(metrics=(cost,)), Evidence()
    verdicts = []
    for value in (1.0, 3.0, 1.0, 3.0, 3.0):
        evidence = looked(made, evidence, [Observations(values={"cost": Value(value)})], {}, 0)
        verdicts.append(evidence.judgements[0].verdict)
    assert verdicts == ["success", "inconclusive", "success", "inconclusive", "failure"]


def test_a_look_without_a_new_value_counts_no_look_and_a_ratio_needs_the_primarys_value() -> None:
    cost = Metric("cost", "threshold", ratio=1.2, looks=1)
    made = plan(metrics=(cost,))
    evidence = looked(made, Evidence(), [Observations(values={"cost": Value(2.0)})], {}, 0)
    assert evidence.judgements[0].verdict == "inconclusive"
    evidence = looked(made, evidence, [Observations(values={"cost": Value(2.0, 1.0)})], {}, 0)
    assert evidence.judgements[0].verdict == "failure"
    assert looked(made, evidence, [Observations()], {}, 0).tally.over_limit == {"cost": 1}


def test_a_window_counts_once_however_many_rows_and_processes_tell_of_it() -> None:
    seen = [
        Observations(pairs=(PairSeen("pump-1", 5, False, False), PairSeen("pump-2", 5, True, False))),
        Observations(pairs=(PairSeen("pump-1", 5, False, True), PairSeen("pump-2", 5, True, True))),
    ]
    evidence = looked(plan(), Evidence(), seen, {"live": "7"}, 5_900)
    assert evidence.tally.pairs == 0
    assert evidence.cursors == {"live": "7"}
    evidence = looked(plan(), evidence, [Observations()], {}, 7_000)
    tally = evidence.tally
    assert (tally.both, tally.only_primary, tally.only_candidate, tally.neither) == (1, 0, 1, 0)
    assert not tally.open


def test_a_window_that_is_read_in_parts_from_a_backlog_counts_once() -> None:
    parts = [
        Observations(pairs=(PairSeen("pump-1", 5, part == 4, False),), upto_ms=5_900) for part in range(6)
    ]
    evidence = Evidence()
    for look, part in enumerate([*parts, Observations()]):
        assert evidence.tally.pairs == 0
        evidence = looked(plan(), evidence, [part, Observations()], {}, 60_000 + look * 1_000)
    tally = evidence.tally
    assert (tally.only_primary, tally.pairs, tally.lost) == (1, 1, 0)


def test_while_a_backlog_is_read_windows_close_by_its_own_time() -> None:
    evidence = Evidence()
    for window in range(5, 15):
        part = Observations(pairs=(PairSeen("pump-1", window, False, False),), upto_ms=window * 1_000)
        evidence = looked(plan(), evidence, [part], {}, 60_000)
    assert evidence.tally.pairs == 8  # all but the last two, whose rest may be in what comes
    assert evidence.looked_ms == 60_000


def test_of_two_feeds_the_one_that_is_behind_says_which_windows_are_whole() -> None:
    seen = [
        Observations(pairs=(PairSeen("pump-1", 5, False, False),), upto_ms=5_500),
        Observations(pairs=(PairSeen("pump-1", 5, True, False),)),
        Observations(upto_ms=9_000),
    ]
    assert looked(plan(), Evidence(), seen, {}, 60_000).tally.pairs == 0


def test_what_comes_after_its_window_was_counted_is_lost_and_not_another_window() -> None:
    evidence = looked(plan(), Evidence(), [Observations(pairs=(PairSeen("u", 5, False, False),))], {}, 7_000)
    assert evidence.tally.pairs == 1
    late = Observations(pairs=(PairSeen("u", 5, True, False), PairSeen("u", 6, True, False)), lost=1)
    tally = looked(plan(), evidence, [late], {}, 8_000).tally
    assert (tally.neither, tally.only_primary, tally.lost) == (1, 1, 2)


def test_windows_beyond_the_limit_are_counted_whole_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mesh.rollouts.tally.MAX_OPEN_WINDOWS", 2)
    many = Observations(
        pairs=tuple(PairSeen(unit, n, False, False) for n, unit in ((5, "a"), (5, "b"), (6, "a")))
    )
    evidence = looked(plan(), Evidence(), [many], {}, 5_900)
    assert (evidence.tally.pairs, list(evidence.tally.open)) == (2, ["6 a"])
    again = looked(plan(), evidence, [many], {}, 5_900).tally
    assert (again.pairs, again.lost) == (2, 2)


def test_of_two_observations_that_are_behind_both_are_as_far_as_the_first() -> None:
    first, second = Observations(upto_ms=5), Observations(upto_ms=9)
    assert first.plus(second).upto_ms == second.plus(first).upto_ms == first.plus(Observations()).upto_ms == 5
    assert Observations().plus(Observations()).upto_ms is None


def test_a_trace_stays_short_and_keeps_its_ends() -> None:
    evidence = Evidence()
    for look in range(2_000):
        pair = Observations(pairs=(PairSeen("u", look, False, False),))
        evidence = looked(plan(metrics=(APART,)), evidence, [pair], {}, look * 1_000)
    trace = evidence.traces["apart"]
    assert len(trace) <= 400
    assert trace[0].samples == 0
    assert trace[-1].samples == evidence.tally.pairs
