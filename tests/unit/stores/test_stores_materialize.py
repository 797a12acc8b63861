"""Gathering and committing, with a writer in memory: when, what is counted, and what another writer means."""

import pytest

from mesh.stores.errors import OffsetsMoved
from mesh.stores.materialize import CommitPolicy, FromBeginning, Materializer
from mesh.stores.records import RowDecoder
from mesh.telemetry import names
from mesh.telemetry.recorder import Recorder
from tests.fakes.feature_rows import T0, a_record, a_view


class MemoryWriter:
    """Keeps rows by entity and time."""

    def __init__(self):
        self.rows, self.offsets, self.commits = {}, {}, []
        self.moved = False

    def begin(self, partitions):
        return {partition: self.offsets.get(partition, 0) for partition in partitions}

    def append(self, piece):
        if self.moved:
            raise OffsetsMoved(0, 1, 2)
        before = len(self.rows)
        for entity, time in zip(piece.batch.entities, piece.batch.event_time.tolist(), strict=True):
            self.rows.setdefault((entity, time), len(self.rows))
        self.offsets |= piece.ends
        self.commits.append(dict(piece.ends))
        return len(self.rows) - before


@pytest.fixture
def writer():
    return MemoryWriter()


@pytest.fixture
def recorder():
    return Recorder()


@pytest.fixture
def materializer(writer, recorder):
    made = Materializer("telemetry", RowDecoder(a_view()), writer, CommitPolicy(10, 5.0), recorder)
    made.begin([0, 1])
    return made


def records(offsets, partition=0):
    return [a_record("pump-7", T0 + offset, offset, partition) for offset in offsets]


def test_a_commit_is_due_by_count_or_by_age(materializer):
    assert not materializer.due(100.0)
    materializer.take(records(range(9)), 100.0)
    assert not materializer.due(104.9)
    assert materializer.due(105.0)
    materializer.take(records([9]), 100.1)
    assert materializer.due(100.1)


def test_rows_go_in_with_the_offsets_after_them(materializer, writer):
    materializer.take(records(range(3)), 0.0)
    materializer.take(records(range(5), 1), 0.0)
    assert materializer.flush() == {0: 3, 1: 5}
    assert writer.commits == [{0: 3, 1: 5}]
    assert not materializer.due(1e9)
    assert materializer.flush() == {}


def test_everything_is_counted(materializer, recorder):
    materializer.take([*records(range(3)), a_record("pump-7", T0, 3), a_record("", T0, 4)], 0.0)
    assert materializer.totals.records == 0
    materializer.flush()
    totals = materializer.totals
    assert (totals.added, totals.repeated, totals.refused, totals.lost) == (3, 1, {"no entity": 1}, 0)
    counted = recorder.snapshot().counters[names.FEATURES_STORED.name]
    assert counted == {("telemetry", "added"): 3, ("telemetry", "repeated"): 1, ("telemetry", "refused"): 1}


def test_refused_records_move_the_offset_too(materializer, writer):
    materializer.take([a_record("", T0, 0)], 0.0)
    assert materializer.flush() == {0: 1}
    assert writer.rows == {}


def test_offsets_that_kafka_no_longer_has_are_counted(materializer, writer):
    writer.offsets[0] = 10
    materializer.begin([0])
    materializer.take(records([15, 16]), 0.0)
    assert materializer.totals.lost == 5


def test_a_new_assignment_drops_what_had_gathered(materializer, writer):
    materializer.take(records(range(3)), 0.0)
    materializer.begin([1])
    assert materializer.flush() == {}
    assert writer.rows == {}


def test_reading_all_again_goes_on_where_it_had_got_to(materializer, writer):
    again = FromBeginning(materializer)
    writer.offsets |= {0: 10, 1: 3}
    assert again.begin([0, 1]) == {0: 0, 1: 0}
    materializer.take(records(range(4)), 0.0)
    again.note(materializer.flush())
    writer.offsets[0] = 10
    assert again.begin([0]) == {0: 4}
    again.note({0: 12})
    assert again.begin([0]) == {0: 10}


def test_another_writer_leaves_nothing_half_done(materializer, writer):
    materializer.take(records(range(3)), 0.0)
    writer.moved = True
    with pytest.raises(OffsetsMoved, match="the table is at offset 2, not 1 any more"):
        materializer.flush()
    writer.moved = False
    assert materializer.flush() == {}
    assert materializer.totals.records == 0
