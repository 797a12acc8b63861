"""A run as polls: what a reader of Kafka would have been given, without Kafka and without waiting."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from ingest.ledger import Ledger
from ingest.record import Headers, Polled, Span
from mesh.simulation.run import Run, Sent

PARTITION: Final = 0
"""The partition of every record: states of assets do not depend on how many there are."""


@dataclass(frozen=True, slots=True)
class PlayedMessage:
    """A record as Kafka would give it; `at_ms` is when it left, since 1970."""

    record_key: bytes
    at_ms: int

    def key(self) -> bytes:
        """See `Message`."""
        return self.record_key

    def headers(self) -> Headers | None:
        """See `Message`."""
        return None

    def timestamp(self) -> tuple[int, int]:
        """See `Message`; Kafka calls it the time of creation."""
        return 1, self.at_ms


def polls(run: Run, ledger: Ledger, topic: str, size: int) -> Iterator[Polled]:
    """The run's records, `size` in a poll. Each poll is received when its first record left: nothing ever waits."""
    ledger.assign(PARTITION, 0)
    records, offset = run.records(), 0
    while batch := list(islice(records, size)):
        opened = ledger.open(PARTITION, offset, offset + len(batch) - 1, len(batch))
        if opened is None:
            raise RuntimeError(f"partition {PARTITION} was taken away while it was played")
        yield _polled(batch, opened.span, topic, run.start_ms)
        offset += len(batch)


def _polled(batch: Sequence[Sent], span: Span, topic: str, start_ms: int) -> Polled:
    messages = [PlayedMessage(one.key, start_ms + round(one.seconds * 1e3)) for one in batch]
    return Polled(
        topic=topic,
        values=[one.value for one in batch],
        partitions=[span.partition] * len(batch),
        offsets=range(span.first, span.last + 1),
        messages=messages,
        spans=(span,),
        received=time.monotonic(),
        received_at=messages[0].at_ms / 1e3,
    )
