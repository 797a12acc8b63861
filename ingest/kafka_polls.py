"""Kafka messages → the columns of a poll, opened in the ledger."""

import time
from collections.abc import Callable, Sequence
from typing import Final, cast

import numpy as np
from confluent_kafka import Consumer, KafkaError, KafkaException, Message

from ingest.gaps import GapWatch
from ingest.ledger import Ledger
from ingest.record import Polled, Span
from mesh.telemetry import names
from mesh.telemetry.recorder import Recorder

# Unbound methods: mapping them over a batch costs 40 ns a message, half of a call in a loop.
_value, _offset, _partition, _error = Message.value, Message.offset, Message.partition, Message.error

_WEIGHT: Final = 0.5
_LEAST_BYTES: Final = 64.0


class PollReader:
    """Makes polls of one topic out of messages. Lives on the polling thread; `read` counts records."""

    def __init__(
        self, topic: str, ledger: Ledger, recorder: Recorder, on_error: Callable[[KafkaError], None]
    ) -> None:
        """`on_error` is told what the consumer says in place of a message."""
        self._topic = topic
        self._ledger = ledger
        self._recorder = recorder
        self._on_error = on_error
        self._gaps = GapWatch(topic, recorder)
        self.mean_bytes = 512.0
        self.read = 0

    def polled(self, consumer: Consumer, messages: list[Message]) -> Polled | None:
        """The columns of these messages; None where nothing in them is ours. Raises `KafkaException` if fatal."""
        received, received_at = time.monotonic(), time.time()
        if any(map(_error, messages)):
            messages = self._without_errors(messages)
        values = cast("list[bytes | None]", list(map(_value, messages)))
        partitions = cast("list[int]", list(map(_partition, messages)))
        offsets = cast("list[int]", list(map(_offset, messages)))
        spans, stale = self._open(consumer, partitions, offsets)
        if stale:
            kept = [i for i, p in enumerate(partitions) if p not in stale]
            messages, values = [messages[i] for i in kept], [values[i] for i in kept]
            partitions, offsets = [partitions[i] for i in kept], [offsets[i] for i in kept]
        if not values:
            return None
        size = sum(len(value) for value in values if value)
        self.mean_bytes = max(_LEAST_BYTES, (1 - _WEIGHT) * self.mean_bytes + _WEIGHT * size / len(values))
        self.read += len(values)
        self._recorder.count(names.INGEST_RECORDS, len(values), (self._topic,))
        self._recorder.count(names.INGEST_BYTES, size, (self._topic,))
        return Polled(self._topic, values, partitions, offsets, messages, tuple(spans), received, received_at)

    def _open(
        self, consumer: Consumer, partitions: Sequence[int], offsets: Sequence[int]
    ) -> tuple[list[Span], set[int]]:
        """One span a partition; also the partitions that are not ours any more."""
        spans, stale = [], set()
        for partition, first, last, records in runs(partitions, offsets):
            opened = self._ledger.open(partition, first, last, records)
            if opened is None:
                stale.add(partition)
                continue
            spans.append(opened.span)
            if opened.missing or opened.went_back:
                self._gaps.report(consumer, opened, time.monotonic())
        return spans, stale

    def _without_errors(self, messages: list[Message]) -> list[Message]:
        kept = []
        for message in messages:
            error = message.error()
            if error is None:
                kept.append(message)
            elif error.fatal():
                raise KafkaException(error)
            else:
                self._on_error(error)
        return kept


def runs(partitions: Sequence[int], offsets: Sequence[int]) -> list[tuple[int, int, int, int]]:
    """(partition, first offset, last offset, records) of each partition, in the order of first appearance."""
    parts, places = np.array(partitions, np.int32), np.array(offsets, np.int64)
    if not len(parts):
        return []
    starts = np.concatenate(([0], np.flatnonzero(np.diff(parts)) + 1))
    ends = np.append(starts[1:], len(parts)) - 1
    columns = (parts[starts], places[starts], places[ends], ends - starts + 1)
    found: dict[int, tuple[int, int, int]] = {}
    for partition, first, last, records in zip(*(column.tolist() for column in columns), strict=True):
        before = found.get(partition)
        found[partition] = (before[0], last, before[2] + records) if before else (first, last, records)
    return [(partition, *run) for partition, run in found.items()]
