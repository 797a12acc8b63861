"""What the direct path costs: the codec alone, and an echo between two processes over a Unix socket.

`python -m benchmarks.wire`. The echo's model answers at once on the event loop, so all of its time is ours.
"""

import asyncio
import subprocess
import sys
import tempfile
import time
import timeit
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import psutil
import uvloop
from rich.console import Console
from rich.table import Table

from mesh.engine.direct.handler import Respond
from mesh.engine.direct.link import Link
from mesh.engine.direct.listener import Listener
from mesh.engine.replica import Replica
from mesh.routing.types import Scored, Signature, Tensors
from mesh.wire import FrameReader, Reply, Request, Welcome, decode, encode, pack
from mesh.wire.frames import PROTOCOL

ROWS = {"1x16": (1, 16), "256x16": (256, 16), "2000x16": (2000, 16), "5 MB": (1, 3, 640, 640)}


def main() -> None:
    """Both parts, as two tables."""
    console = Console()
    micro = Table("codec, microseconds a frame", *ROWS)
    for name, cost in (("encode", _encode_us), ("decode", _decode_us), ("cut from the stream", _read_us)):
        for make in (_request, _reply):
            cells = [f"{cost(make(shape)):.2f}" for shape in ROWS.values()]
            micro.add_row(f"{name}, {make.__name__[1:]}", *cells)
    console.print(micro)
    echo = Table(
        "echo, Unix socket, uvloop",
        "in flight",
        "calls/s",
        "p50 us",
        "p99 us",
        "CPU us a call: engine",
        "replica",
    )
    for name, in_flight, calls in (
        ("1x16", 1, 20_000),
        ("1x16", 64, 100_000),
        ("2000x16", 4, 20_000),
        ("5 MB", 1, 500),
    ):
        echo.add_row(name, *_echo(ROWS[name], in_flight, calls))
    console.print(echo)


def _request(shape: tuple[int, ...]) -> Request:
    return Request(7, {"features": np.ones(shape, np.float32)}, shape[0], 500, 3)


def _reply(shape: tuple[int, ...]) -> Reply:
    rows = shape[0]
    scores = np.ones((rows, 4) if len(shape) == 2 else shape, np.float32)
    return Reply(7, Scored({"scores": scores}, np.ones(rows, np.float32), "3"), 4)


def _best_us(work: Callable[[], object]) -> float:
    timer = timeit.Timer(work)
    count, seconds = timer.autorange()
    count = max(1, int(count * 0.1 / seconds))
    return min(timer.repeat(5, count)) / count * 1e6


def _encode_us(frame: Request | Reply) -> float:
    return _best_us(lambda: encode(frame))


def _decode_us(frame: Request | Reply) -> float:
    data = bytearray(pack(frame))
    return _best_us(lambda: decode(data))


def _read_us(frame: Request | Reply) -> float:
    """Receiving included, as one copy: the kernel's part is not ours to save."""
    data = memoryview(pack(frame))
    reader = FrameReader()

    def read() -> None:
        at = 0
        while at < len(data):
            room = reader.get_buffer()
            count = min(len(room), len(data) - at)
            room[:count] = data[at : at + count]
            reader.updated(count)
            at += count
            reader.next_frame()

    return _best_us(read)


def _echo(shape: tuple[int, ...], in_flight: int, calls: int) -> Sequence[str]:
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "echo.sock")
        replica = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.wire", "replica", path], stdout=subprocess.PIPE
        )
        try:
            assert replica.stdout is not None
            replica.stdout.readline()
            return uvloop.run(_drive(path, replica.pid, shape, in_flight, calls))
        finally:
            replica.terminate()
            replica.wait(10)


async def _drive(path: str, pid: int, shape: tuple[int, ...], in_flight: int, calls: int) -> Sequence[str]:
    link = await Link.open(
        Replica("r", "echo", "1", "here", path, "", 0, "secret", Signature((), ())), "here"
    )
    tensors = {"features": np.ones(shape, np.float32)}
    took: list[float] = []
    await _calls(link, tensors, in_flight, calls // 10, [])
    replica, engine = psutil.Process(pid), psutil.Process()
    before = (sum(engine.cpu_times()[:2]), sum(replica.cpu_times()[:2]), time.perf_counter())
    await _calls(link, tensors, in_flight, calls, took)
    after = (sum(engine.cpu_times()[:2]), sum(replica.cpu_times()[:2]), time.perf_counter())
    await link.close()
    engine_us, replica_us, wall_us = ((b - a) / calls * 1e6 for a, b in zip(before, after, strict=True))
    p50, p99 = np.percentile(took, [50, 99]) * 1e6
    return (
        str(in_flight),
        f"{1e6 / wall_us:,.0f}",
        f"{p50:.0f}",
        f"{p99:.0f}",
        f"{engine_us:.1f}",
        f"{replica_us:.1f}",
    )


async def _calls(link: Link, tensors: Tensors, in_flight: int, calls: int, took: list[float]) -> None:
    """Keep `in_flight` calls out, as the engine does: by callbacks, without a task for each."""
    rows = len(next(iter(tensors.values())))
    done = asyncio.get_running_loop().create_future()
    started = finished = 0

    def send() -> None:
        nonlocal started
        started += 1
        begun = time.perf_counter()
        link.call(tensors, rows).add_done_callback(lambda future: returned(future, begun))

    def returned(future: asyncio.Future[Scored], begun: float) -> None:
        nonlocal finished
        took.append(time.perf_counter() - begun)
        finished += 1
        if error := future.exception():
            done.set_exception(error)
        elif started < calls:
            send()
        elif finished == calls:
            done.set_result(None)

    for _ in range(min(in_flight, calls)):
        send()
    await done


async def _replica(path: str) -> None:
    scores = np.ones((2000, 4), np.float32)

    def echo(request: Request, respond: Respond) -> None:
        array = request.tensors["features"]
        answer = array if array.ndim > 2 else scores[: request.rows]
        respond(Reply(request.id, Scored({"scores": answer}, None, "1"), 0))

    listener = Listener(Welcome(PROTOCOL, "echo", "1", "r"), "secret", echo)
    await listener.start(path, "127.0.0.1")
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    if sys.argv[1:2] == ["replica"]:
        uvloop.run(_replica(sys.argv[2]))
    else:
        main()
