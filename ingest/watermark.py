"""How far one partition is done: the contiguous watermark, free of Kafka, threads and clocks.

Records are opened in the order of delivery and completed in any order; the position is one past the last offset before which
nothing is open. Offsets may have holes (compaction, transaction markers), so contiguity is that of delivery.
"""

from collections import deque

from ingest.record import Span


class Watermark:
    """The state of one partition. `position` is the offset to commit, None until there is one."""

    __slots__ = ("_expected", "_open", "position")

    def __init__(self, position: int | None = None) -> None:
        """`position` is the committed offset, where there is one."""
        self.position = position
        self._expected = position
        self._open: deque[Span] = deque()

    @property
    def expected(self) -> int | None:
        """The next offset that a partition without holes would deliver."""
        return self._expected

    @property
    def open_spans(self) -> int:
        """Spans that hold the position back, completed ones behind an open one included."""
        return len(self._open)

    @property
    def open_records(self) -> int:
        """Records that were opened and are not yet completed."""
        return sum(span.records for span in self._open if not span.done)

    def open(self, span: Span) -> int:
        """Add the next records of the partition; returns how many offsets were expected and did not come.

        Raises `ValueError` where offsets go back: the caller decides whether the topic was made anew.
        """
        if span.records < 1 or span.last < span.first:
            raise ValueError(f"a span needs records in ascending order, got {span}")
        expected = self._expected
        if expected is not None and span.first < expected:
            raise ValueError(f"offset {span.first} comes after {expected - 1}")
        begin = span.first if expected is None else expected
        self._open.append(span)
        self._expected = span.last + 1
        if self.position is None:
            self.position = span.first
        return span.last + 1 - begin - span.records

    def complete(self, span: Span) -> bool:
        """Every record of the span was published or dead-lettered; True where the position moved."""
        span.done = True
        moved = False
        while self._open and self._open[0].done:
            self.position = self._open.popleft().last + 1
            moved = True
        return moved

    def abandon(self) -> int:
        """Give up what is open; returns its records. Completing such a span later changes nothing."""
        left = self.open_records
        for span in self._open:
            span.abandoned = not span.done
        self._open.clear()
        return left
