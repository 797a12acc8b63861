"""Records of the inference topic that people are asked about."""

from dataclasses import replace

import numpy as np
from polls import Facts, polled, record, signature

from ingest.assemble import Assembler
from ingest.decode import Opener
from ingest.reviewing import answer_sampling
from mesh.review.feed import MemoryCandidates
from mesh.review.offering import Offering
from mesh.review.plan import AnswersPlan, ReviewPlan, UnsurePlan
from mesh.review.sampling import AuditPlan
from mesh.routing.facts import LabelRule, ModelFacts
from mesh.routing.types import Answer, Origin, RowFailure
from mesh.routing.when import compile_when

KNOWN = {
    "m": ModelFacts("m", score=("y", 1), label=LabelRule("y", "argmax", ("normal", "anomaly"))),
    "n": ModelFacts("n", score=("y", 1)),
}
EVERY = ReviewPlan(audit=AuditPlan(least_per_hour=1e12, twice=0.0), unsure=UnsurePlan(per_hour=0))


class Engine:
    """What the sampling asks of an engine."""

    key = None

    def facts(self, model):
        return KNOWN.get(model)

    def sticky_key(self, endpoint):
        return self.key


class Voices:
    """Two models that spoke."""

    def __init__(self, n):
        self.n = n

    def of(self, row):
        return {"m": 0.1, "n": 0.1 * row}

    def spread(self):
        return np.abs(0.1 * np.arange(self.n) - 0.1)


def polls(values, first=40):
    poll = polled(values, partition=3, first=first)
    (group,), _ = Opener("m", 10_000).open(poll, ["m"])
    (records,), _ = Assembler(Facts(signature())).assemble(poll, group)
    return poll, records


def answer_of(scores, **changed) -> Answer:
    n = len(scores)
    fields = {
        "outputs": {"y": np.stack([1 - np.array(scores), np.array(scores)], axis=1)},
        "confidence": np.full(n, 0.9, np.float32),
        "origins": (Origin("m", "7", "main", "canary"),),
        "origin_of": np.zeros(n, np.intp),
        "degraded": np.zeros(n, np.bool_),
        "failed": {},
        "rules": "5f1c",
    }
    return Answer(**{**fields, **changed})


async def offered(tap, offering, sink):
    await offering.stop()
    return [one for _, one in await sink.take(1_000, 0)]


def sampling(plan=EVERY, engine=None):
    """A tap that has seen enough to draw, where the plan draws every row, and where its rows go."""
    sink = MemoryCandidates()
    offering = Offering(sink)
    tap = answer_sampling(plan, engine or Engine(), offering)
    many = polls([record(features=[[1, 2, 3]])] * 4, first=0)
    for now in (1_000, 2_000):
        tap._look(*many, answer_of([0.1, 0.9, 0.1, 0.9]), [], now)
    return tap, offering, sink


async def test_a_drawn_row_says_what_was_answered_and_where_it_came_from():
    tap, offering, sink = sampling()
    poll, records = polls([record(input_id="e1", features=[[1, 2, 3]]), record(features=[[4, 5, 6]])])
    tap.look(poll, records, answer_of([0.2, 0.75], voices=Voices(2)), None)
    one, two = await offered(tap, offering, sink)
    assert (one.source, one.subject, one.asset, str(one.place)) == ("audit", "t-3-40", "e1", "t-3-40")
    assert (one.inclusion, one.names, one.features) == (1.0, ("x.0", "x.1", "x.2"), (1.0, 2.0, 3.0))
    said = two.prediction
    assert (said.flagged, said.score, said.threshold, round(said.confidence, 3)) == (True, 0.75, 0.5, 0.9)
    assert (said.model, said.version, said.route, said.role, said.rules) == (
        "m",
        "7",
        "main",
        "canary",
        "5f1c",
    )
    assert (one.prediction.flagged, dict(said.voices)) == (False, {"m": 0.1, "n": 0.1})
    assert (two.asset, two.severity) == ("t-3-41", "info")


async def test_rows_of_one_record_are_named_apart_and_failed_ones_are_left_out():
    tap, offering, sink = sampling()
    poll, records = polls([record(features=[[1, 2, 3], [4, 5, 6]])] * 2)
    failed = {2: RowFailure("m", "away", "gone")}
    answer = answer_of([0.2, 0.7, 0.0, 0.1], failed=failed, origin_of=np.array([0, 0, -1, 0]))
    tap.look(poll, records, answer, [0])
    assert [one.subject for one in await offered(tap, offering, sink)] == ["t-3-40/0", "t-3-40/1"]


async def test_the_sticky_key_names_what_the_row_is_about():
    engine = Engine()
    engine.key = "tenant"
    tap, offering, sink = sampling(engine=engine)
    poll, records = polls([record(features=[[1, 2, 3]]), record(features=[[1, 2, 3]])])
    keyed = replace(records, batch=replace(records.batch, attributes={"tenant": ["blue\0", "r" * 300]}))
    tap.look(poll, keyed, answer_of([0.2, 0.7]), None)
    assert [one.asset for one in await offered(tap, offering, sink)] == ["blue", "r" * 256]


async def test_models_that_disagree_make_a_row_an_item():
    plan = ReviewPlan(audit=AuditPlan(least_per_hour=0.0), unsure=UnsurePlan(disagreement=0.25))
    tap, offering, sink = sampling(plan)
    poll, records = polls([record(features=[[1, 2, 3]])] * 5)
    tap.look(poll, records, answer_of([0.2] * 5, voices=Voices(5)), None)
    found = await offered(tap, offering, sink)
    assert [(one.source, one.subject, one.inclusion) for one in found] == [("unsure", "t-3-44", None)]
    assert dict(found[0].prediction.voices) == {"m": 0.1, "n": 0.4}


async def test_labels_flag_rows_of_the_models_that_have_them_and_wide_rows_come_without_numbers():
    plan = replace(EVERY, answers=AnswersPlan(flagged=compile_when('label == "anomaly"'), values=2))
    tap, offering, sink = sampling(plan)
    poll, records = polls([record(features=[[1, 2, 3]])] * 2)
    origins = (Origin("m", "7", "main", "primary"), Origin("n", "1", "rest", "primary"))
    tap.look(poll, records, answer_of([0.9, 0.9], origins=origins, origin_of=np.array([0, 1])), None)
    found = await offered(tap, offering, sink)
    assert [(one.prediction.model, one.prediction.flagged, one.names) for one in found] == [
        ("m", True, ()), ("n", False, ()),
    ]  # fmt: skip


async def test_what_goes_wrong_here_does_not_stop_the_stream(caplog):
    tap, offering, sink = sampling()
    tap.look(*polls([record(features=[[1, 2, 3]])]), None, None)
    assert "not looked at for review" in caplog.text
    assert await offered(tap, offering, sink) == []


def test_a_plan_may_leave_the_stream_out():
    plan = ReviewPlan(answers=AnswersPlan(stream=False))
    assert answer_sampling(plan, Engine(), Offering(MemoryCandidates())) is None
