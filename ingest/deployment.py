"""The Serve deployment `ingest`: its replicas are the actors that read Kafka."""

import asyncio
from pathlib import Path

from ingest.heartbeat import Heartbeat
from ingest.pool import Reader
from ingest.replica import Place, ReaderReplica, Works
from ingest.reviewing import answer_sampling
from mesh.spec import load_review
from mesh.stores.predictions import RedisBeats


class Ingest(ReaderReplica):
    """A reader of the inference topic, which also says every two seconds that it lives."""

    async def __init__(self, config_dir: str, mesh_app: str) -> None:  # type: ignore[misc]  # Serve awaits it
        """Connect an engine to the models of application `mesh_app` and begin to read."""
        folder = Path(config_dir)
        place = await self._placed(folder)
        review = await asyncio.to_thread(load_review, folder)
        works = await self._connected("ingest", place, review, mesh_app)
        tap = answer_sampling(review, works.engine, works.offering)
        reader = Reader(place.settings, place.config, works.engine, works.recorder, works.tracer, tap)
        self._read_with(reader)
        self._beat(place, works, reader)

    def _beat(self, place: Place, works: Works, reader: Reader) -> None:
        beats = RedisBeats(place.settings.redis_url, place.settings.redis_channel)
        self._parts.push_async_callback(beats.close)
        heartbeat = Heartbeat(
            beats,
            place.replica,
            works.recorder,
            endpoints=lambda: works.engine.endpoints,
            lag=lambda: reader.lag,
            check_health=reader.check_health,
            logged=place.config.log_records > 0,
        )
        heartbeat.start()
        self._parts.push_async_callback(heartbeat.stop)
