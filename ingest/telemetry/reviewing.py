"""Rows of the chain that people are asked about: a random audit, and answers that the models are unsure of. Never waits."""

import time
from collections.abc import Coroutine, Mapping, Sequence

import numpy as np

from ingest.record import Polled
from ingest.stages.alert import Alert
from ingest.stages.rows import Rows
from ingest.telemetry.judging import Alerting
from mesh.alerts import Alert as Opened
from mesh.alerts import AlertEvent, Place, Rule
from mesh.pipeline.plan import Level
from mesh.review.from_alerts import AlertReading
from mesh.review.offering import Offering
from mesh.review.origin import Origin, lowest_threshold
from mesh.review.sampling import AuditSampler, asked_twice
from mesh.review.unsure import UnsureRows
from mesh.review.values import Candidate, Prediction, Source
from mesh.routing.masks import Column
from mesh.stores.alerts import AlertWriter, Written


class ReviewSampling:
    """An `Alerting` that looks at rows on their way to another."""

    def __init__(
        self, inner: Alerting, alert: Alert, rules: Sequence[Rule], names: Sequence[str], origin: Origin,
        offering: Offering, sampler: AuditSampler, unsure: UnsureRows,
    ) -> None:  # fmt: skip
        """`alert` gives the columns that `rules` read; `names` are the features of a flattened row."""
        self._inner, self._alert, self._rules, self._names = inner, alert, tuple(rules), tuple(names)
        self._origin, self._offering, self._sampler, self._unsure = origin, offering, sampler, unsure
        self._threshold = lowest_threshold(rule.when.text for rule in rules)

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
        if not self._unsure.room(now):
            return
        spread = None if rows.voices is None else rows.voices.spread()
        for row in self._unsure.choose(rows.columns.get("confidence"), spread, rows.assets.__getitem__, now):
            self._sampler.asked(1, now)
            self._offer("unsure", rows, polled, row, bool(flagged[row]), None)

    def _offer(
        self, source: Source, rows: Rows, polled: Polled, row: int, flagged: bool, inclusion: float | None
    ) -> None:
        cause = int(rows.cause[row])
        subject = rows.ids[row]
        features = rows.flat[row]
        whole = bool(np.isfinite(features).all())
        self._offering.put(
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
                    voices={} if rows.voices is None else dict(rows.voices.of(row)),
                ),
                criticality=self._alert.criticality(rows.assets[row]),
                names=self._names if whole else (),
                features=features.tolist() if whole else (),
                place=Place(polled.topic, int(polled.partitions[cause]), int(polled.offsets[cause])),
                inclusion=inclusion,
                twice=asked_twice(self._sampler.plan, subject),
            ),
            subject,
        )


class CountedAlerts:
    """An `AlertWriter` that tells the sampler how many alerts opened, so that the audit keeps its share.

    Each waits for what shadows say of its row, which comes after the alert is written.
    """

    def __init__(
        self, inner: AlertWriter, sampler: AuditSampler, reading: AlertReading, offering: Offering
    ) -> None:
        self._inner, self._sampler, self._reading, self._offering = inner, sampler, reading, offering

    async def write(self, events: Sequence[AlertEvent]) -> Written:
        """As `AlertWriter.write`."""
        written = await self._inner.write(events)
        self._sampler.asked(len(written.opened), time.time_ns() // 1_000_000)
        for event in written.opened:
            candidate = self._reading.candidate(Opened(event, "open", event.at, event.count), None)
            if candidate is not None:
                self._offering.put(candidate, f"{event.asset}@{event.at}")
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
