"""Appends to a view's table, exactly once: a batch and the Kafka offsets that it ends at are one commit.

The offset of each partition is an application transaction of the table (`txn` of the Delta protocol). Two writers of one
partition therefore conflict, whichever is first has won, and a batch that is sent again is recognised by its offset. A record
that Kafka holds twice, at two offsets, is recognised by its entity and event time; the first stays.

A topic that was made anew counts from 0 again. Each of its lives has offsets of its own in the table, and which life a partition
is in is an application transaction too, so that a writer of the life before conflicts with whoever began the next.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
from deltalake import CommitProperties, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError

from mesh.stores.delta_table import milliseconds, open_table, schema_of, times, to_arrow, told
from mesh.stores.errors import OffsetsMoved, StoreFailed
from mesh.stores.novelty import Novelty
from mesh.stores.rows import FeatureBatch, Piece
from mesh.stores.views import DAY_MS, FeatureView

_TRIES: Final = 5
_NEVER: Final = int(np.iinfo(np.int64).min)
_ALWAYS: Final = int(np.iinfo(np.int64).max)


class DeltaWriter:
    """The one writer of the partitions that it has begun."""

    def __init__(self, address: str, view: FeatureView) -> None:
        """Opens the table, and makes it where it is not there. Raises `StoreFailed`."""
        self._view, self._address = view, address
        self._table = open_table(address, view, create=True)
        self._committed: dict[int, int] = {}
        self._lives: dict[int, int] = {}
        self._novelty = Novelty(_ALWAYS)

    def begin(self, partitions: Sequence[int]) -> Mapping[int, int]:
        """Take these partitions and no others: the offset to read each from, 0 where none of it is in the table."""
        self._committed, self._lives = {}, {}
        if not partitions:
            return {}
        with told(self._address):
            self._table.update_incremental()
            self._lives = {partition: self._life(partition) for partition in partitions}
            self._committed = {partition: self._offset(partition) for partition in partitions}
            self._novelty = Novelty(self._newest())
        return dict(self._committed)

    def begin_anew(self, lowest: Mapping[int, int]) -> Mapping[int, int]:
        """The topic was made anew: what is in the table of these partitions is of its life before, the next begins at `lowest`.

        It is written down at once: once the new topic has grown past the old offset, nothing tells the two apart. The offset to
        read each partition from, as `begin`; it is another writer's where that one was first. Raises `StoreFailed`.
        """
        for _ in range(_TRIES):
            with told(self._address):
                wanted = {part: low for part, low in lowest.items() if self._life(part) == self._lives[part]}
                try:
                    if wanted:
                        self._write_lives(wanted)
                except CommitFailedError:
                    self._table.update_incremental()
                    continue
            return self.begin(list(self._lives))
        raise self._beaten()

    def append(self, piece: Piece) -> int:
        """Put a piece into the table: how many of its rows were not there yet.

        Raises `OffsetsMoved` where another writer has gone on with one of its partitions (nothing is written then), and
        `StoreFailed`.
        """
        for _ in range(_TRIES):
            with told(self._address):
                self._check_offsets(piece.ends)
                rows = self._new_rows(piece.batch)
                try:
                    self._commit(piece, rows)
                except CommitFailedError:
                    self._table.update_incremental()
                    continue
                for partition, end in piece.ends.items():
                    self._committed[partition] = max(end, self._committed[partition])
                self._novelty.note(piece.batch.entities, piece.batch.event_time)
                return len(rows)
        raise self._beaten()

    def _beaten(self) -> StoreFailed:
        return StoreFailed(
            f"the history at {self._address}: {_TRIES} commits in a row met another writer's; "
            "run fewer materializers, or give each more rows a commit"
        )

    def _write_lives(self, lowest: Mapping[int, int]) -> None:
        transactions = []
        for partition, low in lowest.items():
            life = self._lives[partition] + 1
            # The old offset stays what it was; that it is written makes a commit of the old life conflict with this one.
            transactions += [
                Transaction(self._application(partition), self._committed[partition]),
                Transaction(self._lives_of(partition), life),
                Transaction(_application(self._view.topic, partition, life), low),
            ]
        self._write_nothing(CommitProperties(app_transactions=transactions))

    def _write_nothing(self, properties: CommitProperties) -> None:
        """A commit without rows."""
        self._table.create_write_transaction(
            [], "append", schema_of(self._view), commit_properties=properties
        )

    def _commit(self, piece: Piece, rows: np.ndarray) -> None:
        transactions = [
            Transaction(self._application(partition), max(end, self._committed[partition]))
            for partition, end in piece.ends.items()
        ]
        properties = CommitProperties(app_transactions=transactions)
        if len(rows):
            batch = piece.batch.take(rows)
            data = to_arrow(self._view, batch, piece.partition[rows], piece.offset[rows])
            write_deltalake(self._table, data, mode="append", commit_properties=properties)
        else:
            self._write_nothing(properties)
        self._table.update_incremental()

    def _check_offsets(self, ends: Mapping[int, int]) -> None:
        for partition in ends:
            found = self._offset(partition)
            anew = self._life(partition) != self._lives[partition]
            if anew or found != self._committed[partition]:
                raise OffsetsMoved(partition, self._committed[partition], found)

    def _offset(self, partition: int) -> int:
        return self._table.transaction_version(self._application(partition)) or 0

    def _life(self, partition: int) -> int:
        """How often the topic was made anew, as far as the table knows."""
        return self._table.transaction_version(self._lives_of(partition)) or 0

    def _lives_of(self, partition: int) -> str:
        return f"{self._view.topic}/{partition}/lives"

    def _application(self, partition: int) -> str:
        return _application(self._view.topic, partition, self._lives[partition])

    def _newest(self) -> int:
        """The newest event time in the table, from its log; where the log does not say, all rows are looked up."""
        added = pa.table(self._table.get_add_actions(flatten=True))
        if not added.num_rows:
            return _NEVER
        if "max.event_time" not in added.column_names or added["max.event_time"].null_count:
            return _ALWAYS
        return int(milliseconds(added["max.event_time"].cast(pa.timestamp("us", "UTC"))).max())

    def _new_rows(self, batch: FeatureBatch) -> np.ndarray:
        """Positions of the rows that are not in the table, each once."""
        found = self._novelty.sort(batch.entities, batch.event_time)
        if not len(found.unsure):
            return found.new
        there = self._lookup(batch.take(found.unsure))
        known = found.unsure[there]
        return np.setdiff1d(found.new, known, assume_unique=True)

    def _lookup(self, batch: FeatureBatch) -> np.ndarray:
        """Which of these rows are in the table, bool [N]. Reads only files whose statistics allow for them."""
        days = np.unique(batch.event_time // DAY_MS).astype(np.int32)
        names = pa.array(sorted(set(batch.entities)), pa.string())
        wanted = (
            ds.field("day").isin(pa.array(days).cast(pa.date32()))
            & (ds.field("event_time") >= times(batch.event_time.min(keepdims=True))[0])
            & (ds.field("event_time") <= times(batch.event_time.max(keepdims=True))[0])
            & ds.field("entity").isin(names)
            & ds.field("event_time").isin(times(np.unique(batch.event_time)))
        )
        found = self._table.to_pyarrow_dataset().to_table(columns=["entity", "event_time"], filter=wanted)
        keys = set(zip(found["entity"].to_pylist(), milliseconds(found["event_time"]).tolist(), strict=True))
        asked = zip(batch.entities, batch.event_time.tolist(), strict=True)
        return np.fromiter((key in keys for key in asked), bool, len(batch))


def _application(topic: str, partition: int, life: int) -> str:
    """Whose version is the offset of a partition; the first life has the name that all offsets had before there were lives."""
    return f"{topic}/{partition}/life-{life}" if life else f"{topic}/{partition}"
