"""Sends records into Kafka at a pace, and no faster than a demo broker can keep them for its reader."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from mesh.cli.outbox import KafkaAway, Outbox, Readers
from mesh.cli.pacing import Allowance, Pace
from mesh.cli.table import Record, RecordTable
from mesh.settings import Settings

READER_S: Final = 120.0
"""How long a full demo broker is given to be read before we say that nobody does."""

_LOOK_S: Final = 0.05


def _nothing() -> None:
    return


@dataclass(slots=True)
class Feed:
    """One run of sending. `stop` may be set from anywhere; `sent` and `waiting` are current at any time.

    `progress` is called after every record, and again and again while readers are waited for: those of `group` on a demo
    broker, KAFKA_CONSUMER_GROUP where it is None.
    """

    settings: Settings
    topic: str
    pace: Pace
    stop: threading.Event = field(default_factory=threading.Event)
    sent: int = 0
    waiting: bool = False
    progress: Callable[[], None] = _nothing
    group: str | None = None

    def run(self, records: Iterable[Record]) -> int:
        """Send all of `records` and wait for their delivery; returns how many. Raises `KafkaAway`."""
        outbox = Outbox(self.settings.kafka_bootstrap_servers, self.topic)
        partitions, demo = outbox.partitions()
        gate = _Gate(self, outbox, partitions) if demo else None
        began = time.monotonic()
        try:
            for row, record in enumerate(records):
                if not self._wait_until(began + self.pace.due(row, record.time)):
                    break
                if gate is not None and not gate.passes(len(record.value) + len(record.key or b"")):
                    break
                outbox.send(record.value, record.key)
                self.sent += 1
                self.progress()
        except KeyboardInterrupt:
            outbox.flush()  # what counts as sent is delivered
            raise
        finally:
            if gate is not None:
                gate.close()
        outbox.flush()
        return self.sent

    def _wait_until(self, due: float) -> bool:
        """False when it is time to stop."""
        rest = due - time.monotonic()
        return not (self.stop.wait(rest) if rest > 0 else self.stop.is_set())


class _Gate:
    """Holds records back while a demo broker's fullest partition lies unread."""

    def __init__(self, feed: Feed, outbox: Outbox, partitions: list[int]) -> None:
        settings = feed.settings
        self._feed, self._outbox, self._allowance = feed, outbox, Allowance()
        self._group = feed.group or settings.kafka_consumer_group
        self._readers = Readers(settings.kafka_bootstrap_servers, self._group, feed.topic, partitions)

    def passes(self, size: int) -> bool:
        """Wait for room for `size` bytes; False when it is time to stop. `KafkaAway` where nobody reads."""
        if self._allowance.left < size:
            self._outbox.flush()
            deadline = time.monotonic() + READER_S
            while not self._allowance.renew(max(self._readers.unread(), default=0)):
                self._feed.waiting = True
                self._feed.progress()
                if time.monotonic() > deadline:
                    raise KafkaAway(
                        f"the demo broker is full and the consumer group '{self._group}' has read too little "
                        f"for {READER_S:.0f} s: is the mesh running? (KAFKA_CONSUMER_GROUP names the group)"
                    )
                if self._feed.stop.wait(_LOOK_S):
                    return False
            self._feed.waiting = False
        self._allowance.spend(size)
        return True

    def close(self) -> None:
        """Let go of the broker."""
        self._readers.close()


def rows_of(table: RecordTable, loop: bool, limit: int | None) -> Iterator[Record]:
    """The records of `table` once, or over and over; at most `limit`."""
    return islice(_looped(table) if loop else table.records(), limit)


def _looped(table: RecordTable) -> Iterator[Record]:
    row = 0
    while True:
        good, skipped = 0, table.skipped.count
        for record in table.records(row):
            good += 1
            yield record
        if not good:
            return
        row += good + table.skipped.count - skipped
