"""The Serve deployment `telemetry`: its replicas are the actors that read raw telemetry, and hold the state of its assets."""

import asyncio
from pathlib import Path

from ingest.replica import Place, ReaderReplica, Works
from ingest.stages.drift import RULE as DRIFT
from ingest.telemetry.configured import ChainConfig, load_chain
from ingest.telemetry.orphans import resolving_orphans
from ingest.telemetry.reader import Stores, TelemetryReader
from mesh.alerts.rules import DIGEST
from mesh.stores.alerts import RedisAlerts
from mesh.stores.redis_online import RedisOnlineStore


class Telemetry(ReaderReplica):
    """A reader of raw telemetry."""

    async def __init__(self, config_dir: str, mesh_app: str) -> None:  # type: ignore[misc]  # Serve awaits it
        """Connect an engine to the models of application `mesh_app` and begin to read."""
        folder = Path(config_dir)
        place = await self._placed(folder)
        chain = await asyncio.to_thread(load_chain, folder, place.rules.config)
        works = await self._connected("telemetry", place, chain.review, mesh_app)
        stores = await self._stores(place, chain, works)
        self._read_with(
            TelemetryReader(
                place.settings, place.config, chain, works.engine, stores, works.recorder, works.tracer
            )
        )

    async def _stores(self, place: Place, chain: ChainConfig, works: Works) -> Stores:
        alerts = RedisAlerts(place.settings.redis_url, chain.policy)
        self._parts.push_async_callback(alerts.close)
        followed = {DIGEST, DRIFT, *(rule.name for rule in chain.policy.rules)}
        await self._parts.enter_async_context(resolving_orphans(alerts, followed))
        online = RedisOnlineStore(place.settings.redis_url)
        self._parts.push_async_callback(online.close)
        return Stores(alerts, online, works.offering)
