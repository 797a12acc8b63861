"""Raw records, polls of them and a small chain, made by hand for the tests of the telemetry chain."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ingest.ledger import Ledger
from ingest.record import Headers, Polled, Span
from ingest.telemetry.chain import Chain
from mesh.pipeline.plan import DEFAULT_STAGES, PipelinePlan
from mesh.signals import Grid, Sensor
from mesh.signals.sensors import Telemetry

BEGAN_MS = 1_700_000_000_000
TELEMETRY = Telemetry(
    sensors=(Sensor("temp", low=-100, high=100), Sensor("flow")),
    grid=Grid(period_ms=1_000, lateness_ms=0, window=8, hop=1),
    features=("mean", "std"),
)
PLAN = PipelinePlan(DEFAULT_STAGES)


@dataclass(frozen=True)
class StampedMessage:
    """A Kafka message that never saw a broker, stamped when its record was made."""

    at_ms: int
    kind: int = 1

    def key(self) -> bytes | None:
        return b"key"

    def headers(self) -> Headers | None:
        return [("trace", b"1")]

    def timestamp(self) -> tuple[int, int]:
        return (self.kind, self.at_ms)


def record(asset: str, second: int, **sensors: float) -> bytes:
    """An asset's reading, so many seconds after the beginning."""
    values = sensors or {"temp": 20.0 + second % 3, "flow": 5.0}
    return json.dumps({"asset": asset, "ts": BEGAN_MS + second * 1_000, "sensors": values}).encode()


def records(asset: str, begin: int, end: int) -> list[bytes]:
    """A reading a second: the eighth closes the first window, and every further one another."""
    return [record(asset, second) for second in range(begin, end)]


def polled(
    parts: Mapping[int, tuple[int, Sequence[bytes]]], ledger: Ledger | None = None, late_ms: int = 0
) -> Polled:
    """Records by partition, from an offset on, `late_ms` after Kafka had them; opened in the ledger where one is given."""
    values, partitions, offsets, spans = [], [], [], []
    for partition, (first, found) in parts.items():
        values += found
        partitions += [partition] * len(found)
        offsets += range(first, first + len(found))
        span = Span(partition, first, first + len(found) - 1, len(found))
        if ledger is not None:
            opened = ledger.open(partition, span.first, span.last, span.records)
            assert opened is not None
            span = opened.span
        spans.append(span)
    messages = [StampedMessage(BEGAN_MS)] * len(values)
    return Polled("raw", values, partitions, offsets, messages, tuple(spans), 0.0, (BEGAN_MS + late_ms) / 1e3)


def chain(telemetry: Telemetry = TELEMETRY, plan: PipelinePlan = PLAN) -> Chain:
    return Chain(telemetry, plan, 1_000)
