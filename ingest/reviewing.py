"""Records of the inference topic that people are asked about: a random audit, and answers that the models are unsure of."""

import time
from collections.abc import Sequence
from typing import Final, Protocol

import numpy as np

from ingest.assemble import inference_id
from ingest.record import Polled, RecordBatch
from mesh.alerts import Place
from mesh.review.from_answers import AnswerFacts, AnswerReading
from mesh.review.offering import Offering
from mesh.review.places import record_places
from mesh.review.plan import ReviewPlan
from mesh.review.sampling import AuditSampler, asked_twice
from mesh.review.unsure import UnsureRows
from mesh.review.values import Source
from mesh.routing.types import Answer

_MS: Final = 1_000


class AnswerTap(Protocol):
    """Looks at answers on their way out; must return at once."""

    def look(
        self, polled: Polled, records: RecordBatch, answer: Answer, chosen: Sequence[int] | None
    ) -> None:
        """These records, or those at the `chosen` places of their group, were answered."""
        ...


class AnswerSampling:
    """An `AnswerTap` that offers rows. What it costs a record that is not chosen is in `benchmarks/review_rows.py`."""

    def __init__(
        self, reading: AnswerReading, offering: Offering, sampler: AuditSampler, unsure: UnsureRows
    ) -> None:
        self._reading, self._offering = reading, offering
        self._sampler, self._unsure = sampler, unsure

    def look(
        self, polled: Polled, records: RecordBatch, answer: Answer, chosen: Sequence[int] | None
    ) -> None:
        """See `AnswerTap`. Whatever goes wrong here, the stream goes on."""
        try:
            self._look(polled, records, answer, chosen, time.time_ns() // 1_000_000)
        except Exception:  # noqa: BLE001 - whatever it is, the records were answered
            self._offering.failed()

    def _look(
        self, polled: Polled, records: RecordBatch, answer: Answer, chosen: Sequence[int] | None, now: int
    ) -> None:
        rows, flagged = _answered(records, answer, chosen), self._reading.flagged(answer)
        places = self._places(polled, records)
        if rows is not None:
            places = np.where(rows, places, 1.0)  # a row that has no answer yet comes again
        for one in self._sampler.draw_at(places, flagged, lambda row: _subject(polled, records, row), now):
            self._offer("audit", polled, records, answer, one.row, bool(flagged[one.row]), one.inclusion)
        if self._unsure.room(now):
            self._ask_unsure(polled, records, answer, flagged, rows, now)

    def _ask_unsure(
        self,
        polled: Polled,
        records: RecordBatch,
        answer: Answer,
        flagged: np.ndarray,
        rows: np.ndarray | None,
        now: int,
    ) -> None:
        confidence = answer.confidence
        spread = None if answer.voices is None else answer.voices.spread()
        endpoint, batch = records.group.endpoint, records.batch
        for row in self._unsure.choose(
            confidence, spread, lambda row: self._reading.asset(endpoint, batch, row), now
        ):
            if answer.origin_of[row] >= 0 and (rows is None or rows[row]):
                self._sampler.asked(1, now)
                self._offer("unsure", polled, records, answer, row, bool(flagged[row]), None)

    def _places(self, polled: Polled, records: RecordBatch) -> np.ndarray:
        positions, salt = records.group.positions, self._sampler.plan.salt
        if len(positions) == len(polled):
            partitions, offsets = polled.partitions, polled.offsets
        else:
            partitions = [polled.partitions[at] for at in positions]
            offsets = [polled.offsets[at] for at in positions]
        if records.rows_of is None:
            return record_places(salt, polled.topic, partitions, offsets)
        record = np.repeat(np.arange(len(positions)), records.rows_of)
        first = np.cumsum(records.rows_of) - records.rows_of
        within = np.arange(len(record)) - first[record]
        return record_places(
            salt,
            polled.topic,
            np.array(partitions)[record].tolist(),
            np.array(offsets)[record].tolist(),
            within,
        )

    def _offer(
        self,
        source: Source,
        polled: Polled,
        records: RecordBatch,
        answer: Answer,
        row: int,
        flagged: bool,
        inclusion: float | None,
    ) -> None:
        at = records.group.positions[records.record_of_row(row)]
        subject = _subject(polled, records, row)
        kind, stamped = polled.messages[at].timestamp()
        self._offering.put(
            self._reading.candidate(
                source,
                subject,
                records.group.endpoint,
                records.batch,
                answer,
                row,
                flagged=flagged,
                row_time=stamped if kind else round(polled.received_at * _MS),
                inclusion=inclusion,
                twice=asked_twice(self._sampler.plan, subject),
                place=Place(polled.topic, int(polled.partitions[at]), int(polled.offsets[at])),
            ),
            records.batch.ids[row],
        )


def answer_sampling(plan: ReviewPlan, engine: AnswerFacts, offering: Offering) -> AnswerSampling | None:
    """The tap of a reader of the inference topic; None where the plan leaves it out."""
    if not plan.answers.stream:
        return None
    reading = AnswerReading(plan.answers, engine)
    return AnswerSampling(reading, offering, AuditSampler(plan.audit), UnsureRows(plan.unsure))


def _answered(records: RecordBatch, answer: Answer, chosen: Sequence[int] | None) -> np.ndarray | None:
    """The rows whose records are published now: bool [N], None for all."""
    if chosen is None:
        return None
    published = np.zeros(len(records.group), np.bool_)
    published[list(chosen)] = True
    rows = published if records.rows_of is None else np.repeat(published, records.rows_of)
    return rows & (answer.origin_of >= 0)


def _subject(polled: Polled, records: RecordBatch, row: int) -> str:
    """The record's inference id; of several rows in it, with the row's number."""
    record = records.record_of_row(row)
    name = inference_id(polled, records.group.positions[record])
    if records.rows_of is None or records.rows_of[record] == 1:
        return name
    return f"{name}/{row - int(np.cumsum(records.rows_of)[record] - records.rows_of[record])}"
