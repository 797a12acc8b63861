"""Rows of the chain that people are asked about: drawn with a known probability, and those that the model is unsure of."""

from dataclasses import replace

import numpy as np
import pytest
from telemetry_made import BEGAN_MS, TELEMETRY, chain, polled, records

from ingest.stages.alert import Alert
from ingest.telemetry.alerting import with_voices
from ingest.telemetry.reviewing import CountedAlerts, ReviewSampling
from mesh.alerts import Alert as Opened
from mesh.alerts import Budget, Policy, Rule
from mesh.alerts.summary import read_summary
from mesh.pipeline.plan import Level
from mesh.review.feed import MemoryCandidates
from mesh.review.from_alerts import AlertReading
from mesh.review.offering import Offering
from mesh.review.origin import Origin
from mesh.review.plan import UnsurePlan
from mesh.review.sampling import AuditPlan, AuditSampler
from mesh.review.unsure import UnsureRows
from mesh.routing.when import compile_when
from mesh.signals.features import feature_names
from mesh.stores.alerts import MemoryAlerts
from tests.fakes.alert_events import opened

RULE = Rule("hot", compile_when("score >= 0.8"), "warning", read_summary("{asset}"))
NAMES = feature_names([sensor.name for sensor in TELEMETRY.sensors], TELEMETRY.features)


class Inner:
    """The alerting behind; counts what reaches it."""

    def __init__(self) -> None:
        self.steps = 0

    async def step(self, rows, polled, level):
        self.steps += 1

    def dump(self, partition, assets):
        return {"a": b"1"}

    def begin(self, partition, states):
        self.steps += 10

    def end(self, partition):
        self.steps += 100


def sampling(
    offering=None, audit: AuditPlan | None = None, unsure: UnsurePlan | None = None
) -> ReviewSampling:
    telemetry = replace(TELEMETRY, criticality={"b": 3.0})
    alert = Alert(Policy((RULE,)), telemetry, NAMES)
    sampler = AuditSampler(audit or AuditPlan(least_per_hour=1e9))
    return ReviewSampling(
        Inner(), alert, [RULE], NAMES, Origin("m", "7", "5f1c"), offering or Offering(MemoryCandidates()), sampler,
        UnsureRows(unsure or UnsurePlan()),
    )  # fmt: skip


def rows(score: float, confidence: float, begin: int = 0):
    """A poll of two assets, six windows each."""
    made = polled(
        {0: (begin * 26, records("a", begin, begin + 13)), 1: (begin * 26, records("b", begin, begin + 13))}
    )
    windows = chain().compute(made, Level.FULL).windows
    n = len(windows)
    return made, windows.also({"score": np.full(n, score), "confidence": np.full(n, confidence)})


async def offered(one: ReviewSampling):
    sink = one._offering._sink
    await one._offering.stop()
    return [candidate for _, candidate in await sink.take(1_000, 0)]


class Voices:
    """Two models, of which one is far off in the first row."""

    def __init__(self, n: int) -> None:
        self.n = n

    def of(self, row):
        return {"m": 0.9, "n": 0.2 if row == 0 else 0.9}

    def spread(self):
        return np.where(np.arange(self.n) == 0, 0.7, 0.0)


async def test_a_drawn_row_carries_what_a_person_needs():
    one = sampling()
    for score, begin, now in ((0.1, 0, 0), (0.9, 20, 1_000), (0.9, 40, 2_000), (0.1, 45, 3_000)):
        made, found = rows(score, 0.9, begin)
        one.look(found, made, Level.FULL, BEGAN_MS + now)
    drawn = await offered(one)
    assert {each.source for each in drawn} == {"audit"}
    assert {each.prediction.flagged for each in drawn} == {True, False}
    assert {each.inclusion for each in drawn} == {1.0}
    last = drawn[-1]
    assert (last.asset, last.criticality, last.prediction.threshold) == ("b", 3.0, 0.8)
    assert (last.prediction.model, last.prediction.version, last.prediction.rules) == ("m", "7", "5f1c")
    assert last.subject == f"b@{last.row_time}"
    assert (last.names, len(last.features)) == (NAMES, len(NAMES))
    assert (last.place.topic, last.place.partition) == (made.topic, 1)


async def test_a_drawn_row_is_of_the_version_that_answered_it():
    one = sampling()
    for score, begin, now in ((0.1, 0, 0), (0.9, 20, 1_000), (0.9, 40, 2_000)):
        made, found = rows(score, 0.9, begin)
        arms = np.array(["m@2" if asset == "b" else "" for asset in found.assets], np.object_)
        one.look(found.also({"model": arms, "version": arms}), made, Level.FULL, BEGAN_MS + now)
    said = {each.asset: (each.prediction.model, each.prediction.version) for each in await offered(one)}
    assert said == {"a": ("m", "7"), "b": ("m@2", "m@2")}


async def test_rows_of_low_confidence_are_few():
    rare = AuditPlan(least_per_hour=0.0)
    one = sampling(None, rare, UnsurePlan(confidence=0.3, per_hour=3))
    for begin in range(0, 45, 9):
        made, found = rows(0.5, 0.1, begin)
        one.look(found, made, Level.FULL, BEGAN_MS + begin * 60_000)
    asked = await offered(one)
    assert [each.asset for each in asked] == ["a", "b", "a"]
    assert {each.source for each in asked} == {"unsure"}
    assert {each.inclusion for each in asked} == {None}


async def test_rows_whose_models_disagree_are_asked_about():
    one = sampling(None, AuditPlan(least_per_hour=0.0))
    made, found = rows(0.9, 0.9)
    one.look(replace(found, voices=Voices(len(found))), made, Level.FULL, BEGAN_MS)
    (asked,) = await offered(one)
    assert (asked.source, asked.subject) == ("unsure", found.ids[0])
    assert dict(asked.prediction.voices) == {"m": 0.9, "n": 0.2}


async def test_the_chain_goes_on_behind_it():
    one = sampling()
    made, found = rows(0.1, 0.9, 40)
    await one.step(found, made, Level.FULL)
    assert one._inner.steps == 1
    one.begin(0, {})
    one.end(0)
    assert (one._inner.steps, one.dump(0, ["a"])) == (111, {"a": b"1"})


READING = AlertReading({"hot": "score >= 0.8"}, Origin("m", "7", "5f1c"), {})


async def test_opened_alerts_count_as_what_people_are_asked_and_wait_for_shadows():
    sampler, sink = AuditSampler(AuditPlan(least_per_hour=0.0)), MemoryCandidates()
    offering = Offering(sink)
    writer = CountedAlerts(MemoryAlerts(Policy(budget=Budget(600_000, 5))), sampler, READING, offering)
    assert await writer.budget_left(opened(1).at) == 5
    await writer.write([opened(1), opened(2)])
    await writer.write([opened(1)])
    assert sampler._items._count == pytest.approx(2, rel=1e-3)
    offering.heard([f"pump-2@{opened(2).at}"], [("m", np.array([0.9])), ("shadow", np.array([0.3]))])
    await offering.stop()
    (told,) = [candidate for _, candidate in await sink.take(10, 0)]
    assert (told.subject, told.alert, told.source) == (opened(2).id, opened(2).id, "alert")
    assert (dict(told.prediction.voices), told.prediction.threshold) == ({"m": 0.9, "shadow": 0.3}, 0.8)


def test_an_alert_that_opens_tells_what_each_model_said_of_its_row():
    _, found = rows(0.9, 0.9)
    found = replace(found, voices=Voices(len(found)))
    first = replace(opened(1), asset=found.assets[0], at=int(found.time[0]))
    again, other = replace(first, kind="updated"), opened(2)
    told = with_voices([first, again, other], found)
    assert told[0].values == {**first.values, "voice.m": 0.9, "voice.n": 0.2}
    assert (told[1:], with_voices([first], replace(found, voices=None))) == ([again, other], [first])
    candidate = READING.candidate(Opened(told[0], "open", first.at, 1), None)
    assert dict(candidate.prediction.voices) == {"m": 0.9, "n": 0.2}
