"""The ingress: HTTP and gRPC in through Serve and through ports of its own, answers out of one engine."""

import asyncio
import gc
import importlib.metadata
import os
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

from fastapi import APIRouter
from ray import serve

from mesh.cluster.autoscaling import ONGOING
from mesh.cluster.connect import connect_engine
from mesh.cluster.live_rules import LiveRules
from mesh.cluster.logs import log_with_serve
from mesh.cluster.metering import EngineGauges, Metering
from mesh.cluster.review_watch import ReviewWatch, open_offering
from mesh.cluster.rollout_watch import rollout_watch
from mesh.cluster.scoreboard import Reporter
from mesh.cluster.serve_host import serve_host
from mesh.security.exposure import is_loopback
from mesh.security.own_ports import check_serve_port
from mesh.settings import Settings
from mesh.spec import MeshConfig, load_review
from mesh.telemetry import names
from mesh.telemetry.recorder import Recorder
from mesh.tracing.opened import open_tracer
from serve.access.guard import App, Through
from serve.access.opening import LateTokens, gate_of
from serve.fast_lanes import FastLanes
from serve.ground import Ground
from serve.grpc_stubs import make_messages_picklable
from serve.http.app import MeshApp
from serve.memory import keep_freed_memory
from serve.metering import RequestMetering
from serve.oip.grpc_service import InferenceService
from serve.oip.inference import Inference
from serve.oip.ports import EndpointFacts, Limits, ServerFacts
from serve.opening import OpeningBeside, opened_or_closed, runs_already
from serve.review_rows import request_sampling

DRAIN_S: Final = 5.0
GC_THRESHOLD: Final = 50_000
"""Allocations between two collections: the default of 700 costs a busy router one twentieth of its time."""

PACKAGE: Final = "hyperstream-mesh"
LIMITS: Final = Limits()

OpenRooms = Callable[[Ground, AsyncExitStack], Awaitable[tuple[list[APIRouter], Callable[[App], App]]]]


class Router(InferenceService):
    """The Serve deployment `router`: its gRPC methods are the service's, Serve asks it for its ASGI app."""

    async def __init__(self, config_dir: str, models: dict[str, Any]) -> None:  # type: ignore[misc]  # Serve awaits it
        """Connect an engine and open the fast lanes.

        `models` are handles that nothing here reads: by them Serve deploys the models, and stops them later.
        """
        del models
        log_with_serve()
        self._parts = AsyncExitStack()  # what is there so far; a router that fails here has less to close
        self._opening = OpeningBeside()
        keep_freed_memory()
        make_messages_picklable()
        settings = Settings.from_environ(os.environ)
        self._serve_local = await serve_is_local(settings)
        context = serve.get_replica_context()
        again = asyncio.create_task(runs_already(context.app_name))
        folder = Path(config_dir)
        live = LiveRules(folder, settings, context.replica_tag)
        await live.begin()
        recorder = Recorder()
        review = await asyncio.to_thread(load_review, folder)
        offering = open_offering(settings, review, recorder, self._parts)
        observer = ReviewWatch(rollout_watch(Metering(recorder, live.tally), settings, self._parts), offering)
        engine = await connect_engine(live.config, settings, context.app_name, observer, live.apps)
        gauges = EngineGauges(recorder, engine)

        def read_gauges() -> None:
            gauges.read()
            recorder.set(names.RULES_VERSION, live.revision.version)

        reporter = Reporter("router", context.replica_tag, recorder, settings, read_gauges)
        reporter.start()
        self._parts.push_async_callback(reporter.stop)
        self._parts.push_async_callback(engine.close)
        tracer = open_tracer(settings, "router", recorder, self._parts)
        tokens = LateTokens()
        gate = gate_of(tokens.find, settings)
        metering = RequestMetering(recorder)
        tap = request_sampling(review, engine, offering)
        inference = Inference(engine, server_facts(live.config), LIMITS, metering, gate, tracer, tap)
        live.follow(engine, lambda config, _revision: inference.know(server_facts(config)))
        self._parts.push_async_callback(live.stop)
        super().__init__(inference)
        self._app = MeshApp(inference)
        beside = await self._parts.enter_async_context(AsyncExitStack())  # closed after the lanes
        lanes = FastLanes(settings, self._app, self, LIMITS)
        await lanes.open()
        self._parts.push_async_callback(lanes.close, DRAIN_S)
        # From here on inference is answered; what people read and change is imported and opened beside it.
        ground = Ground(folder, settings, live, context.replica_tag, recorder, engine, gate, tokens)
        opening = self._open_rooms(ground, beside)
        if await again:  # Serve's port waits for this router to answer rows: it need not wait for the rest
            self._opening.begin(opening)
        else:
            await opened_or_closed(opening, self._parts)

    async def _open_rooms(self, ground: Ground, beside: AsyncExitStack) -> None:
        open_rooms = await asyncio.to_thread(_rooms)
        self._app.open(*await open_rooms(ground, beside))
        gc.collect()
        gc.freeze()
        gc.set_threshold(GC_THRESHOLD, 20, 20)

    async def check_health(self) -> None:
        """Raises where the API could not be opened; Serve then replaces the router, which answers rows until then."""
        self._opening.check()

    def __serve_build_asgi_app__(self) -> Through:
        """The app behind Serve's own port, whose clients are all this machine's proxy: its address says who may reach it."""
        return Through(self._app, listener_local=self._serve_local)

    async def record_autoscaling_stats(self) -> dict[str, float]:
        """Requests under way on any port, for whoever sets an autoscaling policy for the router."""
        return {ONGOING: float(self._inference.under_way)}

    async def __del__(self) -> None:
        """Drain: close the lanes' ports, finish what is under way, then the engine."""
        await self._opening.end()
        await self._parts.aclose()


def _rooms() -> OpenRooms:
    from serve.rooms import open_rooms  # noqa: PLC0415 - half of all that a router imports

    return open_rooms


async def serve_is_local(settings: Settings) -> bool:
    """Whether only this machine reaches Serve's port. Raises `InvalidConfig` where strangers do and nobody asks who they are."""
    host = await asyncio.to_thread(serve_host)
    check_serve_port(settings, host)
    return is_loopback(host)


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
