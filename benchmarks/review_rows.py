"""`review-tap-*`, `review-voices`: what review costs rows that nobody is asked about. In process, without a broker.

`review-tap-record` is the look at one record of the inference topic, in batches of 2,000 of which hardly any is drawn;
`review-tap-request` the look at a request of one row. `review-voices` is what it costs one of 64 callers that shared a cascade
of two models to have the voices of its row at hand.
"""

import time
import timeit
from collections.abc import Callable
from typing import Final, cast

import numpy as np

from benchmarks.results import Row, at_most
from ingest.record import Group, Message, Polled, RecordBatch, Span
from ingest.reviewing import AnswerSampling, answer_sampling
from mesh.engine.merge import split_answer
from mesh.review.feed import MemoryCandidates
from mesh.review.offering import Offering
from mesh.review.plan import ReviewPlan
from mesh.routing.facts import ModelFacts
from mesh.routing.heard import Heard
from mesh.routing.types import Answer, Batch, Origin
from mesh.routing.voices import Chunk, Voice
from serve.review_rows import RequestSampling, request_sampling

RECORDS: Final = 2_000
CALLERS: Final = 64
REPEATS: Final = 9
FACTS: Final = ModelFacts("m", score=("y", 0))


class Known:
    """One model that has a score."""

    def facts(self, model: str) -> ModelFacts | None:
        """As `AnswerFacts.facts`."""
        del model
        return FACTS

    def sticky_key(self, endpoint: str) -> str | None:
        """As `AnswerFacts.sticky_key`."""
        del endpoint
        return None


class Stamped:
    """A message with a time."""

    def key(self) -> bytes | None:
        """None."""
        return None

    def headers(self) -> None:
        """None."""

    def timestamp(self) -> tuple[int, int]:
        """Of this morning."""
        return 1, 1_764_000_000_000


def answer_of(rows: int, voices: Heard | None = None) -> Answer:
    """Rows that one model answered, all of them sure and normal."""
    outputs = {"y": np.full((rows, 1), 0.1, np.float32)}
    origins = (Origin("m", "1", "main", "primary"),)
    sure, none = np.full(rows, 0.9, np.float32), np.zeros(rows, np.bool_)
    return Answer(outputs, sure, origins, np.zeros(rows, np.intp), none, {}, "abc", voices)


def records() -> tuple[Polled, RecordBatch]:
    """A poll of one partition."""
    offsets = list(range(10**6, 10**6 + RECORDS))
    message = cast("Message", Stamped())
    polled = Polled(
        "t", [b"{}"] * RECORDS, [0] * RECORDS, offsets, [message] * RECORDS,
        (Span(0, offsets[0], offsets[-1], RECORDS),), time.monotonic(), time.time(),
    )  # fmt: skip
    group = Group("default", None, range(RECORDS), [None] * RECORDS, [b"[[1]]"] * RECORDS, [b"{}"] * RECORDS)
    batch = Batch({"x": np.zeros((RECORDS, 16), np.float32)}, [f"t-0-{at}" for at in offsets])
    return polled, RecordBatch(group, batch, None)


def microseconds(work: Callable[[], object], each: int) -> float:
    """Processor time of one of the `each` things that `work` does: the best of several runs, since what disturbs only adds."""
    timer = timeit.Timer(work, timer=time.process_time)
    number, _ = timer.autorange()
    return min(timer.repeat(REPEATS, number)) / number / each * 1e6


def record_us() -> float:
    """The look at one record."""
    tap = answer_sampling(ReviewPlan(), Known(), Offering(MemoryCandidates()))
    assert isinstance(tap, AnswerSampling)
    (polled, batch), answer = records(), answer_of(RECORDS)
    return microseconds(lambda: tap.look(polled, batch, answer, None), RECORDS)


def request_us() -> float:
    """The look at one request, less an empty call."""
    tap = request_sampling(ReviewPlan(), Known(), Offering(MemoryCandidates()))
    assert isinstance(tap, RequestSampling)
    batch, answer = Batch({"x": np.zeros((1, 16), np.float32)}, ["a"]), answer_of(1)
    return microseconds(lambda: tap.look("default", batch, answer), 1) - microseconds(lambda: None, 1)


def voices_us() -> float:
    """What voices add to the answer of one caller."""
    every = np.arange(CALLERS)
    voices = []
    for model in ("m", "n"):
        voice = Voice(model, CALLERS, FACTS)
        outputs = {"y": np.full((CALLERS, 1), 0.1, np.float32)}
        voice.chunks.append(Chunk(CALLERS, every, outputs, None, model, "1", FACTS))
        voices.append(voice)
    with_them, sizes = answer_of(CALLERS, Heard(voices, 0, CALLERS)), [1] * CALLERS
    bare = answer_of(CALLERS)
    return microseconds(lambda: list(split_answer(with_them, sizes)), CALLERS) - microseconds(
        lambda: list(split_answer(bare, sizes)), CALLERS
    )


def rows() -> list[Row]:
    """All three."""
    return [
        at_most("review-tap-record", "µs", [record_us()], 0.3, f"a record of {RECORDS:,}, not drawn"),
        at_most("review-tap-request", "µs", [request_us()], 1.0, "a request of one row, not drawn"),
        at_most(
            "review-voices", "µs", [voices_us()], 1.0, f"a caller of {CALLERS} in a cascade of two models"
        ),
    ]
