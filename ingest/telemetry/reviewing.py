"""Rows of the chain that people are asked about: a random audit, and answers of low confidence. Never waits for anybody."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import numpy as np

from ingest.record import Polled
from ingest.stages.alert import Alert
from ingest.stages.rows import Rows
from ingest.telemetry.judging import Alerting
from mesh.alerts import AlertEvent, Place, Rule
from mesh.errors import MeshError
from mesh.pipeline.plan import Level
from mesh.review.origin import Origin, lowest_threshold
from mesh.review.ports import CandidateSink
from mesh.review.sampling import AuditSampler, asked_twice
from mesh.review.values import Candidate, Prediction, Source
from mesh.routing.masks import Column
from mesh.stores.alerts import AlertWriter, Written

logger = logging.getLogger(__name__)

WAITING: Final = 1_000
FLUSH_S: Final = 0.5
QUIET_MS: Final = 600_000
"""An asset is asked about for low confidence at most once in this time."""


@dataclass(frozen=True, slots=True)
class ReviewPlan:
    """Beside the audit: rows of a confidence below `unsure`, at most `unsure_per_hour`."""

    unsure: float = 0.3
    unsure_per_hour: int = 12


class ReviewSampling:
    """An `Alerting` that looks at rows on their way to another. Owns a task from `start` to `stop`."""

    def __init__(
        self, inner: Alerting, alert: Alert, rules: Sequence[Rule], names: Sequence[str], origin: Origin,
        sink: CandidateSink, sampler: AuditSampler, plan: ReviewPlan | None = None,
    ) -> None:  # fmt: skip
        """`alert` gives the columns that `rules` read; `names` are the features of a flattened row."""
        self._inner, self._alert, self._rules, self._names = inner, alert, tuple(rules), tuple(names)
        self._origin, self._sink, self._plan = origin, sink, plan or ReviewPlan()
        self._sampler = sampler
        self._threshold = lowest_threshold(rule.when.text for rule in rules)
        self._waiting: deque[Candidate] = deque(maxlen=WAITING)
        self._dropped = 0
        self._asked_at: dict[str, int] = {}
        self._unsure_at: deque[int] = deque(maxlen=max(1, self._plan.unsure_per_hour))
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to offer, on the loop that runs."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Offer what waits, once, and end."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        with suppress(MeshError):
            await self._flush()

    def step(self, rows: Rows, polled: Polled, level: Level) -> Coroutine[None, None, None]:
        """See `Alerting`."""
        if len(rows):
            self.look(rows, polled, level, time.time_ns() // 1_000_000)
        return self._inner.step(rows, polled, level)

    def dump(self, partition: int, assets: Sequence[str]) -> Mapping[str, bytes]:
        """See `Alerting`."""
        return self._inner.dump(partition, assets)

    def begin(self, partition: int, states: Mapping[str, bytes]) -> None:
        """See `Alerting`."""
        self._inner.begin(partition, states)

    def end(self, partition: int) -> None:
        """See `Alerting`."""
        self._inner.end(partition)

    def look(self, rows: Rows, polled: Polled, level: Level, now: int) -> None:
        """Draw from these rows; `now` is the clock's time in milliseconds."""
        columns = self._alert.columns(rows, level)

        def lookup(name: str) -> Column:
            return rows.assets if name == "asset" else columns.get(name)

        flagged = np.zeros(len(rows), np.bool_)
        for rule in self._rules:
            flagged |= rule.when.mask(len(rows), lookup)
        for one in self._sampler.draw(rows.ids, flagged, now):
            self._offer("audit", rows, polled, one.row, bool(flagged[one.row]), one.inclusion)
        for row in self._unsure(rows, now):
            self._sampler.asked(1, now)
            self._offer("unsure", rows, polled, row, bool(flagged[row]), None)

    def _unsure(self, rows: Rows, now: int) -> list[int]:
        """Rows of low confidence: the lowest first, few an hour, no asset twice in ten minutes."""
        confidence = rows.columns.get("confidence")
        if confidence is None or not self._plan.unsure_per_hour:
            return []
        chosen = []
        low = np.flatnonzero(confidence < self._plan.unsure)
        for row in low[np.argsort(confidence[low], kind="stable")].tolist():
            full = len(self._unsure_at) == self._unsure_at.maxlen and now - self._unsure_at[0] < 3_600_000
            if full:
                break
            if now - self._asked_at.get(rows.assets[row], -QUIET_MS) >= QUIET_MS:
                self._asked_at = {a: at for a, at in self._asked_at.items() if now - at < QUIET_MS}
                self._asked_at[rows.assets[row]] = now
                self._unsure_at.append(now)
                chosen.append(row)
        return chosen

    def _offer(
        self, source: Source, rows: Rows, polled: Polled, row: int, flagged: bool, inclusion: float | None
    ) -> None:
        cause = int(rows.cause[row])
        subject = rows.ids[row]
        features = rows.flat[row]
        whole = bool(np.isfinite(features).all())
        if len(self._waiting) == WAITING:
            self._dropped += 1
        self._waiting.append(
            Candidate(
                source=source,
                subject=subject,
                asset=rows.assets[row],
                row_time=int(rows.time[row]),
                prediction=Prediction(
                    flagged,
                    _value(rows, "score", row),
                    self._threshold,
                    _value(rows, "confidence", row),
                    _text(rows, "model", row) or self._origin.model,
                    _text(rows, "version", row) or self._origin.version,
                    rules=self._origin.rules,
                ),
                criticality=self._alert.criticality(rows.assets[row]),
                names=self._names if whole else (),
                features=features.tolist() if whole else (),
                place=Place(polled.topic, int(polled.partitions[cause]), int(polled.offsets[cause])),
                inclusion=inclusion,
                twice=asked_twice(self._sampler.plan, subject),
            )
        )

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_S)
            try:
                await self._flush()
            except MeshError as error:
                logger.warning("%d rows wait to be offered for review: %s", len(self._waiting), error)

    async def _flush(self) -> None:
        if self._dropped:
            logger.warning("%d rows were not offered for review: too many waited", self._dropped)
            self._dropped = 0
        some = list(self._waiting)
        if some:
            self._waiting.clear()
            try:
                await self._sink.offer(some)
            except BaseException:
                self._waiting.extendleft(reversed(some))
                raise


class CountedAlerts:
    """An `AlertWriter` that tells the sampler how many alerts opened, so that the audit keeps its share."""

    def __init__(self, inner: AlertWriter, sampler: AuditSampler) -> None:
        self._inner, self._sampler = inner, sampler

    async def write(self, events: Sequence[AlertEvent]) -> Written:
        """As `AlertWriter.write`."""
        written = await self._inner.write(events)
        self._sampler.asked(len(written.opened), time.time_ns() // 1_000_000)
        return written

    async def budget_left(self, at: int) -> int:
        """As `AlertWriter.budget_left`."""
        return await self._inner.budget_left(at)


def _text(rows: Rows, name: str, row: int) -> str:
    column = rows.columns.get(name)
    return "" if column is None else str(column[row])


def _value(rows: Rows, name: str, row: int) -> float | None:
    column = rows.columns.get(name)
    value = float("nan") if column is None else float(column[row])
    return value if np.isfinite(value) else None
