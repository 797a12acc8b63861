"""Rates from samples of known probability: by hand, and over simulated streams."""

import numpy as np
import pytest

from mesh.review.estimates import Audited, rates, simple_share, wilson
from mesh.review.sampling import AuditPlan, place


def test_weights_are_one_over_the_inclusion():
    told = rates(
        [
            Audited(0.5, flagged=True, label="anomaly"),
            Audited(0.5, flagged=True, label="normal"),
            Audited(0.1, flagged=False, label="anomaly"),
            Audited(0.1, flagged=False, label="normal"),
        ]
    )
    assert told.tpr.value == pytest.approx(2 / 12)
    assert told.fpr.value == pytest.approx(2 / 12)
    assert told.precision.value == 0.5
    assert told.prevalence.value == 0.5
    assert (told.tpr.rows, told.drawn, told.judged) == (2, 4, 4)


def test_what_was_not_judged_is_made_up_for_within_its_stratum():
    judged = [Audited(0.5, flagged=True, label="anomaly")]
    unjudged = [Audited(0.5, flagged=True, label=None)]
    rest = [Audited(0.1, flagged=False, label="anomaly")]
    assert rates(judged + unjudged + rest).tpr.value == pytest.approx(4 / 14)


def test_nothing_judged_is_no_figure():
    told = rates([Audited(0.5, flagged=True, label=None)])
    assert (told.tpr.value, told.tpr.low, told.drawn, told.judged) == (None, None, 1, 0)
    with pytest.raises(ValueError, match=r"inclusion: 0 is not in \(0, 1\]"):
        rates([Audited(0, flagged=True, label="normal")])


def test_wilson_is_the_published_interval():
    # R. G. Newcombe, Statistics in Medicine 17, 1998, table I: 81 of 263, 0 of 20, 1 of 29.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson(1, 29) == pytest.approx((0.0061, 0.1718), abs=5e-5)
    assert simple_share(0, 0).value is None


ROWS, FAULTY, REVIEWED = 40_000, 0.02, 2_000
PLAN = AuditPlan()


def stream(draw: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows with a truth and a score: faults score higher on the whole, and a third of them not at all."""
    faulty = draw.random(ROWS) < FAULTY
    visible = faulty & (draw.random(ROWS) < 2 / 3)
    score = np.clip(draw.normal(0.3, 0.12, ROWS) + 0.45 * visible, 0, 1)
    return faulty, score, score >= 0.6


def audit(draw: np.random.Generator, faulty: np.ndarray, flagged: np.ndarray) -> list[Audited]:
    """`REVIEWED` rows in all, half of them among flagged ones; a tenth is never judged."""
    chance = np.where(flagged, 0.5 * REVIEWED / flagged.sum(), 0.5 * REVIEWED / (~flagged).sum())
    drawn = np.flatnonzero(draw.random(ROWS) < np.minimum(1, chance))
    return [
        Audited(
            float(min(1, chance[row])),
            bool(flagged[row]),
            None if draw.random() < 0.1 else "anomaly" if faulty[row] else "normal",
        )
        for row in drawn.tolist()
    ]


def test_reviewing_the_most_urgent_misleads_and_the_weighted_audit_does_not():
    """A hundred streams: the interval of the audit holds the truth in 93 or more, that of the urgent-first sample in none."""
    runs, held, errors = 100, {"tpr": 0, "fpr": 0}, {"tpr": [], "fpr": []}
    misled = {"tpr": 0, "fpr": 0}
    for seed in range(runs):
        draw = np.random.default_rng(seed)
        faulty, score, flagged = stream(draw)
        truth = {"tpr": flagged[faulty].mean(), "fpr": flagged[~faulty].mean()}
        told = rates(audit(draw, faulty, flagged))
        urgent = np.argsort(-score)[:REVIEWED]
        naive = {
            "tpr": simple_share(int(flagged[urgent][faulty[urgent]].sum()), int(faulty[urgent].sum())),
            "fpr": simple_share(int(flagged[urgent][~faulty[urgent]].sum()), int((~faulty[urgent]).sum())),
        }
        for name in held:
            one = getattr(told, name)
            held[name] += one.low <= truth[name] <= one.high
            errors[name].append(one.value - truth[name])
            misled[name] += not naive[name].low <= truth[name] <= naive[name].high
    assert misled == {"tpr": runs, "fpr": runs}
    for name, hits in held.items():
        assert hits / runs >= 0.93, name
        bias, spread = np.mean(errors[name]), np.std(errors[name])
        assert abs(bias) < 0.25 * spread, name


def test_the_draw_is_uniform_and_always_the_same():
    places = np.array([place(PLAN.salt, f"pump-{n % 50}@{n}") for n in range(20_000)])
    assert places.mean() == pytest.approx(0.5, abs=0.01)
    assert np.histogram(places, 10, (0, 1))[0].min() > 1_850
    assert (
        place("review-1", "pump-7@1764000000000") == places[0] or place("review-1", "pump-0@0") == places[0]
    )
