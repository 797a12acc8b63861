"""Rows of HTTP and gRPC requests that people are asked about: a random audit. A request that is not drawn pays a subtraction."""

import logging
import time

from mesh.review.from_answers import AnswerFacts, AnswerReading
from mesh.review.offering import Offering
from mesh.review.plan import ReviewPlan
from mesh.review.rules import chance
from mesh.review.sampling import asked_twice
from mesh.review.skipping import SkipSampler
from mesh.routing.types import Answer, Batch

logger = logging.getLogger(__name__)


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
            except Exception:  # whatever it is, the request was answered
                logger.exception("rows of '%s' were not looked at for review", endpoint)

    def _offer(self, endpoint: str, batch: Batch, answer: Answer) -> None:
        now = time.time_ns() // 1_000_000
        flagged = self._reading.flagged(answer)
        inclusion, plan = self._sampler.inclusion, self._sampler.plan
        for row in self._sampler.drawn(len(answer)):
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
