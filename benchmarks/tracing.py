"""What tracing costs at 1 %, with nothing else in the way: processor time of a request and of a record, with and without.

A request goes from its bytes through parser, engine, cohort, batcher and handle path to the bytes of its answer; a record from a
poll of 2,000 through decoding, an engine and the encoder. Spans are made, sampled and serialized as OTLP, and thrown away.
Processor time is compared, in turns, because throughput of a shared machine differs by more than what is measured.
"""

import asyncio
import gc
import json
import statistics
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from rich.console import Console

from benchmarks.results import Row, at_least
from ingest.config import IngestConfig
from ingest.in_process import InProcessEngine, LocalModel
from ingest.ledger import Ledger
from ingest.record import Headers, Polled
from ingest.sink import MemoryDeadLetters, MemorySink
from ingest.worker import Worker
from mesh.engine.engine import Engine
from mesh.engine.ports import EngineConfig, ModelPolicy
from mesh.routing.table import ModelFacts, Route, RouteTable
from mesh.routing.types import Scored, Signature, TensorSpec
from mesh.routing.when import compile_when
from mesh.telemetry.recorder import Recorder
from mesh.tracing.otel import OtelSpans
from mesh.tracing.tracer import GATHER_S, Tracer
from mesh.wire import pack, unpack
from mesh.wire.frames import Reply, Request
from serve.http.app import MeshApp
from serve.http.fast_lane import FastLane
from serve.oip.inference import Inference
from serve.oip.ports import ServerFacts

RATIO, ROUNDS = 0.01, 15
TURNS, TURN_S = 20, 0.05
WRK_S, CONNECTIONS = 20, 64
SCRIPT = Path(__file__).with_name("row16.lua")
POLLS, RECORDS = 20, 2_000
SIGNATURE = Signature((TensorSpec("x", "FP32", (-1, 16)),), (TensorSpec("y", "FP32", (-1, 4)),))
OUTPUT = np.zeros((4096, 4), np.float32)
VALUE = json.dumps({"input_id": "event", "features": [[0.5] * 16], "metadata": {"tenant": "a"}}).encode()
Measured = Callable[[Tracer], Coroutine[None, None, list[tuple[float, float]]]]
"""Processor seconds of one request or record in each round, without and with a tracer."""


class Discard(SpanExporter):
    """Serializes, and sends nothing."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """See `SpanExporter`."""
        encode_spans(spans).SerializeToString()
        return SpanExportResult.SUCCESS


@dataclass(frozen=True, slots=True)
class Message:
    """A record without headers, as most are; or with a trace that is not sampled."""

    traced: bool = False

    def key(self) -> bytes | None:
        """None."""
        return None

    def headers(self) -> Headers | None:
        """One, or none."""
        if not self.traced:
            return None
        return [("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")]

    def timestamp(self) -> tuple[int, int]:
        """Kind and milliseconds."""
        return (1, 1_700_000_000_000)


async def _model(payload: bytes) -> bytes:
    request = unpack(payload)
    assert isinstance(request, Request)
    return pack(Reply(request.id, Scored({"y": OUTPUT[: request.rows]}, None, "1"), 0))


async def request_rounds(tracer: Tracer) -> list[tuple[float, float]]:
    """Processor seconds that this process spends on one request of another: HTTP, engine, handle path and answer.

    Without and with tracing in turns of 50 ms on one server under one load, since the machine itself changes more from one second
    to another than what is measured.
    """
    table = RouteTable("default", (Route("plain", compile_when("always"), send=("mlp",)),))
    facts = {"mlp": ModelFacts("mlp", SIGNATURE)}
    config = EngineConfig({"default": table}, facts, {"mlp": ModelPolicy()}, "abc")
    engine = Engine(config, node="here", handles={"mlp": _model}, direct=False, noting=True)
    inference = Inference(engine, ServerFacts("bench", "0", {}), None, None, None, None)
    lane = FastLane(MeshApp(inference))
    port = await lane.start("127.0.0.1", 0)
    url = f"http://127.0.0.1:{port}/v2/models/default/infer"
    words = ("-t1", f"-c{CONNECTIONS}", f"-d{WRK_S}s", "-s", str(SCRIPT), url)
    wrk = await asyncio.create_subprocess_exec("wrk", *words, stdout=asyncio.subprocess.DEVNULL)
    await asyncio.sleep(1)  # for warming up
    rounds = []
    for _ in range(ROUNDS):
        used, answered = [0.0, 0.0], [0, 0]
        for turn in range(TURNS):
            on = _traced_in(turn)
            # In one server, so that nothing else differs.
            inference._tracer = tracer if on else None  # noqa: SLF001
            engine._edition._noting = bool(on)  # noqa: SLF001
            began, before = time.process_time(), inference.statistics.of("default").successes
            await asyncio.sleep(TURN_S)
            used[on] += time.process_time() - began
            answered[on] += inference.statistics.of("default").successes - before
        rounds.append((used[0] / answered[0], used[1] / answered[1]))
    assert await wrk.wait() == 0
    await lane.drain(1)
    await engine.close()
    return rounds


class Reading:
    """A reader with everything in this process, one poll at a time; with `traced`, records have traces that nobody sampled."""

    def __init__(self, tracer: Tracer | None, *, traced: bool) -> None:
        model = LocalModel(SIGNATURE, lambda tensors: {"y": OUTPUT[: len(tensors["x"])]})
        self._ledger, self._sink, self._polls = Ledger(256), MemorySink(), 0
        self._ledger.assign(0, 0)
        self._messages = [Message(traced)] * RECORDS
        self.worker = Worker(
            InProcessEngine({"default": model}), self._sink, MemoryDeadLetters(), ledger=self._ledger,
            config=IngestConfig(), recorder=Recorder(), default_endpoint="default", tracer=tracer,
        )  # fmt: skip

    async def poll(self) -> float:
        """Processor seconds of `RECORDS` records."""
        first = self._polls * RECORDS
        self._polls += 1
        opened = self._ledger.open(0, first, first + RECORDS - 1, RECORDS)
        assert opened is not None
        polled = Polled(
            "t", [VALUE] * RECORDS, [0] * RECORDS, list(range(first, first + RECORDS)), self._messages,
            (opened.span,), time.monotonic(), time.time(),
        )  # fmt: skip
        done = asyncio.Event()
        began = time.process_time()
        self.worker.accept(polled, done.set)
        await done.wait()
        took = time.process_time() - began
        self._sink.published.clear()
        assert self.worker.answered == self._polls * RECORDS, self.worker.failure
        return took


def record_rounds(*, traced: bool) -> Measured:
    """Processor seconds of a record without and with tracing, polls in turns."""

    async def measure(tracer: Tracer) -> list[tuple[float, float]]:
        readers = Reading(None, traced=traced), Reading(tracer, traced=traced)
        rounds = []
        for number in range(ROUNDS + 1):
            used = [0.0, 0.0]
            for turn in range(2 * POLLS):
                on = _traced_in(turn)
                used[on] += await readers[on].poll()
            if number:  # the first is for warming up
                rounds.append((used[0] / (POLLS * RECORDS), used[1] / (POLLS * RECORDS)))
        return rounds

    return measure


def _traced_in(turn: int) -> int:
    """0, 1, 1, 0, …: neither is always the first of a pair."""
    return (turn + turn // 2) % 2


def rows(console: Console) -> list[Row]:
    """`tracing-request`, `tracing-record`, `tracing-record-headers`: a processor's throughput with tracing over without."""
    kinds: dict[str, Measured] = {
        "tracing-request": request_rounds,
        "tracing-record": record_rounds(traced=False),
        "tracing-record-headers": record_rounds(traced=True),
    }
    return [_row(name, measure, console) for name, measure in kinds.items()]


def _row(name: str, measure: Measured, console: Console) -> Row:
    sink = OtelSpans("bench", Discard())
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    rounds = asyncio.run(measure(Tracer(RATIO, sink, Recorder(), gather_s=GATHER_S)))
    sink.close(2)
    without, traced = (1e6 * statistics.median(one[at] for one in rounds) for at in (0, 1))
    note = f"{without:.1f} µs without, {traced:.1f} µs at {RATIO:.0%}"
    console.print(f"{name}: {note}")
    return at_least(
        name, "of the throughput", [off / on for off, on in rounds], "without tracing", [1.0], 0.97, note
    )
