"""Rows of HTTP and gRPC requests that people are asked about: a random audit. A request that is not drawn pays a subtraction."""

import time

from mesh.review.from_answers import AnswerFacts, AnswerReading
from mesh.review.offering import Offering
from mesh.review.plan import ReviewPlan
from mesh.review.rules import chance
from mesh.review.sampling import asked_twice
from mesh.review.skipping import SkipSampler
from mesh.routing.types import Answer, Batch


class RequestSampling:
    """An `AnswerTap` of `serve.oip`. Lives on the router's loop; `offering` settles its probability twice a second."""

    def __init__(self, reading: AnswerReading, offering: Offering, sampler: SkipSampler) -> None:
        self._reading, self._offering, self._sampler = reading, offering, sampler
        self._passed = sampler.passed
        offering.at_each_flush(sampler.adjust)

    def look(self, endpoint: str, batch: Batch, answer: Answer) -> None:
        """These rows were answered."""
        if self._passed(len(answer.origin_of)):
            try:
                self._offer(endpoint, batch, answer)
            except Exception:  # noqa: BLE001 - whatever it is, the request was answered
                self._offering.failed()

    def _offer(self, endpoint: str, batch: Batch, answer: Answer) -> None:
        now, inclusion, plan = time.time_ns() // 1_000_000, self._sampler.inclusion, self._sampler.plan
        drawn = self._sampler.drawn(len(answer))
        flagged = self._reading.flagged(answer)
        for row in drawn:
            if answer.origin_of[row] < 0:
                continue
            subject = f"{endpoint}/{batch.ids[row]}@{now}"
            self._offering.put(
                self._reading.candidate(
                    "audit",
                    subject,
                    endpoint,
                    batch,
                    answer,
                    row,
                    flagged=bool(flagged[row]),
                    row_time=now,
                    inclusion=inclusion,
                    twice=asked_twice(plan, subject),
                ),
                batch.ids[row],
            )


def request_sampling(plan: ReviewPlan, engine: AnswerFacts, offering: Offering) -> RequestSampling | None:
    """The tap of a router; None where the plan leaves requests out."""
    if not plan.answers.requests:
        return None
    return RequestSampling(AnswerReading(plan.answers, engine), offering, SkipSampler(plan.audit, chance))
