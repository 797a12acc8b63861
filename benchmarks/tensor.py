"""`large-tensor`: one 1x3x640x640 FP32 image (4.9 MB) through identity, against a bare `grpc.aio` echo of the same bytes."""

import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import grpc
import numpy as np
import psutil
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http
from rich.console import Console

from benchmarks.programs import ROOT, CannotRun, clean_environment, mesh, running
from benchmarks.results import Row, at_most, at_most_ratio

CONFIG = ROOT / "benchmarks" / "config"
IMAGE = np.random.default_rng(7).random((1, 3, 640, 640), dtype=np.float32)
ECHO_PORT = 21604
LIMIT = 64 * 1024 * 1024
OPTIONS = [("grpc.max_receive_message_length", LIMIT), ("grpc.max_send_message_length", LIMIT)]


def _time(call: Callable[[], object], repeats: int) -> float:
    """Median milliseconds of one call, after a short warm-up."""
    for _ in range(5):
        call()
    taken = []
    for _ in range(repeats):
        began = time.perf_counter()
        call()
        taken.append(1000 * (time.perf_counter() - began))
    return statistics.median(taken)


def _http() -> Callable[[], object]:
    client = triton_http.InferenceServerClient("127.0.0.1:8080", network_timeout=30, connection_timeout=30)
    tensor = triton_http.InferInput("image", IMAGE.shape, "FP32")
    tensor.set_data_from_numpy(IMAGE)
    return lambda: client.infer("identity", [tensor]).as_numpy("image")


def _grpc() -> Callable[[], object]:
    client = triton_grpc.InferenceServerClient("127.0.0.1:9001")
    tensor = triton_grpc.InferInput("image", IMAGE.shape, "FP32")
    tensor.set_data_from_numpy(IMAGE)
    return lambda: client.infer("identity", [tensor]).as_numpy("image")


def _echo() -> Callable[[], object]:
    channel = grpc.insecure_channel(f"127.0.0.1:{ECHO_PORT}", options=OPTIONS)
    call = channel.unary_unary("/bench/Echo")
    payload = IMAGE.tobytes()
    return lambda: np.frombuffer(call(payload), np.float32)


def measure(rounds: int, console: Console) -> list[Row]:
    """Two rows of time and one of memory."""
    http: list[float] = []
    unary: list[float] = []
    echo: list[float] = []
    growth: list[float] = []
    note = ""
    try:
        with (
            mesh("mesh-tensor", CONFIG, "--no-stream") as process,
            running([sys.executable, "-m", "benchmarks.tensor", "echo"], "echo", clean_environment()),
        ):
            time.sleep(1)
            for round_ in range(rounds):
                echo.append(_time(_echo(), 60))
                http.append(_time(_http(), 60))
                unary.append(_time(_grpc(), 60))
                console.print(
                    f"large-tensor round {round_ + 1}: echo {echo[-1]:.1f}, http {http[-1]:.1f}, grpc {unary[-1]:.1f} ms"
                )
            call = _http()
            before = _memory(process)
            for _ in range(1000):
                call()
            growth.append(_memory(process) - before)
    except (CannotRun, OSError, subprocess.SubprocessError) as reason:
        note = str(reason)
    return [
        at_most_ratio("large-tensor-http", "ms", http, "grpc.aio echo", echo, 1.5, note),
        at_most_ratio("large-tensor-grpc", "ms", unary, "grpc.aio echo", echo, 2.5, note),
        at_most("large-tensor-memory", "MB growth over 1,000", growth, 100, note),
    ]


def _memory(process: subprocess.Popen[bytes]) -> float:
    """Unshared memory of the process tree, MB."""
    tree = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    return sum(p.memory_full_info().uss for p in tree if p.is_running()) / 1e6


async def serve_echo() -> None:
    """A bare gRPC server that returns the bytes it was sent."""

    async def echo(request: bytes, _context: grpc.aio.ServicerContext) -> bytes:
        return request

    server = grpc.aio.server(options=OPTIONS)
    handlers = {"Echo": grpc.unary_unary_rpc_method_handler(echo)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bench", handlers),))
    server.add_insecure_port(f"127.0.0.1:{ECHO_PORT}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(serve_echo())
