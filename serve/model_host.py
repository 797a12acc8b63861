"""One replica of one model: loads it, scores what comes, and says where it can be reached."""

import asyncio
import gc
import os
import secrets
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import ray
from ray import serve

from mesh.cluster.autoscaling import ONGOING, QUEUED
from mesh.cluster.directory import LeaseKeeper
from mesh.cluster.logs import log_with_serve
from mesh.cluster.scoreboard import Reporter
from mesh.cluster.sockets import advertised_host, listen_host, socket_path
from mesh.engine.direct.listener import Listener
from mesh.engine.replica import Replica
from mesh.registry.configured import on_this_machine
from mesh.runtimes import open_runtime
from mesh.runtimes.base import Artifact
from mesh.runtimes.scorer import Scorer
from mesh.settings import Settings
from mesh.spec import ModelSpec
from mesh.telemetry import names
from mesh.telemetry.recorder import Recorder
from mesh.wire import pack, unpack
from mesh.wire.errors import WireError
from mesh.wire.frames import CONNECTION, INTERNAL, PROTOCOL, Failure, Reply, Request, Welcome
from serve.desk import Desk, Respond
from serve.load import DirectLoad
from serve.memory import keep_freed_memory
from serve.pace import Pace

DRAIN_S: Final = 5.0
HUNG_S: Final = 120.0
"""A call that takes longer than this, and than its `timeout_s`, means that the model hangs: the replica asks to be replaced."""
_WARM_ROWS: Final = 64


class ModelHost:
    """The Serve deployment of one model: a `Listener` for the direct path, `infer` for the handle path."""

    async def __init__(self, spec: ModelSpec, config_dir: str) -> None:  # type: ignore[misc]  # Serve awaits it
        """Load the model that `spec` declares, warm it up, listen, and take a lease in the directory.

        A path that names a registry is looked up in that of `config_dir`.

        Raises `ArtifactError`, which Serve shows as the deployment's status; other models are not touched.
        """
        log_with_serve()
        self._parts = AsyncExitStack()  # what is there so far; a replica that fails here has less to close
        keep_freed_memory()
        self._settings = Settings.from_environ(os.environ)
        self._artifact, self._scorer = await asyncio.to_thread(_open, spec, config_dir)
        self._parts.callback(self._scorer.close)
        self._hung_s = hung_after(spec)
        self._replica_id = serve.get_replica_context().replica_tag
        model = spec.name
        self._desk = Desk(model, self._scorer, Pace(self._scorer.seconds_per_call))
        self._parts.callback(self._desk.close)
        self._load = DirectLoad(time.monotonic())
        self._secret = secrets.token_hex(16)
        self._welcome = Welcome(PROTOCOL, model, self._artifact.version, self._replica_id)
        recorder = Recorder()
        labels = (model, self._artifact.version)
        recorder.set(names.MODEL_REPLICAS, 1, labels)
        counted = 0.0

        def count_compute() -> None:
            nonlocal counted
            spent = self._desk.compute_s
            recorder.count(names.MODEL_COMPUTE_SECONDS, spent - counted, labels)
            counted = spent

        reporter = Reporter(model, self._replica_id, recorder, self._settings, count_compute)
        reporter.start()
        self._parts.push_async_callback(reporter.stop)
        self._listener = Listener(self._welcome, self._secret, self._answer_direct)
        self._keeper = LeaseKeeper(await self._listen(), lambda: self._desk.rows_waiting)
        self._keeper.start()
        self._parts.push_async_callback(self._leave)
        gc.collect()
        gc.freeze()

    async def infer(self, payload: bytes) -> bytes:
        """One packed `Request` in, one packed `Reply` or `Failure` out; never raises for what is in it."""
        try:
            request = unpack(payload)
        except WireError as error:
            return pack(Failure(CONNECTION, INTERNAL, f"not a packed request: {error}"))
        if not isinstance(request, Request):
            return pack(Failure(CONNECTION, INTERNAL, f"expected a Request, got {type(request).__name__}"))
        return pack(await self._desk.answer(request))

    async def record_autoscaling_stats(self) -> dict[str, float]:
        """The load that Serve cannot see; see `mesh.cluster.autoscaling`."""
        ongoing, queued = self._load.read(time.monotonic())
        return {ONGOING: ongoing, QUEUED: queued}

    async def check_health(self) -> None:
        """Raises if the model hangs or the replica can no longer keep its lease."""
        if self._desk.busy_s > self._hung_s:
            raise RuntimeError(f"'{self._artifact.name}' has not come back for {self._desk.busy_s:.0f} s")
        if not self._keeper.running:
            raise RuntimeError("the lease is no longer renewed")

    async def __del__(self) -> None:
        """Drain: no new calls, the lease given back, what is in flight answered."""
        await self._parts.aclose()

    async def _leave(self) -> None:
        await asyncio.gather(self._keeper.stop(), self._listener.drain(DRAIN_S))

    def _answer_direct(self, request: Request, respond: Respond) -> None:
        def answered(answer: Reply | Failure) -> None:
            self._load.ended(request.rows, time.monotonic())
            respond(answer)

        self._load.began(request.rows, request.queued_rows, time.monotonic())
        self._desk.take(request, answered)

    async def _listen(self) -> Replica:
        host = listen_host(self._settings.mesh_host)
        unix_path, bound, port = await self._listener.start(str(socket_path()), host)
        return Replica(
            replica_id=self._replica_id,
            model=self._artifact.name,
            version=self._artifact.version,
            node=ray.get_runtime_context().get_node_id(),
            unix_path=unix_path,
            host=advertised_host(bound),
            port=port,
            secret=self._secret,
            signature=self._scorer.signature,
        )


def hung_after(spec: ModelSpec) -> float:
    """The seconds after which a call of this model hangs."""
    return max(HUNG_S, spec.timeout_s)


def _open(spec: ModelSpec, config_dir: str) -> tuple[Artifact, Scorer]:
    artifact = on_this_machine(spec.artifact(), Path(config_dir))
    scorer = Scorer(open_runtime(artifact), artifact)
    scorer.warm_up((1, min(_WARM_ROWS, spec.max_batch_rows)))
    return artifact, scorer
