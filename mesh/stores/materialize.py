"""From a features topic into the history: rows gather until they are worth a commit, then go in with their offsets.

No Kafka and no Delta here: a source is polled, a writer is given pieces, `now` is an argument. Nothing is lost and nothing
doubled whenever the process ends, because the offsets to go on from are those in the table.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from mesh.stores.errors import OffsetsMoved
from mesh.stores.records import Decoded, FeatureRecord, RowDecoder
from mesh.stores.rows import FeatureBatch, Piece
from mesh.telemetry import names
from mesh.telemetry.recorder import Recorder


@dataclass(frozen=True, slots=True)
class CommitPolicy:
    """A commit is made once `records` have gathered, or the first of them has waited `seconds`."""

    records: int = 20_000
    seconds: float = 5.0


@dataclass(frozen=True, slots=True)
class Totals:
    """Since the beginning: rows that were added, rows that were there already, records refused by reason, offsets lost."""

    added: int
    repeated: int
    refused: Mapping[str, int]
    lost: int

    @property
    def records(self) -> int:
        """All records that were settled."""
        return self.added + self.repeated + sum(self.refused.values())


@dataclass(frozen=True, slots=True)
class Kept:
    """What Kafka holds of a partition: offsets in [low, high). `anew` where it was seen to count from 0 again."""

    low: int
    high: int
    anew: bool = False


KeptOf = Callable[[int], Kept]
"""Asks Kafka about a partition, now."""


@dataclass(frozen=True, slots=True)
class MadeAnew:
    """A partition whose topic was made anew: where the table stood of the one before, and what Kafka holds of the new one."""

    partition: int
    stood: int
    kept: Kept

    def __str__(self) -> str:
        return (
            f"of partition {self.partition} the history has what was below offset {self.stood:,}, and Kafka holds "
            f"{self.kept.low:,} up to {self.kept.high:,}: read from {self.kept.low:,} on, and rows that are there are not added "
            "again. What was in the old topic and not read yet is gone"
        )


class RowWriter(Protocol):
    """Where rows go; see `DeltaWriter`."""

    def begin(self, partitions: Sequence[int]) -> Mapping[int, int]:
        """Take these partitions and no others: the offset to read each from."""
        ...

    def begin_anew(self, lowest: Mapping[int, int]) -> Mapping[int, int]:
        """Their topic was made anew and begins at `lowest`: the offset to read each partition from, all that are taken."""
        ...

    def append(self, piece: Piece) -> int:
        """How many of the piece's rows were new; `OffsetsMoved` where another writer was first."""
        ...


class Materializer:
    """Gathers, commits and counts. At most `policy.records` and one poll are held."""

    def __init__(
        self, view: str, decoder: RowDecoder, writer: RowWriter, policy: CommitPolicy, recorder: Recorder
    ) -> None:
        self._view, self._decoder, self._writer = view, decoder, writer
        self._policy, self._recorder = policy, recorder
        self._next: dict[int, int] = {}
        self._parts: list[Decoded] = []
        self._ends: dict[int, int] = {}
        self._gathered = 0
        self._since = 0.0
        self._refused: dict[str, int] = {}
        self._added = self._repeated = self._lost = 0
        self._made_anew: list[MadeAnew] = []

    @property
    def made_anew(self) -> Sequence[MadeAnew]:
        """The times that the topic was found to be another one than the table knows, partition by partition."""
        return self._made_anew

    @property
    def totals(self) -> Totals:
        """What came of the records so far; those that have only gathered are not in it."""
        return Totals(self._added, self._repeated, dict(self._refused), self._lost)

    def begin(self, partitions: Sequence[int], kept_of: KeptOf | None = None) -> Mapping[int, int]:
        """These partitions are ours now: where to read them from. What had gathered is dropped, it will be read again.

        Where Kafka has not got to the table's offset, the topic was made anew: it is read from its beginning.
        """
        self._clear()
        found = self._writer.begin(partitions)
        # Kafka is asked after the table: whoever else writes goes on, and its offset may be above an end from before.
        anew = [] if kept_of is None else self._found_anew(found, kept_of)
        if anew:
            found = self._writer.begin_anew({one.partition: one.kept.low for one in anew})
            self._made_anew += anew
        self._next = dict(found)
        return found

    def take(self, records: Sequence[FeatureRecord], now: float) -> None:
        """Gather records, in the order of each partition's offsets."""
        if not records:
            return
        if not self._gathered:
            self._since = now
        for record in records:
            expected = self._next.get(record.partition, 0)
            if 0 < expected < record.offset:
                self._lost += record.offset - expected
            self._next[record.partition] = self._ends[record.partition] = record.offset + 1
        self._parts.append(self._decoder.decode(records))
        self._gathered += len(records)

    def due(self, now: float) -> bool:
        """Whether what has gathered is worth a commit."""
        return self._gathered >= self._policy.records or (
            self._gathered > 0 and now - self._since >= self._policy.seconds
        )

    def flush(self) -> Mapping[int, int]:
        """Commit what has gathered: the offsets that are in the table now.

        Raises `OffsetsMoved` where another writer was first (`begin` again), `StoreFailed` where nothing was written.
        """
        if not self._gathered:
            return {}
        piece = _joined(self._parts, dict(self._ends))
        try:
            added = self._writer.append(piece)
        except OffsetsMoved:
            self._clear()
            raise
        self._count(added, len(piece.batch) - added)
        self._clear()
        return piece.ends

    def _found_anew(self, offsets: Mapping[int, int], kept_of: KeptOf) -> list[MadeAnew]:
        found = [MadeAnew(partition, offset, kept_of(partition)) for partition, offset in offsets.items()]
        return [one for one in found if one.kept.anew or one.stood > one.kept.high]

    def _count(self, added: int, repeated: int) -> None:
        self._added += added
        self._repeated += repeated
        refused = 0
        for part in self._parts:
            for reason, count in part.refused.items():
                self._refused[reason] = self._refused.get(reason, 0) + count
                refused += count
        for outcome, count in (("added", added), ("repeated", repeated), ("refused", refused)):
            if count:
                self._recorder.count(names.FEATURES_STORED, count, (self._view, outcome))

    def _clear(self) -> None:
        self._parts, self._ends, self._gathered = [], {}, 0


class FromBeginning:
    """Where to begin partitions whose whole topic is read again: where this process has got to, whatever the table holds."""

    def __init__(self, materializer: Materializer) -> None:
        self._materializer = materializer
        self._reached: dict[int, int] = {}

    def begin(self, partitions: Sequence[int], kept_of: KeptOf | None = None) -> Mapping[int, int]:
        """As `Materializer.begin`. A partition that goes and comes back is read on, not from its beginning once more."""
        before = len(self._materializer.made_anew)
        offsets = self._materializer.begin(partitions, kept_of)
        for one in self._materializer.made_anew[before:]:
            self._reached.pop(one.partition, None)
        return {
            partition: min(offset, self._reached.get(partition, 0)) for partition, offset in offsets.items()
        }

    def note(self, ends: Mapping[int, int]) -> None:
        """So far the commits have come."""
        self._reached |= ends


def _joined(parts: Sequence[Decoded], ends: Mapping[int, int]) -> Piece:
    batches = [part.rows for part in parts]
    batch = FeatureBatch(
        [entity for one in batches for entity in one.entities],
        np.concatenate([one.event_time for one in batches]),
        np.concatenate([one.created_time for one in batches]),
        np.concatenate([one.values for one in batches]),
    )
    return Piece(
        batch,
        np.concatenate([part.partition for part in parts]),
        np.concatenate([part.offset for part in parts]),
        ends,
    )
