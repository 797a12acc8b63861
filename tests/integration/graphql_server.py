"""`/graphql` as its deployment serves it, in a thread of this process: on a real Redis or on stores in memory."""

import asyncio
import socket
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

import orjson
import uvicorn

from mesh.stores.alerts import MemoryAlerts, RedisAlerts
from mesh.stores.predictions import MemoryBeats, MemoryLog, RedisBeats, RedisLog
from serve.graphql.access import Access
from serve.graphql.alert_feed import AlertFeed
from serve.graphql.app import GraphqlApp
from serve.graphql.feed import PredictionFeed
from serve.graphql.limits import Limits
from serve.graphql.schema import Reading
from serve.graphql.status import StreamStatus

_T = TypeVar("_T")
CHANNEL = "ml:stream:inference"
LOG = f"{CHANNEL}:log"


class GraphqlServer:
    """Starts on construction, on a port that the system chooses."""

    def __init__(
        self, redis_url: str | None = None, limits: Limits | None = None, access: Access | None = None
    ) -> None:
        self.limits = limits or Limits()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}/graphql"
        self.run(self._start(redis_url, access))

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Run on the server's loop and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    async def _start(self, redis_url: str | None, access: Access | None) -> None:
        waiting = self.limits.waiting
        if redis_url is None:
            self.log, self.beats, self.alerts = MemoryLog(), MemoryBeats(), MemoryAlerts()
        else:
            self.log, self.beats = RedisLog(redis_url, CHANNEL), RedisBeats(redis_url, CHANNEL)
            self.alerts = RedisAlerts(redis_url)
        self.feed = PredictionFeed(self.log, self.log, waiting)
        self.reading = Reading(
            self.feed, AlertFeed(self.alerts, self.alerts, waiting), StreamStatus(self.beats)
        )
        self.app = GraphqlApp(self.reading, self.limits, access)
        config = uvicorn.Config(self.app, log_level="error", lifespan="off", timeout_graceful_shutdown=3)
        self._server = uvicorn.Server(config)
        self._serving = asyncio.create_task(self._server.serve([self._listener]))
        while not self._server.started:  # noqa: ASYNC110 - it has no event to wait for
            await asyncio.sleep(0.01)

    async def _stop(self) -> None:
        await self.app.close()
        self._server.should_exit = True
        await self._serving
        if isinstance(self.log, RedisLog):
            await self.log.close()
            await self.beats.close()
            await self.alerts.close()

    def close(self) -> None:
        self.run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60)
        self._loop.close()


def document(model_id: str, number: int, partition: int = 0, **more: object) -> bytes:
    """A prediction as ingest writes it."""
    return orjson.dumps(
        {
            "inference_id": f"ml.inference-{partition}-{number}",
            "model_id": model_id,
            "input_id": f"event-{number}",
            "predictions": [[0.25, 0.75]],
            "confidence": [0.75],
            "answered_by": [{"model": "anomaly", "version": "2", "route": "hybrid", "role": "primary"}],
            "rules_version": "5f1c9a0b77aa",
            "latency_ms": 4.125,
            "received_at": "2026-11-23T23:14:03.120Z",
            "degraded": False,
            "metadata": {"tenant": "blue-team", "n": number},
            **more,
        }
    )
