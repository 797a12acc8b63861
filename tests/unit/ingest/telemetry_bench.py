"""A telemetry worker with everything in memory: topics that may be away, alerts that are written down, a store to share."""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence

from polls import Facts, signature
from telemetry_made import PLAN, TELEMETRY, chain, polled

from ingest.ledger import Ledger
from ingest.record import Polled
from ingest.sink import MemoryDeadLetters
from ingest.stages.rows import Rows
from ingest.stages.score import Score
from ingest.telemetry.judging import Judging
from ingest.telemetry.metering import ChainMetering
from ingest.telemetry.outputs import FeatureTopic, Records
from ingest.telemetry.past import Past
from ingest.telemetry.snapshots import Snapshots
from ingest.telemetry.state_store import MemoryStates, StateStore
from ingest.telemetry.worker import TelemetryWorker
from mesh.pipeline.levels import LevelGauge
from mesh.pipeline.plan import Level, PipelinePlan
from mesh.routing.types import Answer, Batch, TensorSpec, Variant
from mesh.signals.features import feature_names
from mesh.telemetry.recorder import Recorder
from tests.fakes.waiting import turns

NAMES = feature_names([sensor.name for sensor in TELEMETRY.sensors], TELEMETRY.features)


class MemoryTopic:
    """Keeps records; while `available` is cleared it waits, and raises `error` where there is one."""

    def __init__(self) -> None:
        self.records: list[tuple[bytes | None, bytes | None, object]] = []
        self.available = asyncio.Event()
        self.available.set()
        self.error: Exception | None = None

    async def write(self, records: Records) -> None:
        await self.available.wait()
        if self.error is not None:
            raise self.error
        self.records += records


class Alerts:
    """Writes down what is decided, and counts rows by partition and asset as the state of its rules."""

    def __init__(self) -> None:
        self.decided: list[tuple[int, Rows, Level]] = []
        self.written: list[int] = []
        self.available = asyncio.Event()
        self.available.set()
        self.state: dict[tuple[int, str], int] = {}

    def step(self, rows: Rows, polled: Polled, level: Level) -> Coroutine[None, None, None]:
        first = polled.offsets[0]
        self.decided.append((first, rows, level))
        for asset, cause in zip(rows.assets, rows.cause.tolist(), strict=True):
            key = (polled.partitions[cause], asset)
            self.state[key] = self.state.get(key, 0) + 1
        return self._write(first)

    async def _write(self, first: int) -> None:
        await self.available.wait()
        self.written.append(first)

    def dump(self, partition: int, assets: Sequence[str]) -> Mapping[str, bytes]:
        return {a: b"%d" % self.state[partition, a] for a in assets if (partition, a) in self.state}

    def begin(self, partition: int, states: Mapping[str, bytes]) -> None:
        self.state |= {(partition, asset): int(state) for asset, state in states.items() if state}

    def end(self, partition: int) -> None:
        self.state = {key: count for key, count in self.state.items() if key[0] != partition}


class Gated(Facts):
    """An engine whose answer for an asset waits until it is let through."""

    endpoints = ("m",)

    def __init__(self, answer: Answer | Exception | None = None) -> None:
        super().__init__(signature(TensorSpec("x", "FP32", (-1, -1))))
        self.open: dict[str, asyncio.Event] = {}
        self.deadlines: list[float | None] = []
        self._answer = answer

    def gate(self, asset: str) -> asyncio.Event:
        return self.open.setdefault(asset, asyncio.Event())

    async def infer(
        self, endpoint: str, batch: Batch, *, deadline: float | None = None, variant: Variant | None = None
    ) -> Answer:
        self.deadlines.append(deadline)
        if batch.keys and batch.keys[0] in self.open:
            await self.open[batch.keys[0]].wait()
        if isinstance(self._answer, Answer):
            return self._answer
        raise self._answer or AssertionError("nobody should have asked")


class Bench:
    """Create it on a running loop. Partitions must be begun."""

    def __init__(
        self,
        *,
        plan: PipelinePlan = PLAN,
        engine: Gated | None = None,
        store: StateStore | None = None,
        every_s: float = 3_600.0,
        alerts: Alerts | None = None,
        open_spans: int = 100,
    ) -> None:
        self.features, self.late, self.letters = MemoryTopic(), MemoryTopic(), MemoryDeadLetters()
        self.ledger, self.recorder, self.store = Ledger(open_spans), Recorder(), store or MemoryStates()
        self.snapshots = Snapshots(self.store, self.ledger, every_s)
        self.alerts, self.chain = alerts or Alerts(), chain(plan=plan)
        scores = {
            stage.name: Score(stage, engine or Gated(), NAMES)
            for stage in plan.stages
            if stage.kind == "score"
        }
        metering = ChainMetering(self.recorder)
        self.judging = Judging(plan, scores, self.alerts, metering)
        self.worker = TelemetryWorker(
            self.chain,
            self.snapshots,
            self.judging,
            ledger=self.ledger,
            gauge=LevelGauge(plan.levels),
            features=FeatureTopic(self.features, "telemetry", "n4mes"),
            late=self.late,
            online=None,
            dead_letters=self.letters,
            metering=metering,
        )
        self.accepted = self.released = 0
        self._moved = asyncio.Event()

    async def begin(self, *partitions: int, past: Past | None = None) -> "Bench":
        for partition in partitions:
            self.ledger.assign(partition, 0 if past is None else past.resume)
            await self.worker.begin(partition, past)
        return self

    def accept(self, parts: Mapping[int, tuple[int, Sequence[bytes]]], late_ms: int = 0) -> Polled:
        made = polled(parts, self.ledger, late_ms)
        self.accepted += 1
        self.worker.accept(made, self._done)
        return made

    def _done(self) -> None:
        self.released += 1
        self._moved.set()

    async def settle(self) -> None:
        """Every accepted poll is done with."""
        async with asyncio.timeout(20):
            while self.released < self.accepted:
                self._moved.clear()
                await self._moved.wait()

    async def pause(self) -> None:
        """What can go on has gone on."""
        for _ in range(10):
            await asyncio.sleep(0.001)
            await turns(20)

    def counted(self, metric: object, labels: tuple[str, ...] = ()) -> float:
        return self.recorder.snapshot().counters.get(metric.name, {}).get(labels, 0)
