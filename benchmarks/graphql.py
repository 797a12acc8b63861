"""`graphql-*`: 500 subscribers over 50 endpoints at 200 predictions a second, from XADD to the client, and what it costs.

The app runs in a process of its own on one event loop, Redis and the clients (one process) beside it. Times are from just
before a prediction is written to Redis to when its JSON is at the client. Every subscriber must get every prediction of its
endpoint, in order.
"""

import asyncio
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import orjson
import psutil
import redis
import redis.asyncio as aioredis
import websockets
from rich.console import Console

from benchmarks.results import Row, at_most, skipped
from mesh.settings import Settings

SUBSCRIBERS: Final = 500
MODELS: Final = 50
RATE: Final = 200
SECONDS: Final = 20
APP, REDIS = 21451, 21452
_URL: Final = f"redis://127.0.0.1:{REDIS}/0"
_QUERY: Final = """subscription ($m: String!) {
  mlInferenceStream(modelId: $m) { inferenceId latencyMs receivedAt predictions metadata }
}"""
_STEP_S: Final = 0.02


@dataclass(slots=True)
class Taken:
    """What one subscriber got: numbers and seconds."""

    numbers: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Measured:
    """One run: seconds of every delivery, those that are missing or out of order, processor time of the app per second."""

    seconds: np.ndarray
    wrong: int
    cpu: float


@contextmanager
def _servers() -> Iterator[int]:
    """Redis and the app; the app's process id."""
    with tempfile.TemporaryDirectory() as folder:
        words = ["redis-server", "--port", str(REDIS), "--bind", "127.0.0.1", "--dir", folder, "--save", ""]
        store = subprocess.Popen(words, stdout=subprocess.DEVNULL)
        app = subprocess.Popen([sys.executable, "-m", "benchmarks.graphql_app", str(APP), _URL])
        try:
            yield app.pid
        finally:
            for process in (app, store):
                process.terminate()
                process.wait(10)


async def _subscribe(name: str, taken: Taken, stack: AsyncExitStack) -> asyncio.Task[None]:
    """Connect and subscribe; the task that reads."""
    client = await stack.enter_async_context(
        websockets.connect(
            f"ws://127.0.0.1:{APP}/graphql",
            subprotocols=[websockets.Subprotocol("graphql-transport-ws")],
            compression=None,
            close_timeout=1,
        )
    )
    await client.send('{"type":"connection_init"}')
    await client.recv()
    payload = {"query": _QUERY, "variables": {"m": name}}
    await client.send(orjson.dumps({"type": "subscribe", "id": "1", "payload": payload}).decode())

    async def read() -> None:
        async for message in client:
            found = orjson.loads(message)
            if found["type"] == "ping":
                await client.send('{"type":"pong"}')
                continue
            told = found["payload"]["data"]["mlInferenceStream"]["metadata"]
            taken.numbers.append(told["n"])
            taken.seconds.append(time.time() - told["at"])

    return asyncio.create_task(read())


async def _feed() -> dict[str, list[int]]:
    """Write at an even rate; the numbers of each endpoint."""
    client = aioredis.Redis.from_url(_URL)
    log, written = f"{Settings().redis_channel}:log", defaultdict(list)
    began, number = time.monotonic(), 0
    while number < RATE * SECONDS:
        due = int((time.monotonic() - began) * RATE)
        pipeline = client.pipeline(transaction=False)
        for n in range(number, min(due, RATE * SECONDS)):
            name = f"model-{n % MODELS}"
            written[name].append(n)
            pipeline.xadd(log, {"data": _document(name, n)}, maxlen=100_000, approximate=True)
        number = max(number, min(due, RATE * SECONDS))
        await pipeline.execute()
        await asyncio.sleep(_STEP_S)
    await client.aclose()
    return written


def _document(name: str, n: int) -> bytes:
    return orjson.dumps(
        {
            "inference_id": f"ml.inference-{n % 4}-{n}",
            "model_id": name,
            "input_id": f"event-{n}",
            "predictions": [[0.125, 0.25, 0.5, 0.125]],
            "confidence": [0.5],
            "answered_by": [{"model": name, "version": "1", "route": "baseline", "role": "primary"}],
            "rules_version": "5f1c9a0b77aa",
            "latency_ms": 4.125,
            "received_at": "2026-11-23T23:14:03.120Z",
            "degraded": False,
            "metadata": {"n": n, "at": time.time()},
        }
    )


async def _run(pid: int) -> Measured:
    taken = [Taken() for _ in range(SUBSCRIBERS)]
    async with AsyncExitStack() as stack:
        reading = [await _subscribe(f"model-{at % MODELS}", one, stack) for at, one in enumerate(taken)]
        await asyncio.sleep(1)  # subscriptions are not acknowledged
        process = psutil.Process(pid)
        used, began = sum(process.cpu_times()[:2]), time.monotonic()
        written = await _feed()
        await _until_all(taken, RATE * SECONDS * SUBSCRIBERS // MODELS)
        cpu = (sum(process.cpu_times()[:2]) - used) / (time.monotonic() - began)
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)
    wrong = sum(one.numbers != written[f"model-{at % MODELS}"] for at, one in enumerate(taken))
    return Measured(np.concatenate([one.seconds for one in taken]), wrong, cpu)


async def _until_all(taken: list[Taken], due: int) -> None:
    """Wait until so many have arrived, for at most ten seconds: what comes later is missing."""
    ends = time.monotonic() + 10
    while sum(len(one.numbers) for one in taken) < due and time.monotonic() < ends:  # noqa: ASYNC110
        await asyncio.sleep(0.1)


def _wait_for_both(pid: int) -> None:
    ends = time.monotonic() + 30
    client = redis.Redis.from_url(_URL)
    while time.monotonic() < ends:
        try:
            client.ping()
            if any(one.laddr.port == APP for one in psutil.Process(pid).net_connections("tcp")):
                return
        except (redis.RedisError, psutil.Error):
            pass
        time.sleep(0.1)
    raise TimeoutError("Redis or the app did not start")


def measure(rounds: int, console: Console) -> list[Row]:
    """The rows of the table."""
    runs: list[Measured] = []
    for _ in range(rounds):
        try:
            with _servers() as pid:
                _wait_for_both(pid)
                runs.append(asyncio.run(_run(pid)))
        except FileNotFoundError:
            return [skipped("graphql-500-p95", "ms", "no redis-server on the PATH")]
        last = runs[-1]
        console.print(
            f"graphql: {len(last.seconds)} deliveries, p50 {np.percentile(last.seconds, 50) * 1e3:.1f} ms, "
            f"p95 {np.percentile(last.seconds, 95) * 1e3:.1f} ms, app {last.cpu:.0%} of a core, {last.wrong} wrong"
        )
    note = f"{SUBSCRIBERS} subscribers, {MODELS} endpoints, {RATE} predictions/s for {SECONDS} s"
    return [
        at_most(
            "graphql-500-p95", "ms", [float(np.percentile(run.seconds, 95) * 1e3) for run in runs], 250, note
        ),
        at_most(
            "graphql-500-wrong",
            "subscribers",
            [float(run.wrong) for run in runs],
            0,
            "anything missing or out of order",
        ),
    ]
