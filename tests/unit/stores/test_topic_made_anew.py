"""A features topic that was made anew, into a real table: every row arrives once, and the table says where to go on."""

import numpy as np
import pytest

from mesh.stores.delta_reader import FOREVER, DeltaReader
from mesh.stores.delta_writer import DeltaWriter
from mesh.stores.errors import OffsetsMoved
from mesh.stores.materialize import CommitPolicy, FromBeginning, Kept, Materializer
from mesh.stores.records import RowDecoder
from mesh.stores.rows import Piece
from mesh.telemetry.recorder import Recorder
from tests.fakes.feature_rows import T0, a_batch, a_record, a_view

VIEW = a_view()
OLD, NEW = 5_000, 3_000


def rows_of(address: str) -> list[int]:
    batches = DeltaReader(address, VIEW).history("pump-7", 0, FOREVER)
    return sorted(at - T0 for batch in batches for at in batch.event_time.tolist())


def piece(first: int, count: int, offset: int, partition: int = 0) -> Piece:
    batch = a_batch([("pump-7", at) for at in range(first, first + count)])
    places = np.full(count, partition), np.arange(offset, offset + count)
    return Piece(batch, *places, {partition: offset + count})


@pytest.fixture
def address(tmp_path) -> str:
    """A table whose partition 0 stands at 5000."""
    where = str(tmp_path / "telemetry")
    writer = DeltaWriter(where, VIEW)
    writer.begin([0])
    writer.append(piece(0, 100, OLD - 100))
    return where


def a_materializer(address: str) -> Materializer:
    return Materializer(
        "telemetry", RowDecoder(VIEW), DeltaWriter(address, VIEW), CommitPolicy(500, 5.0), Recorder()
    )


def read(address: str, high: int, low: int = 0) -> Materializer:
    """Materialize all that a topic holds, offsets `low` up to `high`; its rows are of other times than the old topic's."""
    made = a_materializer(address)
    start = made.begin([0], lambda _: Kept(low, high))[0]
    for offset in range(max(start, low), high):
        made.take([a_record("pump-7", T0 + OLD + offset, offset)], 0.0)
        if made.due(0.0):
            made.flush()
    made.flush()
    return made


def test_all_of_the_new_topic_arrives_once_and_later_rows_go_on(address):
    first = read(address, NEW)
    assert [(one.partition, one.stood, one.kept.high) for one in first.made_anew] == [(0, OLD, NEW)]
    assert "below offset 5,000, and Kafka holds 0 up to 3,000: read from 0 on" in str(first.made_anew[0])
    assert (first.totals.added, first.totals.lost) == (NEW, 0)
    again = read(address, NEW)
    assert (again.totals.records, again.made_anew) == (0, [])
    later = read(address, NEW + 2_500)
    assert (later.totals.added, later.totals.repeated, later.made_anew) == (2_500, 0, [])
    assert rows_of(address) == [*range(100), *range(OLD, OLD + NEW + 2_500)]


def test_it_is_written_down_before_the_first_row(address):
    """Once the new topic has grown past the old offset, Kafka does not tell that it was made anew."""
    assert a_materializer(address).begin([0], lambda _: Kept(0, 0)) == {0: 0}
    assert read(address, OLD + 10).totals.added == OLD + 10


def test_rows_that_the_old_topic_held_too_are_not_added_again(address):
    made = a_materializer(address)
    assert made.begin([0], lambda _: Kept(0, 100)) == {0: 0}
    made.take([a_record("pump-7", T0 + at, at) for at in range(100)], 0.0)
    made.flush()
    assert (made.totals.added, made.totals.repeated) == (0, 100)


def test_made_anew_twice_each_life_has_its_own_offsets(address):
    read(address, NEW)
    made = read(address, 20, low=10)
    assert [(one.stood, one.kept.low) for one in made.made_anew] == [(NEW, 10)]
    assert DeltaWriter(address, VIEW).begin([0]) == {0: 20}


def test_all_of_it_again_is_a_new_life_too(address):
    made = a_materializer(address)
    assert FromBeginning(made).begin([0], lambda _: Kept(0, NEW)) == {0: 0}
    made.take([a_record("pump-7", T0 + OLD + at, at) for at in range(7)], 0.0)
    made.flush()
    assert DeltaWriter(address, VIEW).begin([0]) == {0: 7}


def test_of_two_writers_one_begins_the_new_life(address):
    one, other, old = (DeltaWriter(address, VIEW) for _ in range(3))
    for writer in (one, other, old):
        writer.begin([0])
    assert one.begin_anew({0: 0}) == {0: 0}
    one.append(piece(OLD, 7, 0))
    assert other.begin_anew({0: 0}) == {0: 7}
    with pytest.raises(OffsetsMoved):
        old.append(piece(200, 1, OLD))
    assert rows_of(address) == [*range(100), *range(OLD, OLD + 7)]


def test_other_partitions_stay_as_they_are(address):
    writer = DeltaWriter(address, VIEW)
    writer.begin([0, 1])
    writer.append(piece(200, 5, 0, partition=1))
    assert writer.begin_anew({0: 0}) == {0: 0, 1: 5}
