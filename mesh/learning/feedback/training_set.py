"""From labels and history to something to learn from: the features that people were shown, and healthy windows beside them.

A label's features are those of exactly its window, as they were known when it was shown: a correction that came later is not
what was judged. Labels are split by the time of their settling; the newest are for the gate alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from mesh.learning.anomaly.windows import Layout, WindowSet
from mesh.learning.feedback.labels import AdjudicatedLabel
from mesh.learning.feedback.replay import ReplayBuffer
from mesh.learning.plan import FeedbackPolicy, ReplayPolicy
from mesh.registry.version import Lineage
from mesh.stores.delta_reader import Joined, Questions
from mesh.stores.rows import FeatureBatch

HOUR_MS = 3_600_000
DAY_MS = 86_400_000


class History(Protocol):
    """What `mesh.stores.delta_reader.DeltaReader` is."""

    def point_in_time(self, questions: Questions) -> Joined:
        """For each question the newest row that had happened and was known."""
        ...

    def days(self, start: int, end: int) -> list[int]:
        """The days, since 1970, that have rows in a stretch of time."""
        ...

    def stretch(self, start: int, end: int) -> FeatureBatch:
        """All entities' rows with start ≤ event time < end."""
        ...


@dataclass(frozen=True, slots=True)
class LabelledRows:
    """L labels with the features that they were about: `values` float32 [L, S, F], `anomalous` bool [L], `weight` float64 [L]."""

    labels: tuple[AdjudicatedLabel, ...]
    values: np.ndarray
    anomalous: np.ndarray
    weight: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def flat(self) -> np.ndarray:
        """As rows of the model's input: float32 [L, S·F]."""
        return self.values.reshape(len(self), self.values.shape[1] * self.values.shape[2])

    def split(self, share: float) -> tuple["LabelledRows", "LabelledRows"]:
        """The older ones, and the share `share` that was settled last."""
        first = len(self) - round(share * len(self))
        return self.take(slice(0, first)), self.take(slice(first, None))

    def take(self, rows: slice) -> "LabelledRows":
        """These."""
        return LabelledRows(self.labels[rows], self.values[rows], self.anomalous[rows], self.weight[rows])


def labelled_rows(
    labels: Sequence[AdjudicatedLabel], history: History, layout: Layout
) -> tuple[LabelledRows, tuple[str, ...]]:
    """The labels whose window is in the history as it was shown, and the ids of those whose is not."""
    asked = Questions(
        [one.asset for one in labels],
        np.array([one.end_ms for one in labels], np.int64),
        np.array([one.shown_ms for one in labels], np.int64),
    )
    joined = history.point_in_time(asked)
    there = joined.found & (joined.event_time == asked.as_of)
    kept = tuple(one for one, found in zip(labels, there.tolist(), strict=True) if found)
    missing = tuple(one.id for one, found in zip(labels, there.tolist(), strict=True) if not found)
    shape = (len(kept), len(layout.sensors), len(layout.features))
    return LabelledRows(
        kept,
        joined.values[there].astype(np.float32).reshape(shape),
        np.array([one.verdict == "anomalous" for one in kept], np.bool_),
        np.array([one.weight for one in kept], np.float64),
    ), missing


def replayed(
    history: History,
    labels: Sequence[AdjudicatedLabel],
    policy: ReplayPolicy,
    layout: Layout,
    seed: int,
    now_ms: int,
) -> ReplayBuffer:
    """A sample of the history's windows, hour by hour, without those that share readings with an anomalous label's window.

    Nothing is left out for its score: a model that chose its own training rows would raise fewer and fewer of them.
    """
    buffer = ReplayBuffer(policy.windows, seed)
    anomalous = [one for one in labels if one.verdict == "anomalous"]
    begin = now_ms - policy.days * DAY_MS
    for day in history.days(begin, now_ms):
        for start in range(max(day * DAY_MS, begin), min((day + 1) * DAY_MS, now_ms), HOUR_MS):
            rows = history.stretch(start, min(start + HOUR_MS, (day + 1) * DAY_MS, now_ms))
            if len(rows):
                buffer.offer(rows.take(np.flatnonzero(~_touched(rows, anomalous, layout.window_ms))))
    return buffer


def healthy_set(
    layout: Layout,
    replay: FeatureBatch | None,
    labelled: LabelledRows,
    policy: FeedbackPolicy,
    others: WindowSet | None = None,
) -> WindowSet:
    """Windows to learn health from: the replay's, each window that people called normal `repeat` times, and `others`.

    `others` are of other assets, such as simulated ones. Ordered by asset and time.
    """
    shape = (len(layout.sensors), len(layout.features))
    names: list[str] = []
    times: list[np.ndarray] = []
    values: list[np.ndarray] = [np.empty((0, *shape), np.float32)]
    if replay is not None:
        names += replay.entities
        times.append(replay.event_time)
        values.append(replay.values.astype(np.float32).reshape(-1, *shape))
    normal = np.flatnonzero(~labelled.anomalous)
    for _ in range(policy.repeat):
        names += [labelled.labels[row].asset for row in normal.tolist()]
        times.append(np.array([labelled.labels[row].end_ms for row in normal.tolist()], np.int64))
        values.append(labelled.values[normal])
    if others is not None:
        names += [f"simulated/{others.assets[place]}" for place in others.asset.tolist()]
        times.append(others.time)
        values.append(others.values)
    assets, place = np.unique(np.array(names, np.str_), return_inverse=True)
    time = np.concatenate([np.empty(0, np.int64), *times])
    order = np.lexsort((time, place))
    return WindowSet(
        layout,
        tuple(assets.tolist()),
        place[order].astype(np.int64),
        time[order],
        np.concatenate(values)[order],
        np.ones(len(order), np.bool_),
    )


def lineage_of(labelled: LabelledRows, replay: FeatureBatch | None, rows: int, parent: int | None) -> Lineage:
    """Label ids, the offsets that they were about, the stretch of time of all rows."""
    offsets: dict[str, tuple[int, int]] = {}
    for one in labelled.labels:
        place = f"{one.topic}-{one.partition}"
        low, high = offsets.get(place, (one.offset, one.offset))
        offsets[place] = (min(low, one.offset), max(high, one.offset))
    times = [np.array([one.end_ms for one in labelled.labels], np.int64)]
    if replay is not None:
        times.append(replay.event_time)
    every = np.concatenate(times)
    window = (int(every.min()), int(every.max())) if len(every) else (0, 0)
    return Lineage(tuple(one.id for one in labelled.labels), offsets, window, rows, parent)


def _touched(rows: FeatureBatch, labels: Sequence[AdjudicatedLabel], window_ms: int) -> np.ndarray:
    """Bool [N]: the rows whose windows share readings with one of the labels'."""
    found = np.zeros(len(rows), np.bool_)
    if not labels:
        return found
    names = np.array(rows.entities, np.str_)
    for one in labels:
        near = np.abs(rows.event_time - one.end_ms) < window_ms
        if near.any():
            found |= near & (names == one.asset)
    return found
