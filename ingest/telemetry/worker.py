"""The work on polls of raw telemetry: computed one after the other, then written, scored and judged several at a time.

A poll is complete when the features of its windows are in Kafka, its late and refused records where they were declared to go,
and its alerts are written. What is not required is left out where it cannot be had in time; everything else is tried again
for as long as it takes, and holds its slot meanwhile.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Protocol, TypeVar

from ingest.ledger import Ledger
from ingest.record import Polled, Rejected
from ingest.sink import DeadLetters, letter_of
from ingest.stages.rows import Rows
from ingest.telemetry.chain import Chain, Computed
from ingest.telemetry.judging import Judging
from ingest.telemetry.metering import ChainMetering
from ingest.telemetry.outputs import Destination, FeatureTopic, late_records
from ingest.telemetry.past import Past, parts_of
from ingest.telemetry.snapshots import Cut, Snapshots
from ingest.telemetry.state_store import Kept
from ingest.tracing import begin, end
from mesh.pipeline.levels import LevelGauge
from mesh.pipeline.plan import Level
from mesh.tracing.journey import CURRENT, Journey, current
from mesh.tracing.tracer import Tracer

Result = TypeVar("Result")

logger = logging.getLogger(__name__)


class Online(Protocol):
    """Where the newest row of every asset is kept for readers."""

    async def write(self, rows: Rows, /) -> None:
        """Returns when they can be read; older rows than what is there change nothing."""
        ...


class TelemetryWorker:
    """Works on polls on one event loop. Everything that touches the state of assets runs in one thread, in order."""

    def __init__(
        self,
        chain: Chain,
        snapshots: Snapshots,
        judging: Judging,
        *,
        ledger: Ledger,
        gauge: LevelGauge,
        features: FeatureTopic,
        late: Destination | None,
        online: Online | None,
        dead_letters: DeadLetters,
        metering: ChainMetering,
        tracer: Tracer | None = None,
    ) -> None:
        self._tracer = tracer
        self._chain, self._snapshots, self._judging = chain, snapshots, judging
        self._ledger, self._gauge = ledger, gauge
        self._features, self._late, self._online, self._dead_letters = features, late, online, dead_letters
        self._metering = metering
        self._thread = ThreadPoolExecutor(1, "telemetry-chain")
        self._turns: asyncio.Queue[Callable[[], Awaitable[None]]] = asyncio.Queue()
        self._sequence = asyncio.get_running_loop().create_task(self._take_turns())
        self._tasks: set[asyncio.Task[None]] = set()
        self.answered = 0
        self.dead_lettered = 0
        self.failure: BaseException | None = None

    def accept(self, polled: Polled, done: Callable[[], None]) -> None:
        """Begin to work on a poll; `done` is called when it needs its slot no more."""
        self.in_turn(lambda: self._compute(polled, done))

    def in_turn(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do this after every poll that was accepted before, and before every one that comes after."""
        self._turns.put_nowait(work)

    async def begin(self, partition: int, past: Past | None, moved_to: int | None = None) -> None:
        """Take over a partition: the chain and the alerts go on from the state that was kept of it.

        `moved_to` is a committed offset that no reader has written: somebody has put the group there. Where that is before what
        is kept, records are to be worked on again, and nothing is remembered.
        """
        await self._judging.settled()
        kept = await self._snapshots.begin(partition, past)
        lost = missing(kept, past)
        if moved_to is not None and kept.resume is not None and moved_to < kept.resume:
            await self._snapshots.begin_anew([partition])
            lost, kept = f"its offset was set back, to {moved_to} from {kept.resume}", Kept()
        if lost:
            self._metering.lost_state(partition, lost)
        resume = 0 if past is None else past.resume
        parts = {name: parts_of(asset.state) for name, asset in kept.assets.items()}
        states = {name: replace(asset, state=parts[name][0]) for name, asset in kept.assets.items()}
        self._snapshots.forgot(await self._run(lambda: self._chain.begin(partition, states, resume)))
        self._judging.begin(partition, {name: alerts for name, (_, alerts) in parts.items()})
        self._metering.remembers(len(self._chain))

    async def save(self, partitions: Sequence[int]) -> None:
        """Write the state of those of these partitions all of whose records are done with. Raises `StoreAway`."""
        await self._snapshots.recall(partitions)
        cuts = await self._run(lambda: self._snapshots.cut_of(self._chain.dump, partitions))
        # The alerts' state is of this moment, so it belongs to those cuts alone whose records are decided on by now.
        await self._snapshots.write(self._judging.complete(self._snapshots.passed(cuts)))

    async def end(self, partitions: Sequence[int]) -> None:
        """Forget these partitions."""
        await self._judging.settled()
        self._snapshots.end(partitions)
        for partition in partitions:
            self._judging.end(partition)
            await self._run(partial(self._chain.end, partition))
        self._metering.remembers(len(self._chain))

    async def drain(self) -> None:
        """Give up what is in flight, whose records stay uncommitted."""
        for task in (self._sequence, *self._tasks):
            task.cancel()
        await asyncio.gather(self._sequence, *self._tasks, return_exceptions=True)
        await self._snapshots.close()
        self._thread.shutdown(wait=True, cancel_futures=True)

    async def _take_turns(self) -> None:
        while self.failure is None:
            work = await self._turns.get()
            try:
                await work()
            except Exception as error:  # the state is not what it should be: nothing more may be built on it
                self.failure = error
                logger.exception("the telemetry chain has stopped; what it has read stays uncommitted")
                return

    async def _compute(self, polled: Polled, done: Callable[[], None]) -> None:
        journey = begin(self._tracer, polled)
        now = time.monotonic()
        level = self._gauge.observe(max(polled.waited_ms, self._judging.p95_ms(now)), now)
        computed = await self._run(lambda: self._chain.compute(polled, level))
        self._metering.computed(computed, level, len(self._chain))
        if journey is not None:
            journey.step(
                "compute features", "internal", journey.began_ns, {"mesh.windows": len(computed.windows)}
            )
        if computed.anew:
            await self._snapshots.begin_anew(computed.anew)
        self._snapshots.took(computed)
        cuts: list[Cut] = []
        if self._snapshots.due:
            cuts = await self._run(lambda: self._snapshots.cut(self._chain.dump))
        judged = self._judging.turn(polled, computed, level, cuts)
        finish = self._finish(polled, computed, level, judged, cuts)
        task = asyncio.get_running_loop().create_task(self._finish_traced(journey, polled, finish))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: done())

    async def _finish_traced(self, journey: Journey | None, polled: Polled, work: Awaitable[None]) -> None:
        CURRENT.set(journey)  # this task's own, and of those that it starts
        await work
        end(self._tracer, journey, polled, type(self.failure).__name__ if self.failure else None)

    async def _finish(
        self, polled: Polled, computed: Computed, level: Level, judged: Awaitable[list[Cut]], cuts: list[Cut]
    ) -> None:
        try:
            async with asyncio.TaskGroup() as together:
                together.create_task(self._give_up(polled, computed.decoded.rejected))
                together.create_task(self._write(polled, computed, level))
                judging = together.create_task(_awaited(judged))
            if cuts:
                self._snapshots.write_later(judging.result())
        except Exception as error:  # whatever it is, the records stay uncommitted, and health says why
            self.failure = _first(error)
            logger.exception("records %s are left uncommitted", polled.spans)
        else:
            if not polled.abandoned:
                self._ledger.complete(polled.spans)
                answered = len(polled) - len(computed.decoded.rejected)
                self.answered += answered
                self._metering.answered(polled.topic, answered)
            self._snapshots.advance()
            self._metering.state_written(self._snapshots.written_bytes)

    async def _write(self, polled: Polled, computed: Computed, level: Level) -> None:
        rows = computed.windows
        if len(rows):
            began = time.time_ns()
            await self._features.write(rows, level)
            journey = current()
            if journey is not None:
                journey.step("send features", "producer", began, {"messaging.batch.message_count": len(rows)})
            if self._online is not None:
                await self._online.write(rows)
        if self._late is not None and len(computed.late):
            await self._late.write(late_records(polled, computed.late))

    async def _give_up(self, polled: Polled, rejected: Sequence[Rejected]) -> None:
        if not rejected:
            return
        await self._dead_letters.send([letter_of(polled, each) for each in rejected])
        self.dead_lettered += len(rejected)
        self._metering.dead_lettered(polled.topic, rejected)

    async def _run(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def missing(kept: Kept, past: Past | None) -> str:
    """What is wrong with what is kept of a partition, beside what Kafka knows of it; nothing where that is empty."""
    if past is None or not past.written:
        return ""
    if kept.resume is None:
        return "there is none any more, or it is of another telemetry.yaml"
    if kept.resume < past.resume:
        return f"it ends at offset {kept.resume}, and should at {past.resume}: the store is an older copy of itself"
    return ""


async def _awaited(work: Awaitable[Result]) -> Result:
    return await work


def _first(error: Exception) -> Exception:
    """What went wrong first: a group of tasks says no more than that something did."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
