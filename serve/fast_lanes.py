"""The router's own ports, past Serve's proxy: HTTP on `MESH_HTTP_PORT`, gRPC on `MESH_GRPC_PORT`."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from mesh.security.tls import server_context
from mesh.settings import Settings
from serve.http.app import MeshApp
from serve.http.fast_lane import FastLane
from serve.oip.grpc_server import GrpcServer, server_credentials
from serve.oip.grpc_service import InferenceService
from serve.oip.ports import Limits

logger = logging.getLogger("ray.serve")


class FastLanes:
    """Both ports of one router replica, on its event loop; router replicas on one node share them."""

    def __init__(self, settings: Settings, app: MeshApp, service: InferenceService, limits: Limits) -> None:
        """A port that is None in `settings` stays closed.

        Raises `InvalidConfig` where TLS cannot be had: never in the clear instead.
        """
        self._settings = settings
        tls = settings.tls
        self._http = FastLane(app, tls=None if tls is None else server_context(tls))
        self._grpc = GrpcServer(
            service,
            message_bytes=limits.body_bytes,
            concurrent_calls=limits.requests,
            tls=None if tls is None else server_credentials(tls),
        )
        self._open: list[FastLane | GrpcServer] = []

    async def open(self) -> None:
        """Listen. A port that cannot be had is named in the log, and the rest serves without it."""
        await self._listen("MESH_HTTP_PORT", self._settings.http_port, self._http)
        await self._listen("MESH_GRPC_PORT", self._settings.grpc_port, self._grpc)

    async def close(self, timeout_s: float) -> None:
        """Stop accepting, let what is under way finish for at most `timeout_s`, close."""
        lanes, self._open = self._open, []
        await asyncio.gather(*(lane.drain(timeout_s) for lane in lanes))

    async def _listen(self, variable: str, port: int | None, lane: FastLane | GrpcServer) -> None:
        if port is None:
            return
        start: Callable[[str, int], Awaitable[int]] = lane.start
        try:
            await start(self._settings.mesh_host, port)
        except OSError as error:
            logger.warning(
                "%s=%d cannot be had (%s): serving without it; set %s to a free port, or empty for none",
                variable,
                port,
                error,
                variable,
            )
        else:
            self._open.append(lane)
