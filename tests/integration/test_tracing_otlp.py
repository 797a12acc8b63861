"""Requests and records through an engine of this process, traced to a real receiver of OTLP, read end to end."""

import asyncio
import json
from collections.abc import Iterator

import numpy as np
import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from otlp_receiver import OtlpReceiver, Received
from ray_mesh import until

from ingest.config import IngestConfig
from ingest.ledger import Ledger
from ingest.record import Headers, Polled
from ingest.sink import MemoryDeadLetters, MemorySink
from ingest.worker import Worker
from mesh.engine.engine import Engine
from mesh.engine.ports import EngineConfig, ModelPolicy
from mesh.routing.table import ModelFacts, Route, RouteTable, ShadowRule
from mesh.routing.types import Scored, Signature, TensorSpec
from mesh.routing.when import compile_when
from mesh.telemetry.recorder import Recorder
from mesh.tracing.otel import OtelSpans
from mesh.tracing.tracer import Tracer
from mesh.wire import pack, unpack
from mesh.wire.frames import Reply, Request
from serve.http.infer_route import InferRoute
from serve.oip.inference import Inference
from serve.oip.ports import ServerFacts

SIGNATURE = Signature((TensorSpec("x", "FP32", (-1, 2)),), (TensorSpec("y", "FP32", (-1, 2)),))
SENDER = "00f067aa0ba902b7"
BODY = json.dumps({"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}]}).encode()


class Message:
    def __init__(self, trace: str | None) -> None:
        self._trace = trace

    def key(self) -> bytes | None:
        return None

    def headers(self) -> Headers | None:
        return [("traceparent", f"00-{self._trace}-{SENDER}-01".encode())] if self._trace else None

    def timestamp(self) -> tuple[int, int]:
        return (1, 1_700_000_000_000)


class Stack:
    """A table of two models and a shadow; the second model can be switched off."""

    def __init__(self, receiver: OtlpReceiver, ratio: float) -> None:
        self.receiver, self.away, self.slow_once = receiver, False, False
        self.patience_s = 60.0
        self.recorder = Recorder()
        self.sink = OtelSpans("test", OTLPSpanExporter(f"{receiver.url}/v1/traces"))
        self.tracer = Tracer(ratio, self.sink, self.recorder)

    def engine(self) -> Engine:
        routes = (
            Route("baseline", compile_when("always"), send=("rules",)),
            Route(
                "sure", compile_when("confidence >= 0.6"), send=("anomaly",), shadow=(ShadowRule("degrader"),)
            ),
        )
        models = ("rules", "anomaly", "degrader")
        facts = {name: ModelFacts(name, SIGNATURE, has_confidence=True) for name in models}
        tables = {"default": RouteTable("default", routes)}
        config = EngineConfig(
            tables, facts, {name: ModelPolicy(timeout_s=self.patience_s) for name in models}, "rules-1"
        )
        handles = {name: self._handle(name) for name in models}
        return Engine(config, node="n", handles=handles, direct=False, noting=True)

    def _handle(self, name: str):
        async def answer(payload: bytes) -> bytes:
            if self.slow_once and name == "rules":
                self.slow_once = False
                await asyncio.sleep(5)
            if self.away and name == "anomaly":
                await asyncio.sleep(5)
            request = unpack(payload)
            assert isinstance(request, Request)
            sure = np.full(request.rows, 0.9, np.float32)
            return pack(
                Reply(request.id, Scored({"y": np.zeros((request.rows, 2), np.float32)}, sure, "7"), 0)
            )

        return answer

    def trace(self, trace: str) -> dict[str, Received]:
        self.sink.close(60)
        until(lambda: any(span.trace == trace for span in self.receiver.spans()), 10)
        return {span.name: span for span in self.receiver.spans() if span.trace == trace}


@pytest.fixture
def receiver() -> Iterator[OtlpReceiver]:
    made = OtlpReceiver()
    yield made
    made.close()


async def test_a_request_is_read_from_its_client_to_every_model(receiver: OtlpReceiver) -> None:
    stack = Stack(receiver, 0)
    engine = stack.engine()
    route = InferRoute(Inference(engine, ServerFacts("t", "0", {}), None, None, None, stack.tracer))
    header = {b"traceparent": f"00-{'a' * 32}-{SENDER}-01".encode()}
    plain = [route.respond("default", "", {}, BODY) for _ in range(10)]
    replies = await asyncio.gather(route.respond("default", "", header, BODY), *plain)
    assert {reply.status for reply in replies} == {200}
    await engine.close()
    spans = await asyncio.to_thread(stack.trace, "a" * 32)
    assert set(spans) == {"infer default", "call rules", "call anomaly", "shadow degrader"}
    own = spans.pop("infer default")
    assert (own.parent, own.attributes["mesh.status"]) == (SENDER, "200")
    told_rules = json.loads(bytes(replies[0].pieces[0]))["parameters"]["mesh_rules"]
    assert own.attributes["mesh.rules"] == told_rules
    assert {span.parent for span in spans.values()} == {own.span}
    told = {
        name: (span.attributes["mesh.decision"], span.attributes.get("mesh.role"))
        for name, span in spans.items()
    }
    assert told == {
        "call rules": ("superseded", None),
        "call anomaly": ("stands", "primary"),
        "shadow degrader": ("offered", "shadow"),
    }
    assert spans["call anomaly"].attributes["mesh.model.version"] == "7"
    assert len(receiver.spans()) == 4  # the ten that were not sampled left none


async def test_a_degraded_answer_is_kept_though_nobody_sampled_it(receiver: OtlpReceiver) -> None:
    stack = Stack(receiver, 0)
    stack.away, stack.patience_s = True, 1.0
    engine = stack.engine()
    route = InferRoute(Inference(engine, ServerFacts("t", "0", {}), None, None, None, stack.tracer))
    header = {b"traceparent": f"00-{'b' * 32}-{SENDER}-00".encode()}
    assert (await route.respond("default", "", header, BODY)).status == 200
    assert (await route.respond("nobody", "", {}, BODY)).status == 404  # the client's own fault
    await engine.close()
    spans = await asyncio.to_thread(stack.trace, "b" * 32)
    assert spans["infer default"].attributes["mesh.degraded"] == "True"
    failed = spans["call anomaly"]
    assert (failed.failed, failed.attributes["mesh.call.outcome"]) == (True, "deadline")
    assert not any(span.name == "infer unknown" for span in receiver.spans())


async def test_a_degraded_answer_without_a_trace_begins_one_and_the_next_request_is_not_taken_for_it(
    receiver: OtlpReceiver,
) -> None:
    stack = Stack(receiver, 0)
    stack.away, stack.patience_s = True, 1.0
    engine = stack.engine()
    route = InferRoute(Inference(engine, ServerFacts("t", "0", {}), None, None, None, stack.tracer))
    assert (await route.respond("default", "", {}, BODY)).status == 200
    assert (await route.respond("rules", "", {}, BODY)).status == 200  # of the same task, as on a connection
    await engine.close()
    await asyncio.to_thread(stack.sink.close, 60)
    until(lambda: bool(receiver.spans()), 10)
    spans = {span.name: span for span in receiver.spans()}
    assert set(spans) == {"infer default", "call rules", "call anomaly"}
    assert len({span.trace for span in spans.values()}) == 1
    assert spans["infer default"].attributes["mesh.degraded"] == "True"
    assert spans["infer default"].seconds > 0.5, "it began when the request came"


async def test_a_record_is_read_from_its_sender_to_the_sink(receiver: OtlpReceiver) -> None:
    stack = Stack(receiver, 0)
    engine, ledger, sink = stack.engine(), Ledger(8), MemorySink()
    ledger.assign(3, 0)
    opened = ledger.open(3, 0, 99, 100)
    assert opened is not None
    worker = Worker(
        engine, sink, MemoryDeadLetters(), ledger=ledger, config=IngestConfig(), recorder=Recorder(),
        default_endpoint="default", tracer=stack.tracer,
    )  # fmt: skip
    messages = [Message("c" * 32 if at == 42 else None) for at in range(100)]
    values = [json.dumps({"features": [[1, 2]]}).encode()] * 100
    polled = Polled("ml.inference", values, [3] * 100, list(range(100)), messages, (opened.span,), 0.0, 0.0)
    done = asyncio.Event()
    worker.accept(polled, done.set)
    await asyncio.wait_for(done.wait(), 60)
    await engine.close()
    assert len(sink.published) == 100
    (record,) = (await asyncio.to_thread(stack.trace, "c" * 32)).values()
    assert (record.name, record.parent) == ("process ml.inference", SENDER)
    assert (
        record.attributes["messaging.kafka.offset"],
        record.attributes["messaging.destination.partition.id"],
    ) == ("42", "3")
    (batch_trace,) = record.links
    spans = {span.name: span for span in receiver.spans() if span.trace == batch_trace}
    batch = spans.pop("process batch ml.inference")
    assert batch.links == ("c" * 32,)
    assert set(spans) == {"call rules", "call anomaly", "shadow degrader", "publish redis"}
    assert {span.parent for span in spans.values()} == {batch.span}
    assert spans["publish redis"].attributes["messaging.batch.message_count"] == "100"


async def test_an_attempt_that_answered_no_row_leaves_its_calls_in_the_trace_too(
    receiver: OtlpReceiver,
) -> None:
    stack = Stack(receiver, 0)
    stack.slow_once, stack.patience_s = True, 1.0
    engine, ledger, sink = stack.engine(), Ledger(8), MemorySink()
    ledger.assign(0, 0)
    opened = ledger.open(0, 0, 9, 10)
    assert opened is not None
    worker = Worker(
        engine, sink, MemoryDeadLetters(), ledger=ledger, config=IngestConfig(), recorder=Recorder(),
        default_endpoint="default", tracer=stack.tracer,
    )  # fmt: skip
    values = [json.dumps({"features": [[1, 2]]}).encode()] * 10
    messages = [Message("d" * 32)] * 10
    polled = Polled("ml.inference", values, [0] * 10, list(range(10)), messages, (opened.span,), 0.0, 0.0)
    done = asyncio.Event()
    worker.accept(polled, done.set)
    await asyncio.wait_for(done.wait(), 60)
    await engine.close()
    assert len(sink.published) == 10
    await asyncio.to_thread(stack.trace, "d" * 32)
    outcomes = [one.attributes["mesh.call.outcome"] for one in receiver.spans() if one.name == "call rules"]
    assert sorted(outcomes) == ["answered", "answered", "deadline"], (
        "what was late as a whole is asked in halves"
    )
