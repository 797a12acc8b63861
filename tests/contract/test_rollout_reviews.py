"""What people say of a rollout's two arms becomes its evidence, and an undo takes it back; over SQLite and PostgreSQL alike."""

from dataclasses import replace

import pytest

from mesh.errors import StoreAway
from mesh.records.transactions import Transactions
from mesh.review.heard import HeardDecisions
from mesh.review.values import Prediction
from mesh.rollouts.plan import AlertRule, Metric, Plan, Step
from mesh.rollouts.tally import Counted, Observations
from serve.rollout_reviews import SETTLED_MS, ReviewFeed
from tests.fakes.reviewing import ANN, BEN, Desk, candidate, key

PLAN = Plan(
    "pump", "default", "pump", "pump@2", AlertRule(0.8), (Step("canary"), Step("promote")),
    (Metric("fpr", "reviewed_fpr", margin=0.1), Metric("overrides", "override_rate", margin=0.1)),
)  # fmt: skip
OLD = Prediction(True, 0.9, 0.8, 0.6, "pump", "1")
NEW = Prediction(True, 0.9, 0.8, 0.6, "pump@2", "2")


@pytest.fixture
async def looking(database):
    """A desk, and a feed whose clock is the desk's, past what must settle."""
    desk, transactions = Desk(database), Transactions(database)
    yield desk, ReviewFeed(transactions, HeardDecisions(database), lambda: desk.now + SETTLED_MS)
    await transactions.close()


def counts(seen: Observations) -> dict[str, dict[str, tuple[int, int]]]:
    return {
        kind: {arm: (one.hits, one.trials) for arm, one in arms.items()}
        for kind, arms in seen.counted.items()
    }


async def test_overrides_and_false_alerts_go_to_the_arm_that_answered(looking):
    desk, feed = looking
    desk.add(candidate(9, prediction=OLD))  # before the rollout: of no concern to it
    desk.now += SETTLED_MS + 1
    _, cursor = await feed.read(PLAN, "")
    desk.now += SETTLED_MS + 1
    desk.add(
        candidate(1, prediction=OLD),
        candidate(2, prediction=NEW),
        candidate(3, prediction=NEW),
        candidate(4, "audit", prediction=NEW),
        candidate(5, "audit", prediction=replace(OLD, flagged=False)),
        candidate(6, prediction=replace(OLD, model="other")),
    )
    desk.take_and_decide(key(9), ANN, "override", reason="too-sensitive")
    desk.take_and_decide(key(1), ANN)
    desk.take_and_decide(key(2), ANN, "override", reason="too-sensitive")
    desk.take_and_decide(key(3), BEN)
    desk.take_and_decide(key(4, "audit"), ANN, "judge", label="normal")
    desk.take_and_decide(key(5, "audit"), ANN, "judge", label="normal")
    desk.take_and_decide(key(6), ANN)
    seen, cursor = await feed.read(PLAN, cursor)
    assert counts(seen) == {
        "override_rate": {"primary": (0, 1), "candidate": (1, 2)},
        "reviewed_fpr": {"primary": (0, 1), "candidate": (1, 1)},
    }
    assert await feed.read(PLAN, cursor) == (Observations(), cursor)


async def test_an_undo_takes_back_what_was_counted_and_a_decision_is_counted_once(looking):
    desk, feed = looking
    _, cursor = await feed.read(PLAN, "")
    desk.now += 3 * SETTLED_MS
    desk.add(candidate(1, prediction=NEW), candidate(2, prediction=OLD))
    desk.take_and_decide(key(1), ANN, "override", reason="too-sensitive")
    seen, cursor = await feed.read(PLAN, cursor)
    total = seen
    desk.now += 1_000
    desk.undo(key(1), ANN)
    desk.take_and_decide(key(2), ANN)
    for _ in range(2):
        seen, cursor = await feed.read(PLAN, cursor)
        total = total.plus(seen)
    assert total.counted["override_rate"] == {"candidate": Counted(0, 0), "primary": Counted(0, 1)}


async def test_what_is_not_old_enough_waits_and_a_long_absence_is_read_in_parts(looking):
    desk, feed = looking
    _, cursor = await feed.read(PLAN, "")
    desk.now += SETTLED_MS - 1
    assert await feed.read(PLAN, cursor) == (Observations(), cursor)
    desk.now += 5 * 3_600_000 - SETTLED_MS
    desk.add(candidate(1, prediction=NEW))
    desk.take_and_decide(key(1), ANN)
    reads = 0
    seen = Observations()
    while not seen.counted:
        seen, cursor = await feed.read(PLAN, cursor)
        reads += 1
    assert (reads, counts(seen)) == (5, {"override_rate": {"candidate": (0, 1)}})


async def test_a_plan_without_people_asks_nobody_and_a_cursor_of_another_feed_is_refused(looking):
    _, feed = looking
    without = replace(PLAN, metrics=(Metric("apart", "discordance", margin=0.1),))
    assert await feed.read(without, "") == (Observations(), "")
    with pytest.raises(StoreAway, match="1700-0"):
        await feed.read(PLAN, "1700-0")
