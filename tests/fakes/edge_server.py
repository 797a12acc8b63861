"""The HTTP and gRPC edges over an `EchoEngine`, on a thread and event loop of their own: for clients that block."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

import uvloop
from fastapi import APIRouter

from mesh.security.tls import TlsFiles, server_context
from serve.http.app import App, MeshApp
from serve.http.fast_lane import FastLane
from serve.http.lane import ConnectionLimits
from serve.oip.grpc_server import GrpcServer, server_credentials
from serve.oip.grpc_service import InferenceService
from serve.oip.inference import Inference
from serve.oip.ports import Admission, EndpointFacts, Limits, ServerFacts
from tests.fakes.echo_engine import EchoEngine

_T = TypeVar("_T")


class EdgeServer:
    """Starts on construction, on ports that the system chooses; `close` drains and joins the thread."""

    def __init__(
        self,
        engine: EchoEngine,
        limits: Limits | None = None,
        connections: ConnectionLimits | None = None,
        routers: Sequence[APIRouter] = (),
        guarded: Callable[[App], App] = lambda app: app,
        admission: Admission | None = None,
        tls: TlsFiles | None = None,
    ) -> None:
        self.engine, self._tls = engine, tls
        self.inference = Inference(
            engine,
            ServerFacts(
                "edge-under-test",
                "0.0",
                {name: EndpointFacts(has_confidence=True) for name in engine.endpoints},
            ),
            limits,
            admission=admission,
        )
        context = None if tls is None else server_context(tls)
        self.lane = FastLane(MeshApp(self.inference).open(routers, guarded), connections, context)
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.http_port, self.grpc_port = self.run(self._start())
        self.http, self.grpc = f"127.0.0.1:{self.http_port}", f"127.0.0.1:{self.grpc_port}"

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Run on the server's loop and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    async def _start(self) -> tuple[int, int]:
        limits = self.inference.limits
        self._grpc_server = GrpcServer(
            InferenceService(self.inference),
            message_bytes=limits.body_bytes,
            concurrent_calls=limits.requests,
            tls=None if self._tls is None else server_credentials(self._tls),
        )
        return await self.lane.start("127.0.0.1", 0), await self._grpc_server.start("127.0.0.1", 0)

    def close(self, timeout_s: float = 2.0) -> None:
        self.run(self.lane.drain(timeout_s))
        self.run(self._grpc_server.drain(timeout_s))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60)
        self._loop.close()
