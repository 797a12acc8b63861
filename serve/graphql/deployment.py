"""The application `graphql`: its replicas read Redis and serve GraphQL, and nothing else. The one place that binds them."""

import asyncio
import os
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from ray import serve

from mesh.cluster.logs import log_with_serve
from mesh.cluster.project import find_config
from mesh.records.opened import records_of
from mesh.settings import Settings
from mesh.spec import load_alerts
from mesh.stores.alerts import RedisAlerts
from mesh.stores.predictions import RedisBeats, RedisLog
from serve.access.opening import gate_of
from serve.access.readers import Readers
from serve.graphql.alert_feed import AlertFeed
from serve.graphql.app import GraphqlApp
from serve.graphql.feed import PredictionFeed
from serve.graphql.limits import Limits
from serve.graphql.schema import Reading
from serve.graphql.status import StreamStatus

_OPTIONS: Final = {
    "name": "graphql",
    "ray_actor_options": {"num_cpus": 0.1},
    "graceful_shutdown_wait_loop_s": 0.2,
    "graceful_shutdown_timeout_s": 10.0,
    "health_check_period_s": 1.0,
    "health_check_timeout_s": 30.0,
}
_BESIDE: Final = 200
"""Requests over HTTP that may be under way beside all connections."""


def build(args: dict[str, object]) -> serve.Application:
    """The application for the configuration that `args` (key `config`) or `MESH_CONFIG` names.

    Raises `InvalidConfig`, which Serve shows as the application's status.
    """
    folder = find_config(args, os.environ)
    limits = Limits.from_environ(os.environ)  # what is wrong with it is said here, not by replicas
    deployment = serve.deployment(serve.ingress()(Graphql)).options(
        max_ongoing_requests=limits.connections + _BESIDE, **_OPTIONS
    )
    return deployment.bind(str(folder))


class Graphql:
    """One replica: a feed of predictions, one of alerts, and the app over both. Redis may be away when it starts."""

    async def __init__(self, config_dir: str) -> None:  # type: ignore[misc]  # Serve awaits it
        """Read the configuration; nothing connects before somebody asks."""
        log_with_serve()
        self._parts = AsyncExitStack()
        settings, limits = Settings.from_environ(os.environ), Limits.from_environ(os.environ)
        policy = await asyncio.to_thread(load_alerts, Path(config_dir))
        log = RedisLog(settings.redis_url, settings.redis_channel)
        self._parts.push_async_callback(log.close)
        alerts = RedisAlerts(settings.redis_url, policy)
        self._parts.push_async_callback(alerts.close)
        beats = RedisBeats(settings.redis_url, settings.redis_channel)
        self._parts.push_async_callback(beats.close)
        reading = Reading(
            PredictionFeed(log, log, limits.waiting),
            AlertFeed(alerts, alerts, limits.waiting),
            StreamStatus(beats),
        )
        records = records_of(settings, Path(config_dir).parent)
        self._parts.push_async_callback(records.close)
        self._app = GraphqlApp(reading, limits, Readers(gate_of(records.token, settings)))
        self._parts.push_async_callback(self._app.close)

    def __serve_build_asgi_app__(self) -> GraphqlApp:
        """The app behind Serve's port."""
        return self._app

    async def __del__(self) -> None:
        """Tell the clients, then let go of Redis."""
        await self._parts.aclose()
