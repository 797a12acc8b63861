"""The ingress: HTTP and gRPC in through Serve and through ports of its own, answers out of one engine."""

import asyncio
import gc
import importlib.metadata
import os
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

from fastapi import APIRouter
from ray import serve

from mesh.cluster.autoscaling import ONGOING
from mesh.cluster.connect import connect_engine
from mesh.cluster.logs import log_with_serve
from mesh.cluster.metering import EngineGauges, Metering
from mesh.cluster.scoreboard import Reporter, read_summary
from mesh.settings import Settings
from mesh.spec import MeshConfig, load_alerts, load_features, load_mesh
from mesh.stores.alerts import RedisAlerts
from mesh.stores.redis_online import RedisOnlineStore
from mesh.telemetry.recorder import Recorder
from mesh.tracing.opened import open_tracer
from serve.api.alerts import alerts_router
from serve.api.features import features_router
from serve.fast_lanes import FastLanes
from serve.grpc_stubs import make_messages_picklable
from serve.http.app import MeshApp
from serve.memory import keep_freed_memory
from serve.metering import RequestMetering
from serve.oip.grpc_service import InferenceService
from serve.oip.inference import Inference
from serve.oip.ports import EndpointFacts, Limits, ServerFacts
from serve.status import PATH, Status

DRAIN_S: Final = 5.0
GC_THRESHOLD: Final = 50_000
"""Allocations between two collections: the default of 700 costs a busy router one twentieth of its time."""

PACKAGE: Final = "hyperstream-mesh"
LIMITS: Final = Limits()


class RouterApp(MeshApp):
    """The mesh's app, and `GET /mesh/status` beside it."""

    def __init__(self, inference: Inference, status: Status, routers: Sequence[APIRouter]) -> None:
        """`status` answers at its own path, everything else goes to `inference` or one of `routers`."""
        super().__init__(inference, routers)
        self._status = status

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] == "http" and scope["path"] == PATH and scope["method"] == "GET":
            await self._status.answer(send)
        else:
            await super().__call__(scope, receive, send)


class Router(InferenceService):
    """The Serve deployment `router`: its gRPC methods are the service's, Serve asks it for its ASGI app."""

    async def __init__(self, config_dir: str, models: dict[str, Any]) -> None:  # type: ignore[misc]  # Serve awaits it
        """Connect an engine and open the fast lanes.

        `models` are handles that nothing here reads: by them Serve deploys the models, and stops them later.
        """
        del models
        log_with_serve()
        self._parts = AsyncExitStack()  # what is there so far; a router that fails here has less to close
        keep_freed_memory()
        make_messages_picklable()
        settings = Settings.from_environ(os.environ)
        config = await asyncio.to_thread(load_mesh, Path(config_dir), settings)
        context = serve.get_replica_context()
        recorder = Recorder()
        engine = await connect_engine(config, settings, context.app_name, Metering(recorder))
        gauges = EngineGauges(recorder, engine)
        reporter = Reporter("router", context.replica_tag, recorder, settings, gauges.read)
        reporter.start()
        self._parts.push_async_callback(reporter.stop)
        self._parts.push_async_callback(engine.close)
        tracer = open_tracer(settings, "router", recorder)
        if tracer is not None:
            self._parts.push_async_callback(tracer.close)
        inference = Inference(engine, server_facts(config), LIMITS, RequestMetering(recorder), tracer)
        super().__init__(inference)
        status = Status(config, settings, engine, lambda: read_summary(settings))
        alerts = RedisAlerts(settings.redis_url, await asyncio.to_thread(load_alerts, Path(config_dir)))
        self._parts.push_async_callback(alerts.close)
        features = RedisOnlineStore(settings.redis_url)
        self._parts.push_async_callback(features.close)
        views = (await asyncio.to_thread(load_features, Path(config_dir))).views
        self._app = RouterApp(inference, status, [alerts_router(alerts), features_router(views, features)])
        lanes = FastLanes(settings, self._app, self, LIMITS)
        await lanes.open()
        self._parts.push_async_callback(lanes.close, DRAIN_S)
        gc.collect()
        gc.freeze()
        gc.set_threshold(GC_THRESHOLD, 20, 20)

    def __serve_build_asgi_app__(self) -> RouterApp:
        """The app behind Serve's own port."""
        return self._app

    async def record_autoscaling_stats(self) -> dict[str, float]:
        """Requests under way on any port, for whoever sets an autoscaling policy for the router."""
        return {ONGOING: float(self._inference.under_way)}

    async def __del__(self) -> None:
        """Drain: close the lanes' ports, finish what is under way, then the engine."""
        await self._parts.aclose()


def server_facts(config: MeshConfig) -> ServerFacts:
    """What the edges say of the endpoints: models with their versions, tables with none of their own."""
    models = {
        name: EndpointFacts(spec.version, f"hyperstream_{spec.runtime}", spec.confidence is not None)
        for name, spec in config.models.items()
    }
    tables = {
        name: EndpointFacts(has_confidence=any(config.facts[model].has_confidence for model in table.models))
        for name, table in config.tables.items()
    }
    return ServerFacts(PACKAGE, package_version(), {**models, **tables})


def package_version() -> str:
    """The installed version; `0` in a checkout that was never installed."""
    try:
        return importlib.metadata.version(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        return "0"
