"""`GET /mesh/status`: who serves what, and how much of it."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

import orjson
from fastapi import APIRouter, Response

from mesh.engine.engine import Engine
from mesh.errors import StoreAway
from mesh.rules.values import Revision
from mesh.settings import Settings
from mesh.spec import MeshConfig
from mesh.telemetry.summary import Summary

PATH: Final = "/mesh/status"

_KEPT_S = 1.0

Json = dict[str, object]


def status_router(status: "Status") -> APIRouter:
    """The route that shows it."""
    router = APIRouter(tags=["mesh"])

    @router.get(PATH, summary="Who serves what, and how much of it", responses={200: {"model": Json}})
    async def mesh_status() -> Response:
        """Models with their replicas, endpoints, rules, and figures of all processes."""
        body = orjson.dumps(await status.collect(), option=orjson.OPT_NON_STR_KEYS)
        return Response(body, media_type="application/json")

    return router


class Rules(Protocol):
    """What this process answers by now."""

    @property
    def config(self) -> MeshConfig:
        """Models and tables."""
        ...

    @property
    def revision(self) -> Revision:
        """The revision that they are of."""
        ...


class Status:
    """The mesh as this router sees it, and the figures of all processes from the scoreboard."""

    def __init__(
        self,
        rules: Rules,
        settings: Settings,
        engine: Engine,
        read_summary: Callable[[], Awaitable[Summary]],
    ) -> None:
        """`read_summary` is asked at most once a second."""
        self._rules = rules
        self._settings = settings
        self._engine = engine
        self._read_summary = read_summary
        self._kept: tuple[float, object] = (-_KEPT_S, None)
        self._reading = asyncio.Lock()

    async def collect(self) -> Json:
        """Models with their replicas, endpoints, rules, and `figures` (null while the scoreboard is away)."""
        return {
            "models": {name: self._model(name) for name in self._rules.config.models},
            "endpoints": {name: self._endpoint(name) for name in self._engine.endpoints},
            "default_endpoint": self._rules.config.default_endpoint,
            "rules": self._rules.config.rules_hash,
            "rules_version": self._rules.revision.version,
            "data_path": self._settings.data_path,
            "rows_waiting": self._engine.rows_waiting,
            "figures": await self._figures(),
        }

    def _model(self, name: str) -> Json:
        spec, replicas = self._rules.config.models[name], self._engine.replicas_of(name)
        return {
            "version": spec.version,
            "runtime": spec.runtime,
            "replicas": len(replicas),
            "nodes": sorted({replica.node for replica in replicas}),
        }

    def _endpoint(self, name: str) -> Json:
        return {"ready": self._engine.ready(name), "models": sorted(self._engine.models_of(name))}

    async def _figures(self) -> object:
        async with self._reading:
            read_at, figures = self._kept
            if time.monotonic() - read_at >= _KEPT_S:
                try:
                    figures = await self._read_summary()
                except StoreAway:
                    figures = None
                self._kept = (time.monotonic(), figures)
            return figures
