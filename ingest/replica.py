"""What every deployment of readers is made of: an engine of its own with its figures, a reader, an orderly end."""

import gc
import os
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from ray import serve

from ingest.config import IngestConfig
from ingest.reading import TopicReader
from ingest.scaling import LAG, PARTITIONS, TARGET_LAG
from mesh.cluster.connect import ConnectedEngine, connect_engine
from mesh.cluster.live_rules import LiveRules
from mesh.cluster.logs import log_with_serve
from mesh.cluster.metering import EngineGauges, Metering
from mesh.cluster.review_watch import ReviewWatch, open_offering
from mesh.cluster.rollout_watch import rollout_watch
from mesh.cluster.scoreboard import Reporter
from mesh.review.offering import Offering
from mesh.review.plan import ReviewPlan
from mesh.settings import Settings
from mesh.telemetry.recorder import Recorder
from mesh.tracing.opened import open_tracer
from mesh.tracing.tracer import Tracer

_GC_THRESHOLD: Final = 50_000
"""Allocations between two collections: every poll makes thousands of objects that hold no cycles."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a replica works: who it is, by which rules, and how it is configured."""

    replica: str
    settings: Settings
    config: IngestConfig
    rules: LiveRules


@dataclass(frozen=True, slots=True)
class Works:
    """What a reader works with."""

    recorder: Recorder
    offering: Offering
    engine: ConnectedEngine
    tracer: Tracer | None


class ReaderReplica:
    """One reader with an engine of its own. Kafka, Redis and models may be away when it starts: it waits for them."""

    _reader: TopicReader
    _config: IngestConfig

    async def _placed(self, folder: Path) -> Place:
        """The first step: the present rules of the configuration in `folder`."""
        log_with_serve()
        self._parts = AsyncExitStack()  # what is there so far; a reader that fails to start has less to close
        settings = Settings.from_environ(os.environ)
        context = serve.get_replica_context()
        self._config = IngestConfig.from_environ(os.environ).of_replica(context.rank.rank)
        rules = LiveRules(folder, settings, context.replica_tag)
        await rules.begin()
        return Place(context.replica_tag, settings, self._config, rules)

    async def _connected(self, process: str, place: Place, review: ReviewPlan, mesh_app: str) -> Works:
        """The second: an engine on the models of application `mesh_app`, and the figures of this `process`.

        By the engine's handles Serve knows that the models must outlive this deployment.
        """
        settings, rules, parts, recorder = place.settings, place.rules, self._parts, Recorder()
        reporter = Reporter(process, place.replica, recorder, settings)
        reporter.start()
        parts.push_async_callback(reporter.stop)
        offering = open_offering(settings, review, recorder, parts)
        observer = ReviewWatch(rollout_watch(Metering(recorder, rules.tally), settings, parts), offering)
        engine = await connect_engine(rules.config, settings, mesh_app, observer, rules.apps)
        reporter.before_push(EngineGauges(recorder, engine).read)
        parts.push_async_callback(engine.close)
        rules.follow(engine)
        parts.push_async_callback(rules.stop)
        return Works(recorder, offering, engine, open_tracer(settings, process, recorder, parts))

    def _read_with(self, reader: TopicReader) -> None:
        """The last: begin to read."""
        self._reader = reader
        reader.start()
        self._parts.push_async_callback(reader.drain)
        gc.collect()
        gc.freeze()
        gc.set_threshold(_GC_THRESHOLD, 20, 20)

    async def drain(self) -> dict[str, int]:
        """Read no more and finish what was read: `read`, `answered`, `dead_lettered`, `left_uncommitted`."""
        return asdict(await self._reader.drain())

    async def summary(self) -> dict[str, int]:
        """The same numbers so far."""
        return asdict(self._reader.summary())

    async def check_health(self) -> None:
        """Raises where the reader is dead or stalled; Serve then replaces it. Waiting for others is healthy."""
        self._reader.check_health()

    async def record_autoscaling_stats(self) -> dict[str, float]:
        """What `ingest.scaling` reads."""
        return {
            LAG: float(self._reader.lag),
            PARTITIONS: float(self._reader.partitions),
            TARGET_LAG: float(self._config.target_lag),
        }

    async def __del__(self) -> None:
        """Drain, then let go of the models."""
        await self._parts.aclose()
