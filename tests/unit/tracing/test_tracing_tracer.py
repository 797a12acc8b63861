"""What is kept, and the spans that are made of it."""

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass

import numpy as np
import pytest

from mesh.errors import InvalidConfig
from mesh.routing.calls import CallPart, CallShare, CohortCalls, calls_of
from mesh.routing.types import Answer, Origin, RowFailure
from mesh.settings import Settings
from mesh.telemetry.recorder import Recorder
from mesh.tracing.context import TraceContext
from mesh.tracing.journey import Journey, RecordContext
from mesh.tracing.span import MemorySpans, Span
from mesh.tracing.tracer import MAX_GATHERED, MAX_RECORDS, TROUBLE_PER_S, Tracer

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0"


class Traced:
    """A tracer that draws what it is told."""

    def __init__(self, ratio: float = 0.01, draws: float = 0.5, gather_s: float = 0.0) -> None:
        self.sink, self.recorder = MemorySpans(), Recorder()
        self.tracer = Tracer(ratio, self.sink, self.recorder, draw=lambda: draws, gather_s=gather_s)

    def begin(self, header: str) -> Journey:
        journey = self.tracer.asked(header)
        assert journey is not None
        return journey

    def end(self, journey: Journey, error: str | None = None) -> None:
        if self.tracer.kept(journey, error):
            self.tracer.tell(journey, "server", "infer default", {"mesh.endpoint": "default", "mesh.rows": 1})

    def counted(self) -> dict[str, float]:
        snapshot = self.recorder.snapshot().counters
        return {key[0]: value for key, value in snapshot.get("mesh_traces_total", {}).items()}


def _answer(*, degraded: bool = False, failed: bool = False, calls: CallShare | None = None) -> Answer:
    failures = {0: RowFailure("rules", "away", "no replica")} if failed else {}
    origins = () if failed else (Origin("rules", "2", "baseline", "primary"),)
    return Answer(
        {}, None, origins, np.full(1, -1 if failed else 0, np.intp), np.array([degraded]), failures, "abc",
        calls=calls,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("header", "draws", "kept"),
    [
        (None, 0.009, True),
        (None, 0.011, False),
        (PARENT + "1", 0.5, True),
        (PARENT + "0", 0.0, False),
    ],
)
def test_the_caller_decides_else_the_ratio(header: str | None, draws: float, kept: bool):
    traced = Traced(draws=draws)
    journey = traced.tracer.asked(header)
    if journey is not None:
        journey.answered(_answer())
        traced.end(journey)
    assert bool(traced.sink.spans) is kept
    assert (journey is None) is (header is None and not kept), "nothing is made for what nobody asked to keep"
    assert traced.counted() == ({"sampled": 1} if kept else {})


@pytest.mark.parametrize(
    ("answer", "why"), [(_answer(degraded=True), "degraded"), (_answer(failed=True), "error")]
)
def test_trouble_is_always_kept(answer: Answer, why: str):
    traced = Traced(ratio=0)
    journey = traced.begin(PARENT + "0")
    journey.answered(answer)
    traced.end(journey)
    assert traced.counted() == {why: 1}
    (span,) = traced.sink.spans
    assert span.context.sampled
    assert (span.error is not None) is (why == "error")


def test_an_outage_is_traced_up_to_a_bound():
    traced = Traced(ratio=0)
    for _ in range(3 * TROUBLE_PER_S):
        traced.end(traced.tracer.late(0.1), "503")
    kept = traced.counted()["error"]
    assert TROUBLE_PER_S <= kept <= 2 * TROUBLE_PER_S  # two, where a second ended meanwhile
    dropped = traced.recorder.snapshot().counters["mesh_traces_dropped_total"][()]
    assert kept + dropped == 3 * TROUBLE_PER_S


def _call(model: str, rows: list[int] | None, outcome: str = "answered", *, shadow: bool = False) -> CallPart:
    places = None if rows is None else np.array(rows)
    return CallPart(model, "2", outcome, places, 0 if rows is None else len(rows), 5, 9, shadow)


@dataclass(frozen=True)
class Made:
    """A round of calls."""

    calls: tuple[CallPart, ...]

    def parts(self) -> tuple[CallPart, ...]:
        return self.calls


def _cohort(*calls: CallPart) -> CohortCalls:
    cohort = CohortCalls()
    cohort.rounds.append(Made(calls))
    return cohort


def test_calls_are_children_with_role_version_and_decision():
    traced = Traced(ratio=1)
    journey = traced.begin(PARENT + "1")
    calls = [
        _call("rules", [0, 1]),
        _call("anomaly", [0, 1]),
        _call("canary", [0], "away"),
        _call("degrader", [1], shadow=True),
        _call("other", [3]),
    ]
    journey.answered(_answer(calls=(_cohort(*calls), 0, 2)))
    traced.end(journey)
    own, *children = traced.sink.spans
    assert own.parent is not None
    assert own.parent.span_id == "b7ad6b7169203331"
    assert own.attributes["mesh.rows"] == 1
    assert own.attributes["mesh.rules"] == "abc"
    (decision,) = own.events
    assert decision.attributes["feature_flag.key"] == "baseline"
    assert {span.context.trace_id for span in traced.sink.spans} == {"0af7651916cd43dd8448eb211c80319c"}
    assert {span.parent for span in children} == {own.context}
    found = {
        span.name: (span.attributes["mesh.decision"], span.attributes.get("mesh.role")) for span in children
    }
    assert found == {
        "call rules": ("stands", "primary"),
        "call anomaly": ("superseded", None),
        "call canary": ("failed", None),
        "shadow degrader": ("offered", "shadow"),
    }


@pytest.mark.parametrize(
    ("rows", "mine"), [([0, 1], False), ([2], True), ([0, 4], False), ([3, 9], True), (None, True)]
)
def test_calls_for_the_rows_of_others_are_not_mine(rows: list[int] | None, mine: bool):
    assert bool(calls_of((_cohort(_call("rules", rows)), 2, 4))) is mine


def test_a_batch_and_its_records_link_to_each_other():
    traced = Traced(ratio=0)
    journey = traced.tracer.begin()
    sent = TraceContext("a" * 32, "b" * 16, sampled=True)
    other = TraceContext("c" * 32, "d" * 16, sampled=True)
    many = [RecordContext(other, 1, offset) for offset in range(500)]
    traced.tracer.note_records(journey, [RecordContext(sent, 3, 77), *many])
    traced.end(journey)
    batch, *records = traced.sink.spans
    assert len(batch.links) == len(records) == MAX_RECORDS
    first: Span = records[0]
    assert first.parent == sent
    assert first.context.trace_id == sent.trace_id
    assert first.links == (batch.context,)
    assert first.attributes["messaging.kafka.offset"] == 77
    assert batch.links[0] == sent


@pytest.mark.parametrize("text", ["2", "-0.1", "much"])
def test_a_ratio_that_is_none_is_refused(text: str):
    with pytest.raises(InvalidConfig, match="MESH_TRACE_RATIO"):
        Settings.from_environ({"MESH_TRACE_RATIO": text})


def test_off_by_default():
    assert Settings.from_environ({}).trace_ratio is None
    assert Settings.from_environ({"MESH_TRACE_RATIO": ""}).trace_ratio is None
    assert Settings.from_environ({"MESH_TRACE_RATIO": "0"}).trace_ratio == 0


async def test_without_a_tracer_nothing_is_noted():
    from mesh.tracing.journey import current
    from mesh.tracing.opened import open_tracer

    assert open_tracer(Settings(), "router", Recorder(), AsyncExitStack()) is None
    await asyncio.sleep(0)
    assert current() is None


def test_a_request_that_went_wrong_began_when_it_came():
    traced = Traced(ratio=0)
    came_ns = time.time_ns()
    traced.end(traced.tracer.late(2.0), "503")
    (span,) = traced.sink.spans
    assert 2.0 <= (span.ended_ns - span.began_ns) / 1e9 <= 2.0 + (time.time_ns() - came_ns) / 1e9


def test_a_caller_among_others_in_trouble_looks_at_its_own_rows():
    cohort = _cohort()
    quiet = _answer(degraded=True, calls=(cohort, 0, 1))
    assert not quiet.troubled, "nobody of the cohort is: its rows are not looked at"
    cohort.troubled = True
    assert quiet.troubled
    assert not _answer(calls=(cohort, 1, 2)).troubled


async def test_what_ends_together_is_told_together_and_when_it_ended():
    traced = Traced(gather_s=0.005)
    for _ in range(2):
        traced.end(traced.begin(PARENT + "1"))
    ended_by = time.time_ns()
    assert not traced.sink.spans, "they wait for others"
    await asyncio.sleep(0.02)
    assert len(traced.sink.spans) == 2
    assert all(span.began_ns <= span.ended_ns <= ended_by for span in traced.sink.spans)
    traced.end(traced.begin(PARENT + "1"))
    traced.tracer.flush()
    assert len(traced.sink.spans) == 3, "and none waits beyond the end"


async def test_few_wait():
    traced = Traced(gather_s=60)
    for _ in range(MAX_GATHERED + 1):
        traced.end(traced.begin(PARENT + "1"))
    assert len(traced.sink.spans) == MAX_GATHERED
    traced.tracer.flush()
    assert len(traced.sink.spans) == MAX_GATHERED + 1
