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
from collections.abc import Awaitable, Callable, Sequence
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
from mesh.tracing.tracer import Tracer
from mesh.wire import pack, unpack
from mesh.wire.frames import Reply, Request
from serve.http.app import MeshApp
from serve.http.fast_lane import FastLane
from serve.oip.inference import Inference
from serve.oip.ports import ServerFacts

RATIO, ROUNDS = 0.01, 15
WRK_S, CONNECTIONS = 1, 64
SCRIPT = Path(__file__).with_name("row16.lua")
POLLS, RECORDS = 20, 2_000
SIGNATURE = Signature((TensorSpec("x", "FP32", (-1, 16)),), (TensorSpec("y", "FP32", (-1, 4)),))
OUTPUT = np.zeros((4096, 4), np.float32)
Measured = Callable[[Tracer | None], Awaitable[float]]


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


async def request_seconds(tracer: Tracer | None) -> float:
    """Processor seconds that this process spends on one request of another: HTTP, engine, handle path and answer."""
    table = RouteTable("default", (Route("plain", compile_when("always"), send=("mlp",)),))
    facts = {"mlp": ModelFacts("mlp", SIGNATURE)}
    config = EngineConfig({"default": table}, facts, {"mlp": ModelPolicy()}, "abc")
    engine = Engine(config, node="here", handles={"mlp": _model}, direct=False)
    inference = Inference(engine, ServerFacts("bench", "0", {}), None, None, None, tracer)
    lane = FastLane(MeshApp(inference))
    port = await lane.start("127.0.0.1", 0)
    url = f"http://127.0.0.1:{port}/v2/models/default/infer"
    words = ("-t1", f"-c{CONNECTIONS}", f"-d{WRK_S}s", "-s", str(SCRIPT), url)
    began = time.process_time()
    wrk = await asyncio.create_subprocess_exec("wrk", *words, stdout=asyncio.subprocess.DEVNULL)
    assert await wrk.wait() == 0
    took = time.process_time() - began
    answered = inference.statistics.of("default").successes
    await lane.drain(1)
    await engine.close()
    return took / answered


def record_seconds(*, traced: bool) -> Measured:
    """Processor seconds of one record; with `traced`, each comes with a trace that nobody sampled."""

    async def measure(tracer: Tracer | None) -> float:
        model = LocalModel(SIGNATURE, lambda tensors: {"y": OUTPUT[: len(tensors["x"])]})
        ledger, sink = Ledger(256), MemorySink()
        ledger.assign(0, 0)
        worker = Worker(
            InProcessEngine({"default": model}), sink, MemoryDeadLetters(), ledger=ledger, config=IngestConfig(),
            recorder=Recorder(), default_endpoint="default", tracer=tracer,
        )  # fmt: skip
        value = json.dumps(
            {"input_id": "event", "features": [[0.5] * 16], "metadata": {"tenant": "a"}}
        ).encode()
        message = Message(traced)
        took = 0.0
        for number in range(POLLS):
            first = number * RECORDS
            opened = ledger.open(0, first, first + RECORDS - 1, RECORDS)
            assert opened is not None
            span = opened.span
            polled = Polled(
                "t", [value] * RECORDS, [0] * RECORDS, list(range(first, first + RECORDS)), [message] * RECORDS,
                (span,), time.monotonic(), time.time(),
            )  # fmt: skip
            done = asyncio.Event()
            began = time.process_time()
            worker.accept(polled, done.set)
            await done.wait()
            took += time.process_time() - began
            sink.published.clear()
        assert worker.answered == POLLS * RECORDS, worker.failure
        return took / (POLLS * RECORDS)

    return measure


def rows(console: Console) -> list[Row]:
    """`tracing-request`, `tracing-record`, `tracing-record-headers`: a processor's throughput with tracing over without."""
    kinds: dict[str, Measured] = {
        "tracing-request": request_seconds,
        "tracing-record": record_seconds(traced=False),
        "tracing-record-headers": record_seconds(traced=True),
    }
    return [_row(name, measure, console) for name, measure in kinds.items()]


def _row(name: str, measure: Measured, console: Console) -> Row:
    sink = OtelSpans("bench", Discard())
    tracer = Tracer(RATIO, sink, Recorder())
    without: list[float] = []
    traced: list[float] = []
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    for round_ in range(ROUNDS + 1):
        pairs: list[tuple[list[float], Tracer | None]] = [(without, None), (traced, tracer)]
        for samples, one in pairs if round_ % 2 else reversed(pairs):
            per_s = 1 / asyncio.run(measure(one))  # type: ignore[arg-type]  # all are coroutines
            if round_:  # the first is for warming up
                samples.append(per_s)
    sink.close(2)
    note = f"{1e6 / statistics.median(without):.1f} µs without, {1e6 / statistics.median(traced):.1f} µs at {RATIO:.0%}"
    console.print(f"{name}: {note}")
    # Round by round, since the machine itself changes more from one to another than what is measured.
    shares = [ours / theirs for ours, theirs in zip(traced, without, strict=True)]
    return at_least(name, "of the throughput", shares, "without tracing", [1.0], 0.97, note)
