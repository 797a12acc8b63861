"""The loop over an engine of this process: everything is answered or dead-lettered once, passing failures are waited out."""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pytest
from polls import polled, record, signature

from ingest.config import IngestConfig
from ingest.in_process import InProcessEngine, LocalModel
from ingest.ledger import Ledger
from ingest.record import Polled
from ingest.sink import MemoryDeadLetters, MemorySink
from ingest.worker import Worker
from mesh.errors import DeadlineExceeded, InvalidInput
from mesh.routing.types import Answer, Batch, RowFailure, Tensors, Variant
from mesh.telemetry import names
from mesh.telemetry.recorder import Recorder
from tests.fakes.waiting import eventually

CONFIG = IngestConfig(backoff_s=0.001, max_backoff_s=0.004)


def doubled(tensors: Tensors) -> Tensors:
    return {"y": tensors["x"][:, :2] * 2}


class Bench:
    """A worker with everything in memory."""

    def __init__(self, engine: InProcessEngine | None = None, **changed: object) -> None:
        self.model = LocalModel(signature(), doubled)
        self.engine = engine or InProcessEngine({"m": self.model, "other": LocalModel(signature(), doubled)})
        self.sink, self.letters, self.ledger = MemorySink(), MemoryDeadLetters(), Ledger(100)
        self.recorder = Recorder()
        self.ledger.assign(0, 0)
        self.released = 0
        self.worker = Worker(
            self.engine,
            self.sink,
            self.letters,
            ledger=self.ledger,
            config=replace(CONFIG, **changed),
            recorder=self.recorder,
            default_endpoint="m",
        )

    def accept(self, values: list[bytes | None], first: int = 0) -> Polled:
        opened = self.ledger.open(0, first, first + len(values) - 1, len(values))
        assert opened is not None
        poll = replace(polled(values, first=first), spans=(opened.span,))
        self.worker.accept(poll, self._done)
        return poll

    def _done(self) -> None:
        self.released += 1

    async def settle(self) -> None:
        await self.worker.drain(30.0)

    @property
    def answered(self) -> list[str]:
        return [json.loads(text)["inference_id"] for _, text in self.sink.published]

    @property
    def dead(self) -> list[tuple[int, str]]:
        return [(letter.offset, letter.error_class) for letter in self.letters.letters]


def rows(n: int, **fields: object) -> list[bytes | None]:
    return [record(input_id=f"e{i}", features=[[i, 0, 0]], **fields) for i in range(n)]


async def test_a_mixed_poll_is_answered_and_dead_lettered_and_its_position_moves() -> None:
    bench = Bench()
    values = [*rows(3), b"garbage", record(model_id="other", features=[[9, 9, 9]]), None]
    bench.accept(values)
    await bench.settle()
    assert bench.answered == ["t-0-0", "t-0-1", "t-0-2", "t-0-4"]
    assert sorted(bench.dead) == [(3, "NotJson"), (5, "NullValue")]
    assert [model for model, _ in bench.sink.published] == ["m", "m", "m", "other"]
    assert (bench.ledger.due(), bench.released) == ({0: 6}, 1)
    assert (bench.worker.answered, bench.worker.dead_lettered) == (4, 2)
    letter = next(each for each in bench.letters.letters if each.offset == 3)
    assert (letter.key, letter.value) == (b"key", b"garbage")


async def test_metrics_count_what_happened() -> None:
    bench = Bench()
    bench.accept([*rows(3), record(model_id="m", features=[[1]])])
    await bench.settle()
    snapshot = bench.recorder.snapshot()
    assert snapshot.counters[names.INFERENCE_PREDICTIONS.name] == {("m",): 3}
    assert snapshot.counters[names.INFERENCE_ERRORS.name] == {("m",): 1}
    assert snapshot.counters[names.INGEST_DEAD_LETTERS.name] == {("t", "wrong_width"): 1}
    assert sum(snapshot.histograms[names.INFERENCE_SECONDS.name]["m",].counts) == 3


async def test_a_model_that_is_away_is_waited_for_and_nothing_is_dead_lettered() -> None:
    bench = Bench()
    bench.model.available = False
    bench.accept(rows(5))
    await asyncio.sleep(0.05)
    assert (bench.answered, bench.dead, dict(bench.ledger.due())) == ([], [], {})
    bench.model.available = True
    await bench.settle()
    assert len(bench.answered) == 5
    assert bench.ledger.due() == {0: 5}
    assert not bench.dead


async def test_a_sink_that_is_away_holds_the_position_back() -> None:
    bench = Bench()
    bench.sink.available.clear()
    bench.accept(rows(2))
    await asyncio.sleep(0.02)
    assert not bench.ledger.due()
    bench.sink.available.set()
    await bench.settle()
    assert bench.ledger.due() == {0: 2}


async def test_the_position_waits_for_dead_letters_to_be_acknowledged() -> None:
    bench = Bench()
    bench.letters.available.clear()
    bench.accept([b"garbage", *rows(1)])
    await eventually(lambda: bench.answered)
    await asyncio.sleep(0.02)
    assert len(bench.answered) == 1
    assert not bench.ledger.due()
    bench.letters.available.set()
    await bench.settle()
    assert bench.ledger.due() == {0: 2}


def raising_on(value: float) -> Callable[[Tensors], Mapping[int, str]]:
    def found(tensors: Tensors) -> Mapping[int, str]:
        places = np.flatnonzero(tensors["x"][:, 0] == value).tolist()
        return dict.fromkeys(places, "ValueError: math domain error: x")

    return found


async def test_a_row_on_which_the_model_raises_is_dead_lettered_alone_after_its_attempts() -> None:
    bench = Bench(attempts=3)
    bench.model.raises = raising_on(2)
    bench.accept(rows(4))
    await bench.settle()
    assert bench.answered == ["t-0-0", "t-0-1", "t-0-3"]
    assert bench.dead == [(2, "ValueError")]
    assert bench.letters.letters[0].message == "m: math domain error: x"
    assert bench.model.calls == 3
    assert bench.ledger.due() == {0: 4}


async def test_a_record_fails_as_a_whole_when_one_of_its_rows_does() -> None:
    bench = Bench(attempts=1)
    bench.model.raises = raising_on(2)
    bench.accept([record(features=[[1, 0, 0], [2, 0, 0]]), *rows(1)])
    await bench.settle()
    assert (bench.answered, bench.dead) == (["t-0-1"], [(0, "ValueError")])


class Refusing(InProcessEngine):
    """Refuses its first `times` calls, or leaves their first row unanswered for a passing reason."""

    times = 2
    error: Exception | None = None

    async def infer(
        self, endpoint: str, batch: Batch, *, deadline: float | None = None, variant: Variant | None = None
    ) -> Answer:
        answer = await super().infer(endpoint, batch, deadline=deadline, variant=variant)
        if self.times <= 0:
            return answer
        self.times -= 1
        if self.error is not None:
            raise self.error
        return replace(answer, failed={0: RowFailure("m", "deadline", "late", 0.001)})


async def test_rows_that_failed_in_passing_are_tried_again_and_the_others_are_not() -> None:
    model = LocalModel(signature(), doubled)
    bench = Bench(Refusing({"m": model}))
    bench.accept(rows(3))
    await bench.settle()
    assert bench.answered == ["t-0-1", "t-0-2", "t-0-0"]
    assert not bench.dead
    assert model.calls == 3


class Slow(InProcessEngine):
    """Answers no more than three rows in the time that there is; `tells` says whether it raises or fails each row."""

    tells = "error"

    async def infer(
        self, endpoint: str, batch: Batch, *, deadline: float | None = None, variant: Variant | None = None
    ) -> Answer:
        if len(batch) > 3 and self.tells == "error":
            raise DeadlineExceeded("time ran out")
        answer = await super().infer(endpoint, batch, deadline=deadline, variant=variant)
        if len(batch) <= 3:
            return answer
        return replace(
            answer, failed={row: RowFailure("m", "deadline", "late", 0.0) for row in range(len(batch))}
        )


@pytest.mark.parametrize("tells", ["error", "rows"])
async def test_what_is_more_than_a_model_does_in_time_is_asked_in_halves(tells: str) -> None:
    engine = Slow({"m": LocalModel(signature(), doubled)})
    engine.tells = tells
    bench = Bench(engine)
    bench.accept(rows(13))
    await bench.settle()
    assert bench.answered == [f"t-0-{i}" for i in range(13)]
    assert bench.ledger.due() == {0: 13}


@pytest.mark.parametrize(("times", "answered"), [(2, 2), (3, 0)])
async def test_a_batch_that_is_refused_whole_is_tried_again_before_it_is_given_up(
    times: int, answered: int
) -> None:
    engine = Refusing({"m": LocalModel(signature(), doubled)})
    engine.times, engine.error = times, InvalidInput("x", "changed")
    bench = Bench(engine, attempts=3)
    bench.accept(rows(2))
    await bench.settle()
    assert len(bench.answered) == answered
    assert bench.dead == ([] if answered else [(0, "InvalidInput"), (1, "InvalidInput")])


async def test_an_error_of_our_own_leaves_records_uncommitted_and_is_reported() -> None:
    engine = Refusing({"m": LocalModel(signature(), doubled)})
    engine.error = KeyError("a bug")
    bench = Bench(engine)
    bench.accept(rows(2))
    await bench.settle()
    assert isinstance(bench.worker.failure, KeyError)
    assert (dict(bench.ledger.due()), bench.dead, bench.released) == ({}, [], 1)


async def test_records_whose_partition_moved_away_are_let_go() -> None:
    bench = Bench()
    bench.model.available = False
    bench.accept(rows(2))
    await asyncio.sleep(0.01)
    assert bench.ledger.revoke([0]) == 2
    await asyncio.wait_for(bench.settle(), 20)
    assert (bench.answered, bench.dead) == ([], [])


async def test_a_drain_gives_up_what_does_not_end() -> None:
    bench = Bench()
    bench.model.available = False
    bench.accept(rows(2))
    await bench.worker.drain(0.02)
    assert (bench.worker.in_flight, bench.ledger.open_records, bench.released) == (0, 2, 1)
