"""One run through the real chain: worker, stages, models, rules and alert store, with everything outside in memory."""

import asyncio
import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import psutil

from ingest.config import IngestConfig
from ingest.evaluation.outputs import Counted, SeenRows, ToldAlerts
from ingest.evaluation.played import polls
from ingest.evaluation.scoring import Told
from ingest.ledger import Ledger
from ingest.record import Polled
from ingest.stages.alert import Alert
from ingest.stages.score import Score
from ingest.telemetry.alerting import AlertOutput
from ingest.telemetry.chain import Chain
from ingest.telemetry.configured import ChainConfig
from ingest.telemetry.judging import Judging
from ingest.telemetry.metering import ChainMetering
from ingest.telemetry.outputs import FeatureTopic
from ingest.telemetry.snapshots import Snapshots
from ingest.telemetry.state_store import MemoryStates
from ingest.telemetry.worker import TelemetryWorker
from ingest.worker import StreamEngine
from mesh.alerts import Budget
from mesh.bounded import within
from mesh.errors import DeadlineExceeded
from mesh.pipeline.levels import LevelGauge
from mesh.pipeline.plan import LevelRules, PipelinePlan
from mesh.simulation.run import Run
from mesh.stores.alerts import MemoryAlerts
from mesh.stores.alerts.metering import AlertMetering
from mesh.stores.views import digest_of
from mesh.telemetry.recorder import Recorder

POLL_LIMIT_S: Final = 300.0
"""No poll may take longer: a model that hangs ends the evaluation."""
_LOOK_S: Final = 0.25
_OPEN_SPANS: Final = 16
_NEVER: Final = LevelRules(behind_ms=(2**62, 2**62 + 1, 2**62 + 2))
"""What is found must not depend on how busy the machine is that evaluates."""
_NO_BUDGET: Final = Budget(alerts=10**9)


@dataclass(frozen=True, slots=True)
class Effort:
    """What P polls took.

    `seconds` float64 [P] from a poll's being read until its rows were decided on and all was written, `records` int64 [P].
    `cpu_s` is the process's time for all of them, that of making the records left out; `memory_bytes` is what the process
    held at the end.
    """

    seconds: np.ndarray
    records: np.ndarray
    cpu_s: float
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run led to: alerts in the order of their opening, the windows that were judged, and what was not taken."""

    told: tuple[Told, ...]
    seen: SeenRows
    effort: Effort
    late: int
    dead_lettered: int


class Trial:
    """The chain for one run. Create it on a running loop, play it once."""

    def __init__(
        self, chain: ChainConfig, engine: StreamEngine, columns: tuple[str, ...], *, budget: bool
    ) -> None:
        """`columns` are kept of every window; without `budget` every alert is told by itself."""
        policy = chain.policy if budget else replace(chain.policy, budget=_NO_BUDGET)
        plan, recorder = nothing_left_out(chain.plan), Recorder()
        metering = ChainMetering(recorder)
        self._topic = chain.topics.raw
        self._ledger, self._told = Ledger(_OPEN_SPANS), ToldAlerts()
        self._late, self._letters = Counted(), Counted()
        alert = Alert(policy, chain.telemetry, chain.features)
        output = AlertOutput(alert, MemoryAlerts(policy), self._told, AlertMetering(recorder))
        self._seen = SeenRows(output, columns)
        scores = {
            stage.name: Score(stage, engine, chain.features) for stage in plan.stages if stage.kind == "score"
        }
        self._worker = TelemetryWorker(
            Chain(chain.telemetry, plan, IngestConfig().max_record_bytes),
            Snapshots(MemoryStates(), self._ledger, plan.snapshot_ms / 1e3),
            Judging(plan, scores, self._seen, metering),
            ledger=self._ledger,
            gauge=LevelGauge(_NEVER),
            features=FeatureTopic(Counted(), "telemetry", digest_of(chain.features)),
            late=self._late,
            online=None,
            dead_letters=self._letters,
            metering=metering,
        )

    async def play(self, run: Run, size: int, progress: Callable[[int], None]) -> Outcome:
        """Play the run, `size` records a poll and one poll at a time; `progress` is told how many more are done.

        Raises what the chain failed with, and `DeadlineExceeded` for a poll that takes longer than `POLL_LIMIT_S`.
        """
        seconds, records, cpu_s = array("d"), array("q"), 0.0
        try:
            for polled in polls(run, self._ledger, self._topic, size):
                began, cpu = time.perf_counter(), time.process_time()
                await self._one(polled)
                seconds.append(time.perf_counter() - began)
                cpu_s += time.process_time() - cpu
                records.append(len(polled))
                progress(len(polled))
        finally:
            await self._worker.drain()
        return Outcome(
            tuple(self._told.told.values()),
            self._seen,
            Effort(np.array(seconds), np.array(records, np.int64), cpu_s, psutil.Process().memory_info().rss),
            self._late.records,
            self._letters.records,
        )

    async def _one(self, polled: Polled) -> None:
        """Returns when all that the poll led to is written."""
        done = asyncio.Event()
        ends = time.monotonic() + POLL_LIMIT_S
        self._worker.accept(polled, done.set)
        while not done.is_set() and self._worker.failure is None:
            try:
                await within(_LOOK_S, done.wait())
            except TimeoutError:
                if time.monotonic() >= ends:
                    reason = (
                        f"a poll of {len(polled)} records took more than {POLL_LIMIT_S:g} s: lower --poll"
                    )
                    raise DeadlineExceeded(reason) from None
        if self._worker.failure is not None:
            raise self._worker.failure


def nothing_left_out(plan: PipelinePlan) -> PipelinePlan:
    """The plan with every stage required: a model that fails ends the evaluation, it is not passed over."""
    stages = tuple(replace(stage, required=True) for stage in plan.stages)
    return replace(plan, stages=stages)
