"""Listeners and links on real sockets of this machine, on both event loops that we run on."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import uvloop

from mesh.engine.direct.handler import Handler, Respond
from mesh.engine.direct.limits import LinkLimits, ListenerLimits
from mesh.engine.direct.link import Link
from mesh.engine.direct.listener import Address, Listener
from mesh.engine.replica import Replica
from mesh.routing.types import Scored, Signature
from mesh.wire import Reply, Request, Welcome
from mesh.wire.frames import PROTOCOL

SECRET = "s3cret"


def scored(request: Request) -> Reply:
    """Every value of the first tensor doubled; the load is the queue that the engine reported."""
    (array, *_) = request.tensors.values()
    return Reply(request.id, Scored({"y": array * 2}, None, "1"), request.queued_rows)


class Model:
    """A model that answers when the test says so, and counts what it was given."""

    def __init__(self) -> None:
        self.asked: list[tuple[Request, Respond]] = []
        self.at_once = False
        self.most_open = self._open = 0

    def handle(self, request: Request, respond: Respond) -> None:
        self.asked.append((request, respond))
        self._open += 1
        self.most_open = max(self.most_open, self._open)
        if self.at_once:
            self.answer(len(self.asked) - 1)

    def answer(self, index: int) -> None:
        request, respond = self.asked[index]
        self._open -= 1
        respond(scored(request))

    async def until_asked(self, count: int) -> None:
        async with asyncio.timeout(60):
            while len(self.asked) < count:  # noqa: ASYNC110  what is watched has no event
                await asyncio.sleep(0.001)


class Bench:
    """Opens listeners and links, and closes them at the end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.listeners: list[Listener] = []
        self.links: list[Link] = []

    async def listen(
        self,
        handle: Handler,
        limits: ListenerLimits | None = None,
        max_calls: int = 128,
        max_frame_bytes: int = 64 * 1024 * 1024,
    ) -> tuple[Listener, Address]:
        identity = Welcome(PROTOCOL, "m", "1", "r1", max_frame_bytes, max_calls)
        listener = Listener(identity, SECRET, handle, limits or ListenerLimits())
        self.listeners.append(listener)
        path = self.folder / f"{len(self.listeners)}.sock"
        return listener, await listener.start(str(path), "127.0.0.1")

    async def link(
        self, address: Address, *, limits: LinkLimits | None = None, tcp: bool = False, **options: object
    ) -> Link:
        link = await Link.open(
            replica(address), "elsewhere" if tcp else "here", limits=limits or LinkLimits(), **options
        )
        self.links.append(link)
        return link

    async def close(self) -> None:
        for link in self.links:
            await link.close()
        for listener in self.listeners:
            await listener.close()


def replica(address: Address, secret: str = SECRET, model: str = "m", replica_id: str = "r1") -> Replica:
    return Replica(
        replica_id,
        model,
        "1",
        "here",
        address.unix_path,
        address.host,
        address.port,
        secret,
        Signature((), ()),
    )


def tensors(value: float = 1.0, rows: int = 1) -> dict[str, np.ndarray]:
    return {"x": np.full((rows, 16), value, np.float32)}


async def until(what: Callable[[], object], *, seconds: float = 60.0) -> None:
    """Wait until a function of no arguments says so."""
    async with asyncio.timeout(seconds):
        while not what():  # noqa: ASYNC110  what is watched has no event
            await asyncio.sleep(0.002)


class Tools:
    """What tests of this folder share."""

    scored = staticmethod(scored)
    replica = staticmethod(replica)
    tensors = staticmethod(tensors)
    until = staticmethod(until)
    secret = SECRET


@pytest.fixture
def tools() -> type[Tools]:
    return Tools


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.SelectorEventLoop}


@pytest.fixture
def model() -> Model:
    return Model()


@pytest.fixture
def folder() -> Iterator[Path]:
    with TemporaryDirectory(prefix="mesh-") as name:  # shorter than tmp_path: a socket's path has 107 bytes
        yield Path(name)


@pytest.fixture
async def bench(folder: Path) -> AsyncIterator[Bench]:
    bench = Bench(folder)
    yield bench
    await bench.close()
