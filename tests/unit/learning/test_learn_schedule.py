"""When something is due, and how alarms become proposals."""

from dataclasses import replace

from feedback_made import NOW, history, labels

from mesh.alerts import Policy
from mesh.alerts.rules import Budget
from mesh.drift import DriftPolicy
from mesh.learning.plan import SchedulePolicy
from mesh.learning.proposals import alerted, overridden
from mesh.learning.schedule import Proposal, due
from mesh.stores.alerts import MemoryAlerts
from tests.fakes.alert_events import BEGAN, opened

HOUR = 3_600_000
POLICY = SchedulePolicy(every_ms=24 * HOUR, least_gap_ms=HOUR)
DRIFT = [Proposal("score", 5 * HOUR, "score drifts")]


def test_time_drift_and_labels_make_work_due_in_this_order():
    assert due(POLICY, NOW, None, (), update_due=True).work == "retrain"
    assert due(POLICY, NOW, NOW - 25 * HOUR, (), update_due=True).reason == "the last was 25.0 h ago"
    assert due(POLICY, 6 * HOUR, 4 * HOUR, DRIFT, update_due=True).reason == "drift: score drifts"
    assert due(POLICY, 6 * HOUR, 4 * HOUR, (), update_due=True).work == "update"
    assert due(POLICY, 6 * HOUR, 4 * HOUR, (), update_due=False) is None


def test_drift_waits_for_the_gap_counts_only_after_the_last_training_and_may_be_off():
    assert due(POLICY, 6 * HOUR, 5 * HOUR + HOUR // 2, DRIFT, update_due=False) is None
    assert due(POLICY, 8 * HOUR, 6 * HOUR, DRIFT, update_due=False) is None
    assert due(replace(POLICY, on_drift=False), 6 * HOUR, 4 * HOUR, DRIFT, update_due=False) is None


def test_what_was_just_tried_waits_and_leaves_the_other_its_turn():
    tried = {"retrain": NOW - HOUR + 1}
    assert due(POLICY, NOW, None, (), update_due=True, tried=tried).work == "update"
    assert due(POLICY, NOW, None, (), update_due=False, tried=tried) is None
    assert due(POLICY, NOW + 1, None, (), update_due=True, tried=tried).work == "retrain"
    both = {"retrain": NOW, "update": NOW}
    assert due(POLICY, NOW + 1, None, (), update_due=True, tried=both) is None


async def test_drift_alerts_are_proposals_also_inside_a_digest():
    store = MemoryAlerts(Policy(budget=Budget(alerts=1)))
    await store.write(
        [
            opened(1, rule="drift", asset="score", at=1_000),
            opened(2, rule="hot", at=2_000),
            opened(3, rule="drift", asset="input.flow", at=3_000),
        ]
    )
    found = await alerted(store, BEGAN)
    assert sorted(one.stream for one in found) == ["input.flow", "score"]
    assert await alerted(store, BEGAN + 10_000_000) == []


def test_a_change_of_the_override_rate_is_a_proposal():
    rows = history()[0].rows
    base = labels(rows, 1)[0]
    told = [
        replace(
            base,
            id=f"o-{at}",
            verdict="normal" if at >= 300 or at % 10 == 0 else "anomalous",
            decided_ms=at * 60_000,
        )
        for at in range(600)
    ]
    policy = DriftPolicy(period_ms=600_000, quiet_ms=HOUR * 100)
    (found,) = overridden(told, policy)
    assert found.stream == "override"
    assert found.at > 300 * 60_000
    assert "100% are overridden" in found.summary
    assert overridden([replace(one, audit=True) for one in told], policy) == []
    assert overridden([replace(one, flagged=False) for one in told], policy) == []
    assert overridden([], policy) == []
