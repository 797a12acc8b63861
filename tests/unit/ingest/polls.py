"""Polls made by hand for the tests of the stream."""

import json
from collections.abc import Sequence

from ingest.record import Headers, Polled, Span
from mesh.routing.types import Signature, TensorSpec


class HandMessage:
    """A Kafka message that never saw a broker."""

    def __init__(self, key: bytes | None = b"k", headers: Headers | None = None) -> None:
        self._key, self._headers = key, headers

    def key(self) -> bytes | None:
        return self._key

    def headers(self) -> Headers | None:
        return self._headers

    def timestamp(self) -> tuple[int, int]:
        return (1, 1_700_000_000_000)


def polled(
    values: Sequence[bytes | None],
    *,
    partition: int = 0,
    first: int = 0,
    headers: Sequence[Headers | None] = (),
) -> Polled:
    n = len(values)
    messages = [HandMessage(b"key", headers[i] if headers else None) for i in range(n)]
    spans = (Span(partition, first, first + n - 1, n),) if n else ()
    offsets = list(range(first, first + n))
    return Polled("t", values, [partition] * n, offsets, messages, spans, 0.0, 1_700_000_000.25)


def record(**fields: object) -> bytes:
    return json.dumps(fields).encode()


def signature(*inputs: TensorSpec) -> Signature:
    return Signature(inputs or (TensorSpec("x", "FP32", (-1, 3)),), (TensorSpec("y", "FP32", (-1, 2)),))


class Facts:
    """The part of an engine that the assembler asks."""

    def __init__(self, known: Signature | None, reads: frozenset[str] = frozenset()) -> None:
        self.known, self.reads = known, reads

    def signature(self, endpoint: str) -> Signature | None:
        return self.known

    def attributes_read(self, endpoint: str) -> frozenset[str]:
        return self.reads
