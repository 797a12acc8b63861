"""One run through the real worker, with everything that it writes kept in memory."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from ingest.evaluation.models import OpenedModels
from ingest.evaluation.played import polls
from ingest.ledger import Ledger
from ingest.record import Polled
from ingest.sink import MemoryDeadLetters
from ingest.stages.alert import Alert
from ingest.stages.rows import Rows
from ingest.stages.score import Score
from ingest.telemetry.chain import Chain
from ingest.telemetry.configured import ChainConfig
from ingest.telemetry.judging import Judging
from ingest.telemetry.metering import ChainMetering
from ingest.telemetry.outputs import FeatureTopic, Records
from ingest.telemetry.snapshots import Snapshots
from ingest.telemetry.state_store import MemoryStates
from ingest.telemetry.worker import TelemetryWorker
from mesh.alerts import AlertEvent
from mesh.pipeline.levels import LevelGauge
from mesh.pipeline.plan import Level, LevelRules
from mesh.simulation.run import Run
from mesh.telemetry.recorder import Recorder

POLL_RECORDS: Final = 500
_IN_FLIGHT: Final = 4
_NEVER: Final = LevelRules(behind_ms=(2**60, 2**61, 2**62))
_MAX_RECORD_BYTES: Final = 5_000_000


@dataclass(frozen=True, slots=True)
class Played:
    """What a run led to. `columns` are those of the alert stage's rows, by name, with `asset` and `time` beside them.

    `means` float64 [M, S] are the sensors' means in each row; empty where that feature is not selected.
    """

    run: Run
    records: int
    windows: int
    dead_letters: int
    events: Sequence[AlertEvent]
    columns: Mapping[str, np.ndarray]
    sensors: tuple[str, ...]
    means: np.ndarray
    decided_s: np.ndarray
    wall_s: float
    cpu_s: float

    def mean_of(self, sensor: str) -> np.ndarray:
        """The sensor's mean in each row."""
        if not self.means.shape[1]:
            return np.full(self.windows, np.nan)
        return self.means[:, self.sensors.index(sensor)]


class Watched:
    """The alert stage, and all that it saw."""

    def __init__(self, alert: Alert) -> None:
        self._alert = alert
        self.events: list[AlertEvent] = []
        self.rows: list[Rows] = []
        self.decided: list[tuple[int, float]] = []

    def step(self, rows: Rows, polled: Polled, level: Level) -> Coroutine[None, None, None]:
        """See `Alerting`; what is decided is kept, budget aside."""
        self.events += [event for judged in self._alert.step(rows, polled, level) for event in judged.events]
        if len(rows):
            self.rows.append(rows)
        self.decided.append((polled.offsets[0], time.perf_counter()))
        return _nothing()

    def dump(self, partition: int, assets: Sequence[str]) -> Mapping[str, bytes]:
        """See `Alerting`."""
        return self._alert.dump(partition, assets)

    def begin(self, partition: int, states: Mapping[str, bytes]) -> None:
        """See `Alerting`."""
        self._alert.begin(partition, states)

    def end(self, partition: int) -> None:
        """See `Alerting`."""
        self._alert.end(partition)

    def columns(self) -> dict[str, np.ndarray]:
        """All rows: asset, time, and every column that each of them has."""
        found: dict[str, list[np.ndarray]] = defaultdict(list)
        for rows in self.rows:
            found["asset"].append(np.array(rows.assets, object))
            found["time"].append(rows.time)
            for name, values in rows.columns.items():
                found[name].append(np.asarray(values))
        return {name: np.concatenate(parts) for name, parts in found.items() if len(parts) == len(self.rows)}


class _Discard:
    """A topic that nobody reads."""

    async def write(self, records: Records) -> None:
        """Take them."""


async def play(chain: ChainConfig, models: OpenedModels, run: Run) -> Played:
    """Every record of `run` through the chain that `chain` declares, as fast as it goes; levels stay at L0."""
    watched = Watched(Alert(chain.policy.rules, chain.telemetry, chain.features))
    letters, ledger = MemoryDeadLetters(), Ledger(10**6)
    ledger.assign(0, 0)
    metering = ChainMetering(Recorder())
    scores = {
        stage.name: Score(stage, models, chain.features)
        for stage in chain.plan.stages
        if stage.kind == "score"
    }
    worker = TelemetryWorker(
        Chain(chain.telemetry, chain.plan, _MAX_RECORD_BYTES),
        Snapshots(MemoryStates(), ledger, 1e9),
        Judging(chain.plan, scores, watched, metering),
        ledger=ledger,
        gauge=LevelGauge(_NEVER),
        features=FeatureTopic(_Discard(), "evaluated", ""),
        late=None,
        online=None,
        dead_letters=letters,
        metering=metering,
    )
    began, cpu = time.perf_counter(), time.process_time()
    accepted = await _feed(worker, run)
    wall, used = time.perf_counter() - began, time.process_time() - cpu
    await worker.drain()
    if worker.failure is not None:
        raise worker.failure
    columns = watched.columns()
    return Played(
        run,
        sum(records for _, records, _ in accepted),
        len(columns.get("time", ())),
        len(letters.letters),
        watched.events,
        columns,
        tuple(sensor.name for sensor in chain.telemetry.sensors),
        _means(watched.rows, chain),
        _waits(accepted, watched.decided),
        wall,
        used,
    )


async def _feed(worker: TelemetryWorker, run: Run) -> list[tuple[int, int, float]]:
    """First offset, records and time of each poll that was handed over."""
    slots = asyncio.Semaphore(_IN_FLIGHT)
    accepted: list[tuple[int, int, float]] = []
    for polled in polls(run, POLL_RECORDS):
        while worker.failure is None:
            try:
                await asyncio.wait_for(slots.acquire(), 1.0)
                break
            except TimeoutError:
                continue
        if worker.failure is not None:
            return accepted
        accepted.append((polled.offsets[0], len(polled), time.perf_counter()))
        worker.accept(polled, slots.release)
    for _ in range(_IN_FLIGHT):
        await slots.acquire()
    return accepted


def _waits(accepted: list[tuple[int, int, float]], decided: list[tuple[int, float]]) -> np.ndarray:
    """Seconds from handing a poll over to its decision: float64, one a poll."""
    at = {first: moment for first, _, moment in accepted}
    return np.array([moment - at[first] for first, moment in decided], np.float64)


def _means(rows: Sequence[Rows], chain: ChainConfig) -> np.ndarray:
    if "mean" not in chain.telemetry.features:
        return np.empty((sum(map(len, rows)), 0))
    at = chain.telemetry.features.index("mean")
    return np.concatenate(
        [each.features[:, :, at] for each in rows] or [np.empty((0, len(chain.telemetry.sensors)))]
    )


async def _nothing() -> None:
    """There is nothing to write."""
