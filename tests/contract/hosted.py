"""Models behind the two real data paths, without Ray: a `Listener` for the direct one, packed frames for the handle."""

import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mesh.engine.direct.handler import Respond
from mesh.engine.direct.listener import Listener
from mesh.engine.replica import Replica
from mesh.errors import Unavailable
from mesh.routing.types import Scored, Signature, Tensors, TensorSpec
from mesh.wire import Failure, Reply, Request, Welcome, pack, unpack
from mesh.wire.frames import PROTOCOL
from serve.desk import Desk
from serve.pace import Pace

SIGNATURE = Signature((TensorSpec("x", "FP32", (-1, 2)),), (TensorSpec("y", "FP32", (-1, 2)),))
NODE = "node-1"


@dataclass
class FunctionModel:
    """Scores with a function of the input, once `gate` is open; counts the rows and calls that it saw."""

    function: Callable[[np.ndarray], np.ndarray] = lambda x: x + 1
    confidence: Callable[[np.ndarray], np.ndarray] | None = lambda x: x[:, 0]
    seconds: float = 0.0
    fails: bool = False
    calls: list[int] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    def score(self, tensors: Tensors, deadline: float | None = None) -> Scored:
        x = tensors["x"]
        self.calls.append(len(x))
        if self.seconds:
            time.sleep(self.seconds)
        self.gate.wait(60)
        if self.fails:
            return Scored({}, None, "1", dict.fromkeys(range(len(x)), "RuntimeError: told to fail"))
        confidence = None if self.confidence is None else self.confidence(x).astype(np.float32)
        return Scored({"y": self.function(x).astype(np.float32)}, confidence, "1")


class HostedReplica:
    """One replica: its desk, its listener and its lease."""

    def __init__(self, name: str, model: FunctionModel, number: int) -> None:
        self.name, self.model, self.number = name, model, number
        self.desk = Desk(name, model, Pace(0.01))
        self.replica_id = f"{name}#{number}"
        welcome = Welcome(PROTOCOL, name, "1", self.replica_id)
        self.listener = Listener(welcome, "secret", self._take)
        self.lease: Replica | None = None
        self.taken = 0

    def _take(self, request: Request, respond: Respond) -> None:
        self.taken += 1
        self.desk.take(request, respond)

    async def start(self, node: str = NODE) -> Replica:
        folder = Path(tempfile.mkdtemp(prefix="mesh-"))
        unix_path, host, port = await self.listener.start(str(folder / "s"), "127.0.0.1")
        self.lease = Replica(
            self.replica_id, self.name, "1", node, unix_path, host, port, "secret", SIGNATURE
        )
        return self.lease

    async def stop(self) -> None:
        await self.listener.close()
        self.desk.close()


class DeskHandle:
    """The handle path to a set of replicas: any of them, by packed frames."""

    def __init__(self, replicas: list[HostedReplica]) -> None:
        self.replicas = replicas
        self.calls = 0

    async def __call__(self, payload: bytes) -> bytes:
        self.calls += 1
        if not self.replicas:
            raise Unavailable("m", "no replica", 0.5)
        request = unpack(payload)
        assert isinstance(request, Request)
        answer: Reply | Failure = await self.replicas[self.calls % len(self.replicas)].desk.answer(request)
        return pack(answer)
