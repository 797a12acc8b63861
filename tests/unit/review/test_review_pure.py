"""Priority, draws, adjudication, meaning, neighbours and figures, without a database."""

from itertools import permutations

import numpy as np
import pytest

from mesh.errors import InvalidInput
from mesh.records.entry import Actor
from mesh.review.adjudication import Verdict, adjudicate
from mesh.review.interpret import meaning_of
from mesh.review.neighbours import most_alike, moved_most
from mesh.review.origin import lowest_threshold, threshold_of
from mesh.review.priority import HOUR_MS, Urgency, disagreement, uncertainty
from mesh.review.quality import Facts, Fault, Spoken, quality
from mesh.review.sampling import AuditPlan, AuditSampler, Decayed, asked_twice
from mesh.review.values import Judgement, Prediction, Said
from tests.fakes.reviewing import NOW, candidate

URGENCY = Urgency()


def test_the_urgency_is_the_product_of_its_factors():
    one = candidate(
        1, prediction=Prediction(True, confidence=0.6, voices={"a": 0.9, "b": 0.6}), criticality=2.0
    )
    left_ms = 2 * HOUR_MS - 1_000
    expected = 3.0 * 2.0 * (0.4 + 0.3) * 2 ** (-left_ms / HOUR_MS)
    assert URGENCY.now(URGENCY.rank(one), NOW) == pytest.approx(expected)
    assert (uncertainty(one.prediction), disagreement(one.prediction)) == pytest.approx((0.4, 0.3))


def test_time_changes_urgency_and_never_the_order():
    items = [
        candidate(n, severity=("info", "warning", "critical")[n % 3], row_time=NOW - n * HOUR_MS)
        for n in range(9)
    ]
    ranks = [URGENCY.rank(one) for one in items]
    for later in (0, HOUR_MS, 12 * HOUR_MS):
        now = [URGENCY.now(rank, NOW + later) for rank in ranks]
        assert np.argsort(now).tolist() == np.argsort(ranks).tolist()
    # an hour is one half-life: an info item as old as 22 h 15 min + log2(10) h comes before a new critical one
    assert URGENCY.rank(candidate(1, severity="info", row_time=NOW - 28 * HOUR_MS)) > URGENCY.rank(
        candidate(2, severity="critical", row_time=NOW)
    )


def test_the_rank_of_an_audit_item_tells_nothing_of_its_score():
    sure = candidate(1, "audit", prediction=Prediction(True, 0.99, 0.8, 0.99), criticality=9.0)
    quiet = candidate(1, "audit", prediction=Prediction(False, 0.01, 0.8, 0.5))
    assert URGENCY.rank(sure) == URGENCY.rank(quiet)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (Prediction(True, confidence=1.4), 0.0),
        (Prediction(True, score=0.75, threshold=0.8), 0.95),
        (Prediction(True), 0.5),
    ],
)
def test_doubt_comes_from_confidence_then_from_the_threshold(said, expected):
    assert uncertainty(said) == pytest.approx(expected)


def test_the_audit_keeps_its_share_of_what_people_are_asked():
    plan = AuditPlan(share=0.1, least_per_hour=0.001)
    sampler, drawn, asked = AuditSampler(plan), [], 0
    for second in range(0, 4 * 3_600, 4):
        now = NOW + 1_000 * second
        flagged = np.zeros(50, bool)
        flagged[:1] = second % 40 == 0
        if second % 20 == 0:
            sampler.asked(1, now)
            asked += 1
        rows = [f"pump-{n}@{now}" for n in range(50)]
        drawn += [(bool(flagged[one.row]), one.inclusion) for one in sampler.draw(rows, flagged, now)]
    share = len(drawn) / (len(drawn) + asked)
    assert 0.05 <= share <= 0.15
    strata = [kind for kind, _ in drawn]
    assert 0.3 <= sum(strata) / len(strata) <= 0.7
    # the weights of what was drawn stand for the rows that came, once the traffic is known
    weight = sum(1 / inclusion for kind, inclusion in drawn if not kind and inclusion > plan.floor)
    assert weight == pytest.approx(3_600 * 49.9, rel=0.5)


def test_a_row_that_is_read_again_is_not_offered_again():
    sampler = AuditSampler(AuditPlan(least_per_hour=1e9))
    sampler.draw(["a"], np.zeros(1, bool), NOW)
    sampler.draw(["b"], np.zeros(1, bool), NOW + 1_000)
    first = sampler.draw(["c", "d"], np.zeros(2, bool), NOW + 2_000)
    assert [(one.row, one.inclusion) for one in first] == [(0, 1.0), (1, 1.0)]
    assert sampler.draw(["c", "d"], np.zeros(2, bool), NOW + 3_000) == []


def test_a_decayed_count_knows_the_rate():
    count = Decayed(HOUR_MS)
    assert count.per_ms == 0.0
    for second in range(10_000):
        count.add(3, NOW + 1_000 * second)
    assert count.per_ms == pytest.approx(0.003, rel=0.01)


@pytest.mark.parametrize("wrong", [{"share": 1.0}, {"twice": -0.1}, {"floor": 0.0}])
def test_a_wrong_plan_names_the_field(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        AuditPlan(**wrong)


def test_the_overlap_is_a_share_of_all():
    hits = sum(asked_twice(AuditPlan(twice=0.1), f"row-{n}") for n in range(10_000))
    assert hits == pytest.approx(1_000, rel=0.15)


def judgement(name: str, label, role="analyst", overrides=False) -> Judgement:
    return Judgement(f"d-{name}", Actor(name, role, "http"), label, overrides)


A, B = judgement("a", "anomaly"), judgement("b", "anomaly")
NO, PASS = judgement("c", "normal", overrides=True), judgement("d", None)
OP, OP2 = judgement("o", "anomaly", "operator"), judgement("p", "normal", "admin")

CASES = [
    ((), 1, False, Verdict("open")),
    ((A,), 1, False, Verdict("decided")),
    ((A,), 2, False, Verdict("open")),
    ((NO,), 1, False, Verdict("open")),
    ((PASS,), 1, False, Verdict("open")),
    ((PASS, A), 1, False, Verdict("decided")),
    ((A, B), 2, False, Verdict("decided", "anomaly", "agreement", ("d-a", "d-b"))),
    ((A, NO), 1, False, Verdict("disputed")),
    ((A, NO, OP), 1, False, Verdict("decided", "anomaly", "operator", ("d-o",))),
    ((OP,), 2, False, Verdict("open", "anomaly", "operator", ("d-o",))),
    ((OP, OP2), 1, False, Verdict("disputed")),
    ((A,), 1, True, Verdict("escalated")),
    ((A, OP), 1, True, Verdict("decided", "anomaly", "operator", ("d-o",))),
]


@pytest.mark.parametrize(("judgements", "wanted", "escalated", "expected"), CASES)
def test_what_people_say_comes_to(judgements, wanted, escalated, expected):
    for order in permutations(judgements):
        verdict = adjudicate(order, wanted=wanted, escalated=escalated)
        assert (verdict.state, verdict.label, verdict.basis) == (
            expected.state,
            expected.label,
            expected.basis,
        )
        assert set(verdict.decisions) == set(expected.decisions)


def test_one_analyst_makes_no_label_however_often_they_speak():
    for label in ("anomaly", "normal"):
        for wanted in (1, 2):
            assert (
                adjudicate([judgement("eve", label, overrides=True)], wanted=wanted, escalated=False).label
                is None
            )


def test_a_judgement_is_told_by_the_prediction():
    assert meaning_of(Said("judge", "normal"), "normal", hidden=True).action == "confirm"
    assert meaning_of(Said("judge", "normal"), "anomaly", hidden=True).action == "override"
    assert meaning_of(Said("override", reason="missed"), "normal", hidden=False).label == "anomaly"
    with pytest.raises(InvalidInput, match="note: has 2001 characters"):
        meaning_of(Said("skip", note="x" * 2_001), "normal", hidden=False)


def test_the_features_that_moved_most():
    draw = np.random.default_rng(1)
    before = draw.normal([10, 50, 0], [1, 5, 0], (100, 3))
    found = moved_most(("a", "b", "c"), np.array([10.5, 90.0, 0.0]), before)
    assert (found[0].name, found[0].value) == ("b", 90.0)
    assert found[0].deviations == pytest.approx(8, abs=1.5)
    assert moved_most(("a",), np.array([1.0]), np.ones((2, 1))) == []


def test_the_nearest_cases_come_first_whatever_the_units():
    cases = np.array([[1.0, 1_000.0], [1.1, 1_010.0], [9.0, 5_000.0], [np.nan, np.nan]])
    found = most_alike(np.array([1.04, 1_004.0]), ["w", "x", "y", "z"], cases)
    assert [one.id for one in found][:2] == ["w", "x"]
    assert "z" not in [one.id for one in found]
    assert most_alike(np.array([1.0]), [], np.empty((0, 1))) == []


def test_figures_without_facts_are_none_and_not_zero():
    told = quality(Facts([], [], [], [], [], {}, 3, 1), 1)
    assert (told.rates.tpr.value, told.overrides.value, told.detection.mean) == (None, None, None)
    assert (told.agreement.alpha, told.budget.most, told.waiting, told.overdue) == (None, 0, 3, 1)


def test_delays_count_what_was_missed():
    faults = [Fault(0, 30_000, 40_000, 100_000), Fault(0, 90_000), Fault(5_000, None)]
    spoken = [Spoken("m", "1", "ann", True, 4.0), Spoken("m@2", "2", "ben", False, 8.0)]
    told = quality(Facts([], [], spoken, faults, [60_000], {1: 3, 2: 1}, 0, 0), 2)
    assert (told.detection.mean, told.detection.count, told.detection.missed) == (60.0, 2, 1)
    assert (told.repair.mean, told.repair.missed) == (60.0, 1)
    assert {name: one.value for name, one in told.overrides_by_model.items()} == {"m@1": 1.0, "m@2": 0.0}
    assert told.overrides_by_person["ben"].value == 0.0
    assert (told.budget.exceeded, told.budget.windows, told.budget.most) == (1, 2, 3)
    assert (told.turnaround.median, told.seconds.count) == (60.0, 2)


def test_the_threshold_is_read_from_the_condition():
    assert threshold_of("score >= 0.998 && criticality >= 2") == 0.998
    assert threshold_of("anomaly_score > 3 || z >= 15") is None
    assert lowest_threshold(["score > 0.9", "z >= 2", "score >= .5", "score >= 0.7"]) == 0.7
