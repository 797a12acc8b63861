"""The work on what was polled: open, assemble, infer, publish, dead-letter; several polls at a time.

A poll is complete when each of its records is in Redis or in the dead letters. What fails in passing (a model that is away or
overloaded, a deadline, Redis, Kafka) is tried again for as long as it takes, and holds its slot meanwhile: so partitions
pause by themselves. Only what can never be answered is dead-lettered.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np

from ingest.answers import encode_answers
from ingest.assemble import Assembler, Endpoints
from ingest.attempt import Attempt, of_parts
from ingest.backoff import Backoff
from ingest.config import IngestConfig
from ingest.decode import Opener
from ingest.ledger import Ledger
from ingest.record import PIPELINE_STAGE, Group, Polled, RecordBatch, Rejected, RejectKind
from ingest.reviewing import AnswerTap
from ingest.settle import error_of, settle
from ingest.sink import DeadLetters, Sink, letter_of
from ingest.tracing import begin, end
from mesh.errors import DeadlineExceeded, InvalidInput, MeshError, NotFound, RowsFailed, Unavailable
from mesh.routing.types import Answer, Batch, RowFailure, Variant
from mesh.telemetry import names
from mesh.telemetry.recorder import Recorder
from mesh.tracing.journey import CURRENT, current
from mesh.tracing.span import Attributes
from mesh.tracing.tracer import Tracer

logger = logging.getLogger(__name__)

_LATENCY_SAMPLES = 64
_COMPLAIN_EVERY_S = 10.0


class StreamEngine(Endpoints, Protocol):
    """What the stream asks of an engine."""

    @property
    def endpoints(self) -> Sequence[str]:
        """Every name that `infer` takes."""
        ...

    async def infer(
        self, endpoint: str, batch: Batch, *, deadline: float | None = None, variant: Variant | None = None
    ) -> Answer:
        """Answer N rows; see `mesh.engine`."""
        ...


class Worker:
    """Works on polls on one event loop."""

    def __init__(
        self,
        engine: StreamEngine,
        sink: Sink,
        dead_letters: DeadLetters,
        *,
        ledger: Ledger,
        config: IngestConfig,
        recorder: Recorder,
        default_endpoint: str,
        tracer: Tracer | None = None,
        tap: AnswerTap | None = None,
    ) -> None:
        """`tap` sees each answer that is published."""
        self._engine = engine
        self._tracer = tracer
        self._tap = tap
        self._sink = sink
        self._dead_letters = dead_letters
        self._ledger = ledger
        self._config = config
        self._recorder = recorder
        self._opener = Opener(default_endpoint, config.max_record_bytes)
        self._assembler = Assembler(engine)
        self._tasks: set[asyncio.Task[None]] = set()
        self._complained: dict[str, float] = {}
        self.answered = 0
        self.dead_lettered = 0
        self.failure: BaseException | None = None

    def accept(self, polled: Polled, done: Callable[[], None]) -> None:
        """Begin to work on a poll; `done` is called when it needs its slot no more."""
        task = asyncio.get_running_loop().create_task(self._work(polled))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: done())

    @property
    def in_flight(self) -> int:
        """Polls that are being worked on."""
        return len(self._tasks)

    async def drain(self, timeout_s: float = 0.0) -> None:
        """Wait for what is in flight; give up the rest, whose records stay uncommitted."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=timeout_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _work(self, polled: Polled) -> None:
        journey = begin(self._tracer, polled)
        CURRENT.set(journey)  # this task's own, and of those that it starts
        await self._work_traced(polled)
        end(self._tracer, journey, polled, type(self.failure).__name__ if self.failure else None)

    async def _work_traced(self, polled: Polled) -> None:
        try:
            groups, rejected = self._opener.open(polled, self._engine.endpoints)
            work = [self._answer(polled, group) for group in groups]
            if rejected:
                work.append(self._give_up(polled, rejected))
            if len(work) == 1:
                await work[0]
            else:
                async with asyncio.TaskGroup() as together:
                    for part in work:
                        together.create_task(part)
        except Exception as error:  # whatever it is, the records stay uncommitted, and health says why
            self.failure = error
            logger.exception("records %s are left uncommitted", polled.spans)
        else:
            if not polled.abandoned:
                self._ledger.complete(polled.spans)

    async def _answer(self, polled: Polled, group: Group) -> None:
        """See every record of the group answered or given up, or its partitions move away."""
        backoff = Backoff(self._config.backoff_s, self._config.max_backoff_s)
        raised, left = 0, [group]
        while left and not polled.abandoned:
            last = raised + 1 >= self._config.attempts
            attempts = [await self._attempt(polled, each, last=last) for each in left if not polled.abandoned]
            left = [following for attempt in attempts for following in attempt.following]
            raised += any(attempt.raised for attempt in attempts)
            if left:
                reason = next((attempt.reason for attempt in attempts if attempt.reason), "raised")
                self._retrying(group.endpoint, sum(map(len, left)), reason)
                await asyncio.sleep(backoff.delay(max(attempt.retry_after_s for attempt in attempts)))

    async def _attempt(self, polled: Polled, group: Group, *, last: bool) -> Attempt:
        """Assemble, infer and publish once. With `last`, a record that a model raises on is given up."""
        try:
            batches, rejected = self._assembler.assemble(polled, group)
        except Unavailable as error:
            return Attempt(group, 0, error.retry_after_s, str(error))
        if rejected:
            await self._give_up(polled, rejected)
        return of_parts(group, [await self._infer(polled, records, last=last) for records in batches])

    async def _infer(self, polled: Polled, records: RecordBatch, *, last: bool) -> Attempt:
        group = records.group
        deadline = time.monotonic() + self._config.infer_timeout_s
        try:
            answer = await self._engine.infer(
                group.endpoint, records.batch, deadline=deadline, variant=group.variant
            )
        except Unavailable as error:
            return Attempt(group, 0, error.retry_after_s, str(error))
        except DeadlineExceeded as error:
            return Attempt(group, 0, 0.0, str(error), late=True)
        except (InvalidInput, NotFound, RowsFailed) as error:
            # All rows are refused alike: the model has changed since they were checked, or rejects them all.
            return await self._refused(polled, group, error, last=last)
        journey = current()
        if journey is not None:  # with its calls, also where no row of it is published
            journey.answered(answer)
        settled = settle(records, answer)
        if settled.answered is None or settled.answered:
            await self._publish(polled, records, answer, settled.answered)
        again = list(settled.again)
        if settled.raised and last:
            await self._give_up(polled, _raised(group, settled.raised))
        else:
            again += settled.raised
        left = group.take(again) if again else None
        late = settled.late and len(again) == len(group)
        return Attempt(left, len(settled.raised), settled.retry_after_s, settled.reason, late)

    async def _refused(self, polled: Polled, group: Group, error: MeshError, *, last: bool) -> Attempt:
        if not last:
            return Attempt(group, len(group), 0.0, str(error))
        kind = RejectKind.UNKNOWN_MODEL if isinstance(error, NotFound) else RejectKind.MODEL_RAISED
        await self._give_up(
            polled,
            [
                Rejected(at, kind, str(error), type(error).__name__, PIPELINE_STAGE, group.endpoint)
                for at in group.positions
            ],
        )
        return Attempt()

    async def _publish(
        self, polled: Polled, records: RecordBatch, answer: Answer, chosen: Sequence[int] | None
    ) -> None:
        seconds = time.monotonic() - polled.received
        model_id = records.group.endpoint
        answers = encode_answers(polled, records, answer, chosen, seconds * 1e3)
        began = time.time_ns()
        await self._sink.publish(model_id, answers)
        if self._tap is not None:
            self._tap.look(polled, records, answer, chosen)
        journey = current()
        if journey is not None:
            told: Attributes = {"messaging.batch.message_count": len(answers), "mesh.endpoint": model_id}
            journey.step("publish redis", "producer", began, told)
        n = len(answers)
        self.answered += n
        recorder = self._recorder
        recorder.count(names.INFERENCE_PREDICTIONS, n, (model_id,))
        recorder.observe_many(names.INFERENCE_SECONDS, np.full(n, seconds), (model_id,))
        recorder.count(names.INGEST_ANSWERED, n, (polled.topic,))
        self._observe_stream_seconds(polled)

    def _observe_stream_seconds(self, polled: Polled) -> None:
        """From the records' own times to now; of large polls, a sample evenly spread."""
        now = time.time()
        step = max(1, len(polled) // _LATENCY_SAMPLES)
        times = [message.timestamp() for message in polled.messages[::step]]
        ages = np.array([now - at / 1e3 for kind, at in times if kind], np.float64)
        if ages.size:
            self._recorder.observe_many(names.STREAM_SECONDS, ages, (polled.topic,))

    async def _give_up(self, polled: Polled, rejected: Sequence[Rejected]) -> None:
        """Dead-letter these records; returns when the letters are acknowledged."""
        began = time.time_ns()
        await self._dead_letters.send([letter_of(polled, each) for each in rejected])
        journey = current()
        if journey is not None:
            told: Attributes = {"messaging.batch.message_count": len(rejected)}
            journey.step("send dead letters", "producer", began, told, rejected[0].class_name)
            if any(each.kind is RejectKind.MODEL_RAISED for each in rejected):
                journey.error = RejectKind.MODEL_RAISED.class_name
        self.dead_lettered += len(rejected)
        for each in rejected:
            self._recorder.count(names.INGEST_DEAD_LETTERS, 1, (polled.topic, each.kind.value))
            self._recorder.count(names.INFERENCE_ERRORS, 1, (each.model_id,))

    def _retrying(self, endpoint: str, records: int, reason: str) -> None:
        self._recorder.count(names.INGEST_RETRIES, 1, ("inference",))
        journey = current()
        if journey is not None:
            journey.step("retry", "internal", time.time_ns(), {"mesh.records": records}, "Unavailable")
            journey.error = "Unavailable"
        now = time.monotonic()
        if now - self._complained.get(endpoint, -_COMPLAIN_EVERY_S) >= _COMPLAIN_EVERY_S:
            self._complained[endpoint] = now
            logger.warning("%d records of '%s' are kept and tried again: %s", records, endpoint, reason)


def _raised(group: Group, raised: Mapping[int, RowFailure]) -> list[Rejected]:
    made = []
    for place, failure in raised.items():
        name, message = error_of(failure)
        reason = f"{failure.model}: {message}"
        made.append(
            Rejected(
                group.positions[place], RejectKind.MODEL_RAISED, reason, name, PIPELINE_STAGE, group.endpoint
            )
        )
    return made
