"""The Serve deployment `ingest`: its replicas are the actors that read Kafka."""

import asyncio
import gc
import os
from contextlib import AsyncExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Final

from ray import serve

from ingest.config import IngestConfig
from ingest.heartbeat import Heartbeat
from ingest.pool import Reader
from ingest.reviewing import answer_sampling
from ingest.scaling import LAG, PARTITIONS, TARGET_LAG
from mesh.cluster.connect import connect_engine
from mesh.cluster.live_rules import LiveRules
from mesh.cluster.logs import log_with_serve
from mesh.cluster.metering import EngineGauges, Metering
from mesh.cluster.review_watch import ReviewWatch, open_offering
from mesh.cluster.rollout_watch import rollout_watch
from mesh.cluster.scoreboard import Reporter
from mesh.settings import Settings
from mesh.spec import load_review
from mesh.stores.predictions import RedisBeats
from mesh.telemetry.recorder import Recorder
from mesh.tracing.opened import open_tracer

GC_THRESHOLD: Final = 50_000
"""Allocations between two collections: every poll makes thousands of objects that hold no cycles."""


class Ingest:
    """One reader with an engine of its own. Kafka and Redis may be away when it starts: it waits for them."""

    async def __init__(self, config_dir: str, mesh_app: str) -> None:  # type: ignore[misc]  # Serve awaits it
        """Connect an engine to the models of application `mesh_app` and begin to read.

        By the engine's handles Serve knows that the models must outlive this deployment.
        """
        log_with_serve()
        self._parts = AsyncExitStack()  # what is there so far; a reader that fails here has less to close
        settings = Settings.from_environ(os.environ)
        context = serve.get_replica_context()
        self._config = IngestConfig.from_environ(os.environ).of_replica(context.rank.rank)
        live = LiveRules(Path(config_dir), settings, context.replica_tag)
        await live.begin()
        recorder = Recorder()
        reporter = Reporter("ingest", context.replica_tag, recorder, settings)
        reporter.start()
        self._parts.push_async_callback(reporter.stop)
        review = await asyncio.to_thread(load_review, Path(config_dir))
        offering = open_offering(settings, review, recorder, self._parts)
        observer = ReviewWatch(rollout_watch(Metering(recorder, live.tally), settings, self._parts), offering)
        engine = await connect_engine(live.config, settings, mesh_app, observer, live.apps)
        reporter.before_push(EngineGauges(recorder, engine).read)
        self._parts.push_async_callback(engine.close)
        live.follow(engine)
        self._parts.push_async_callback(live.stop)
        tracer = open_tracer(settings, "ingest", recorder, self._parts)
        tap = answer_sampling(review, engine, offering)
        self._reader = Reader(settings, self._config, engine, recorder, tracer, tap)
        self._reader.start()
        self._parts.push_async_callback(self._reader.drain)
        beats = RedisBeats(settings.redis_url, settings.redis_channel)
        self._parts.push_async_callback(beats.close)
        heartbeat = Heartbeat(
            beats,
            context.replica_tag,
            recorder,
            endpoints=lambda: engine.endpoints,
            lag=lambda: self._reader.lag,
            check_health=self._reader.check_health,
            logged=self._config.log_records > 0,
        )
        heartbeat.start()
        self._parts.push_async_callback(heartbeat.stop)
        gc.collect()
        gc.freeze()
        gc.set_threshold(GC_THRESHOLD, 20, 20)

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
