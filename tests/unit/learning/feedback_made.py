"""A small plant that one can work out: healthy rows in a history, faults that people label, a bench over all of it."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from anomaly_windows import LAYOUT, LOAD, healthy

from mesh.learning.anomaly.study import Trial
from mesh.learning.anomaly.windows import Episode, WindowSet
from mesh.learning.bench import Bench
from mesh.learning.feedback.labels import AdjudicatedLabel, MemoryLabels, Verdict, Vote
from mesh.learning.plan import FeedbackPolicy, GatePolicy, LearningPlan, ReplayPolicy
from mesh.registry import FolderObjects, MemoryAudit, Registry
from mesh.stores.delta_reader import Joined, Questions
from mesh.stores.point_in_time import NONE, PointInTime, Versions
from mesh.stores.rows import FeatureBatch
from mesh.stores.views import DAY_MS

NOW = 40 * DAY_MS
PLAN = LearningPlan(
    model="pumps",
    replay=ReplayPolicy(days=30, windows=4_000),
    gates=GatePolicy(slower=50.0, latency_ms=5_000.0, false_share=0.01, most_false=0.05),
    feedback=FeedbackPolicy(),
)


class MemoryHistory:
    """Rows that are here, read as the Delta table is."""

    def __init__(self, rows: FeatureBatch) -> None:
        self.rows = rows

    def point_in_time(self, questions: Questions) -> Joined:
        names = {name: at for at, name in enumerate(sorted({*self.rows.entities, *questions.entities}))}
        entity = np.array([names[one] for one in self.rows.entities], np.int64)
        asked = np.array([names[one] for one in questions.entities], np.int64)
        index = PointInTime(Versions(entity, self.rows.event_time, self.rows.created_time))
        found = index.find(asked, questions.as_of, questions.known_at, 3_600_000)
        there = found != NONE
        return Joined(
            there,
            np.where(there, self.rows.event_time[found], 0),
            np.where(there, self.rows.created_time[found], 0),
            np.where(there[:, None], self.rows.values[found], np.nan),
        )

    def days(self, start: int, end: int) -> list[int]:
        inside = (self.rows.event_time >= start) & (self.rows.event_time < end)
        return np.unique(self.rows.event_time[inside] // DAY_MS).tolist()

    def stretch(self, start: int, end: int) -> FeatureBatch:
        inside = (self.rows.event_time >= start) & (self.rows.event_time < end)
        return self.rows.take(np.flatnonzero(inside))


def broken(windows: WindowSet, by: float = 12.0) -> WindowSet:
    """The same windows with the flow's mean away from what the load says."""
    values = windows.values.copy()
    values[:, 1, 0] += by
    return replace(windows, values=values, healthy=np.zeros(len(windows), np.bool_))


def history(seed: int = 1, assets: int = 50, faulty: int = 6) -> tuple[MemoryHistory, WindowSet, WindowSet]:
    """Healthy windows of `assets` and some broken ones of other assets, in the last days; and both as sets."""
    calm, bad = healthy(assets, 40, seed), broken(healthy(faulty, 20, seed + 1))
    rows = [
        FeatureBatch(
            [f"{prefix}{one.assets[at]}" for at in one.asset.tolist()],
            NOW - 2 * DAY_MS + one.time,
            NOW - 2 * DAY_MS + one.time + 1_000,
            one.flat.astype(np.float64),
        )
        for prefix, one in (("", calm), ("bad-", bad))
    ]
    both = FeatureBatch(
        [*rows[0].entities, *rows[1].entities],
        *(
            np.concatenate([getattr(one, name) for one in rows])
            for name in ("event_time", "created_time", "values")
        ),
    )
    return MemoryHistory(both), calm, bad


def label(
    at: int,
    rows: FeatureBatch,
    row: int,
    verdict: Verdict,
    *people: str,
    says: dict[str, Verdict] | None = None,
    weight: float = 1.0,
) -> AdjudicatedLabel:
    """A label of a history's row, settled in the order of `at`."""
    end = int(rows.event_time[row])
    votes = tuple(Vote(one, (says or {}).get(one, verdict)) for one in people)
    return AdjudicatedLabel(
        f"l-{at}",
        f"i-{at}",
        rows.entities[row],
        end,
        verdict,
        weight,
        votes,
        "raw",
        at % 4,
        at,
        end + 2_000,
        NOW - DAY_MS + at,
    )


def labels(
    rows: FeatureBatch, count: int = 80, people: Sequence[str] = ("ann", "bob", "cat"), flip: bool = False
) -> list[AdjudicatedLabel]:
    """Alternately a broken window and a healthy one, each judged by two of the people; or all the other way round."""
    bad = [at for at, name in enumerate(rows.entities) if name.startswith("bad-")]
    good = [at for at, name in enumerate(rows.entities) if not name.startswith("bad-")]
    found = []
    for at in range(count):
        anomalous = at % 2 == 0
        row = bad[at // 2 * 17 % len(bad)] if anomalous else good[at * 7 % len(good)]
        verdict: Verdict = "anomalous" if anomalous != flip else "normal"
        pair = [people[(at + k) % len(people)] for k in range(min(2, len(people)))]
        # An alert is always shown, a window without one to every twentieth part.
        found.append(label(at, rows, row, verdict, *dict.fromkeys(pair), weight=1.0 if anomalous else 20.0))
    return found


def trial(seed: int = 9) -> Trial:
    """Machines that nobody learned from, half of each with the fault in its middle."""
    calm = healthy(6, 120, seed)
    bad = broken(healthy(4, 60, seed + 1))
    episodes = tuple(Episode("drift", asset, 0, 60 * LAYOUT.hop_ms) for asset in range(4))
    return Trial((replace(bad, episodes=episodes),), (calm,))


def bench(
    folder, told: MemoryLabels, past: MemoryHistory | None, plan: LearningPlan = PLAN
) -> tuple[Bench, MemoryAudit]:
    audit = MemoryAudit()
    registry = Registry(FolderObjects(folder), audit, clock=lambda: NOW)
    return Bench(plan, LAYOUT, told, past, registry, trial, lambda: None, None), audit


__all__ = ["LOAD", "NOW", "PLAN", "MemoryHistory", "bench", "broken", "history", "label", "labels", "trial"]
