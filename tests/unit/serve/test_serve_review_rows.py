"""Rows of requests that people are asked about."""

import numpy as np

from mesh.review.feed import MemoryCandidates
from mesh.review.offering import Offering
from mesh.review.plan import AnswersPlan, ReviewPlan
from mesh.review.sampling import HOUR_MS, AuditPlan
from mesh.routing.facts import ModelFacts
from mesh.routing.types import Answer, Batch, Origin
from serve.review_rows import request_sampling


class Engine:
    def facts(self, model):
        return ModelFacts(model, score=("y", 0))

    def sticky_key(self, endpoint):
        return "tenant"


def answer(scores, failed_row=None) -> Answer:
    n = len(scores)
    origin_of = np.zeros(n, np.intp)
    if failed_row is not None:
        origin_of[failed_row] = -1
    return Answer(
        {"y": np.array(scores)}, None, (Origin("m", "7", "main", "primary"),), origin_of,
        np.zeros(n, np.bool_), {}, "5f1c",
    )  # fmt: skip


async def test_a_request_s_rows_are_drawn_with_a_known_probability():
    sink = MemoryCandidates()
    offering = Offering(sink)
    tap = request_sampling(ReviewPlan(audit=AuditPlan(least_per_hour=1e12)), Engine(), offering)
    batch = Batch({"x": np.ones((3, 2))}, ["a", "b", "c"], None, {"tenant": ["blue", "red", "green"]})
    tap.look("default", batch, answer([0.1, 0.9, 0.9]))
    for tick in offering._ticks:
        tick(0)
    tap.look("default", batch, answer([0.1, 0.9, 0.9]))
    for now in (HOUR_MS, HOUR_MS + 1):
        for tick in offering._ticks:
            tick(now)
    tap.look("default", batch, answer([0.1, 0.9, 0.9], failed_row=2))
    await offering.stop()
    found = [one for _, one in await sink.take(100, 0)]
    assert [(one.asset, one.prediction.flagged, one.inclusion) for one in found[-2:]] == [
        ("blue", False, 1.0), ("red", True, 1.0),
    ]  # fmt: skip
    assert found[-1].subject.startswith("default/b@")
    assert (found[-1].place, found[-1].features) == (None, (1.0, 1.0))


class Broken(Engine):
    def facts(self, model):
        raise RuntimeError(model)


def test_what_goes_wrong_here_does_not_reach_the_caller(caplog):
    offering = Offering(MemoryCandidates())
    tap = request_sampling(ReviewPlan(), Broken(), offering)
    tap._passed = lambda _: True
    tap.look("default", Batch({"x": np.ones((1, 2))}, ["a"]), answer([0.5]))
    assert "not looked at for review" in caplog.text


def test_a_plan_may_leave_requests_out():
    plan = ReviewPlan(answers=AnswersPlan(requests=False))
    assert request_sampling(plan, Engine(), Offering(MemoryCandidates())) is None
