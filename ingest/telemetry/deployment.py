"""The Serve deployment `telemetry`: its replicas are the actors that read raw telemetry, and hold the state of its assets."""

import asyncio
import gc
import os
from contextlib import AsyncExitStack
from dataclasses import asdict
from pathlib import Path

from ray import serve

from ingest.config import IngestConfig
from ingest.deployment import GC_THRESHOLD
from ingest.scaling import LAG, PARTITIONS, TARGET_LAG
from ingest.stages.drift import RULE as DRIFT
from ingest.telemetry.configured import load_chain
from ingest.telemetry.orphans import resolving_orphans
from ingest.telemetry.reader import Stores, TelemetryReader
from mesh.alerts.rules import DIGEST
from mesh.cluster.connect import connect_engine
from mesh.cluster.live_rules import LiveRules
from mesh.cluster.logs import log_with_serve
from mesh.cluster.metering import EngineGauges, Metering
from mesh.cluster.review_watch import ReviewWatch, open_offering
from mesh.cluster.rollout_watch import rollout_watch
from mesh.cluster.scoreboard import Reporter
from mesh.settings import Settings
from mesh.stores.alerts import RedisAlerts
from mesh.stores.redis_online import RedisOnlineStore
from mesh.telemetry.recorder import Recorder
from mesh.tracing.opened import open_tracer


class Telemetry:
    """One reader with an engine of its own. Kafka, Redis and models may be away when it starts: it waits for them."""

    async def __init__(self, config_dir: str, mesh_app: str) -> None:  # type: ignore[misc]  # Serve awaits it
        """Connect an engine to the models of application `mesh_app` and begin to read.

        By the engine's handles Serve knows that the models must outlive this deployment.
        """
        log_with_serve()
        self._parts = AsyncExitStack()  # what is there so far; a reader that fails here has less to close
        settings, folder = Settings.from_environ(os.environ), Path(config_dir)
        context = serve.get_replica_context()
        self._config = IngestConfig.from_environ(os.environ).of_replica(context.rank.rank)
        live = LiveRules(folder, settings, context.replica_tag)
        await live.begin()
        recorder = Recorder()
        reporter = Reporter("telemetry", context.replica_tag, recorder, settings)
        reporter.start()
        self._parts.push_async_callback(reporter.stop)
        chain = await asyncio.to_thread(load_chain, folder, live.config)
        offering = open_offering(settings, chain.review, recorder, self._parts)
        observer = ReviewWatch(rollout_watch(Metering(recorder, live.tally), settings, self._parts), offering)
        engine = await connect_engine(live.config, settings, mesh_app, observer, live.apps)
        reporter.before_push(EngineGauges(recorder, engine).read)
        self._parts.push_async_callback(engine.close)
        live.follow(engine)
        self._parts.push_async_callback(live.stop)
        tracer = open_tracer(settings, "telemetry", recorder, self._parts)
        alerts = RedisAlerts(settings.redis_url, chain.policy)
        self._parts.push_async_callback(alerts.close)
        followed = {DIGEST, DRIFT, *(rule.name for rule in chain.policy.rules)}
        await self._parts.enter_async_context(resolving_orphans(alerts, followed))
        online = RedisOnlineStore(settings.redis_url)
        self._parts.push_async_callback(online.close)
        stores = Stores(alerts, online, offering)
        self._reader = TelemetryReader(settings, self._config, chain, engine, stores, recorder, tracer)
        self._reader.start()
        self._parts.push_async_callback(self._reader.drain)
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
