"""`review.yaml`: what it says, and what it refuses."""

from pathlib import Path

import pytest

from mesh.errors import InvalidConfig
from mesh.review.plan import ReviewPlan
from mesh.spec import load_review

ROOT = Path(__file__).resolve().parents[3]


def test_the_shipped_file_says_the_defaults(tmp_path):
    assert load_review(ROOT / "config") == load_review(tmp_path) == ReviewPlan()


def test_every_part_reaches_the_rules(tmp_path):
    (tmp_path / "review.yaml").write_text(
        """
lease: 90s
bulk: 50
waiting: 500
audit: {share: 0.1, twice: 0.2, least_per_hour: 5}
unsure: {confidence: 0.4, disagreement: 0.7, per_hour: 3, quiet: 1m}
answers: {stream: false, flagged: 'label == "degrading"'}
urgency: {half_life: 30m, critical: {weight: 20, due: 5m}}
reasons: [{code: noise, meaning: Noise}, {code: else, meaning: Something else, note: true}]
"""
    )
    plan = load_review(tmp_path)
    assert (plan.queue.lease_ms, plan.queue.bulk, plan.waiting) == (90_000, 50, 500)
    assert (plan.queue.audit_share, plan.audit.share, plan.audit.twice, plan.audit.least_per_hour) == (
        0.1,
        0.1,
        0.2,
        5,
    )
    assert (plan.unsure.confidence, plan.unsure.disagreement, plan.unsure.per_hour, plan.unsure.quiet_ms) == (
        0.4, 0.7, 3, 60_000,
    )  # fmt: skip
    assert (plan.answers.stream, plan.answers.flagged.text) == (False, 'label == "degrading"')
    urgency = plan.queue.urgency
    assert (urgency.half_life_ms, urgency.weights["critical"], urgency.due_in_ms["critical"]) == (
        1_800_000,
        20,
        300_000,
    )
    assert [(one.code, one.note) for one in plan.queue.reasons] == [("noise", False), ("else", True)]


@pytest.mark.parametrize(
    ("text", "key", "reason"),
    [
        ("lease: 0s", "lease", "must be above 0"),
        ("audit: {share: 1}", "audit.share", "below 1"),
        ("audit: {shares: 0.1}", "audit.shares", "share"),
        ("answers: {flagged: 'score >'}", "answers.flagged", "at character 8"),
        ("bulk: 501", "bulk", "500"),
        ("reasons: []", "reasons", "must not be empty"),
        ("reasons: [{code: a, meaning: A}, {code: a, meaning: B}]", "", "a is there twice"),
        ("reasons: [{code: No Code, meaning: A}]", "reasons[0].code", "may hold letters"),
    ],
)
def test_a_mistake_is_named_with_its_key(tmp_path, text, key, reason):
    (tmp_path / "review.yaml").write_text(text)
    with pytest.raises(InvalidConfig) as found:
        load_review(tmp_path)
    assert key in str(found.value)
    assert reason in str(found.value)


def test_a_file_that_nobody_reads_is_refused(tmp_path):
    (tmp_path / "review.yml").write_text("lease: 5m")
    with pytest.raises(InvalidConfig, match=r"name it review\.yaml"):
        load_review(tmp_path)
