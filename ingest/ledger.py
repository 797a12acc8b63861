"""The watermarks of every partition that this process reads, shared by the polling thread and the event loop."""

import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ingest.record import Span
from ingest.watermark import Watermark


@dataclass(frozen=True, slots=True)
class Opened:
    """A span was added. `missing` offsets were expected from `expected` on and did not come.

    `went_back` says that the offsets began anew, lower than `expected`: nothing of before is remembered.
    """

    span: Span
    expected: int | None
    missing: int
    went_back: bool = False


class Ledger:
    """Thread-safe. Partitions are assigned, records opened and completed, positions committed, partitions revoked."""

    def __init__(self, max_open_spans: int) -> None:
        self._max_open = max_open_spans
        self._marks: dict[int, Watermark] = {}
        self._committed: dict[int, int] = {}
        self._changed = threading.Condition()

    def assign(self, partition: int, committed: int | None) -> None:
        """Begin with a partition, at its committed offset where there is one."""
        with self._changed:
            self._marks[partition] = Watermark(committed)
            if committed is None:
                self._committed.pop(partition, None)
            else:
                self._committed[partition] = committed

    def open(self, partition: int, first: int, last: int, records: int) -> Opened | None:
        """Add what a poll brought; None where the partition is not ours (any more) and must be dropped."""
        span = Span(partition, first, last, records)
        with self._changed:
            mark = self._marks.get(partition)
            if mark is None:
                return None
            expected = mark.expected
            if expected is not None and first < expected:
                mark.abandon()
                self._marks[partition] = mark = Watermark(first)
                mark.open(span)
                return Opened(span, expected, 0, went_back=True)
            return Opened(span, expected, mark.open(span))

    def complete(self, spans: Iterable[Span]) -> None:
        """Every record of these spans was published or dead-lettered."""
        with self._changed:
            for span in spans:
                mark = self._marks.get(span.partition)
                if mark is not None and not span.abandoned:
                    mark.complete(span)
            self._changed.notify_all()

    def wait(self, partitions: Iterable[int], timeout_s: float) -> bool:
        """Wait until nothing of these partitions is open; False where time ran out first."""
        chosen = list(partitions)
        ends = time.monotonic() + timeout_s
        with self._changed:
            while any(self._marks[p].open_spans for p in chosen if p in self._marks):
                if not self._changed.wait(max(0.0, ends - time.monotonic())):
                    return False
        return True

    def revoke(self, partitions: Iterable[int]) -> int:
        """Forget these partitions; returns the records that are left uncommitted and will be read again."""
        left = 0
        with self._changed:
            for partition in partitions:
                mark = self._marks.pop(partition, None)
                self._committed.pop(partition, None)
                left += mark.abandon() if mark else 0
            self._changed.notify_all()
        return left

    def due(self, partitions: Iterable[int] | None = None) -> Mapping[int, int]:
        """Positions that are not committed yet, of all or of these partitions."""
        with self._changed:
            chosen = self._marks if partitions is None else [p for p in partitions if p in self._marks]
            positions = {p: self._marks[p].position for p in chosen}
            return {p: at for p, at in positions.items() if at is not None and self._committed.get(p) != at}

    def committed(self, positions: Mapping[int, int]) -> None:
        """Kafka has taken these positions."""
        with self._changed:
            self._committed.update((p, at) for p, at in positions.items() if p in self._marks)

    def committed_position(self, partition: int) -> int | None:
        """The position that Kafka has taken, or where reading began; None before that."""
        with self._changed:
            mark = self._marks.get(partition)
            return self._committed.get(partition, mark.position if mark else None)

    def position(self, partition: int) -> int | None:
        """The offset before which everything is done; None where the partition is not ours, or nothing came of it."""
        with self._changed:
            mark = self._marks.get(partition)
            return mark.position if mark else None

    @property
    def partitions(self) -> tuple[int, ...]:
        """The partitions that are assigned."""
        with self._changed:
            return tuple(self._marks)

    @property
    def full(self) -> bool:
        """A partition has so much open behind one unfinished batch that no more may be read."""
        with self._changed:
            return any(mark.open_spans >= self._max_open for mark in self._marks.values())

    @property
    def open_records(self) -> int:
        """Records read and not yet published or dead-lettered."""
        with self._changed:
            return sum(mark.open_records for mark in self._marks.values())
