"""The history on a folder and on a real S3 server: appends with offsets, reads of what was known when, tiers."""

import os
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from mesh.stores import Piece, Window
from mesh.stores.delta_reader import FOREVER, DeltaReader, Questions
from mesh.stores.delta_tiers import DeltaTiers
from mesh.stores.delta_writer import DeltaWriter
from mesh.stores.errors import OffsetsMoved, StoreFailed
from mesh.stores.parquet_file import write_parquet
from tests.fakes.feature_rows import AGEING, T0, a_batch, a_view, days
from tests.fakes.s3_server import s3_bucket

VIEW = a_view(tiers=AGEING)


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """A folder in a bucket of an S3 server."""
    with s3_bucket("plant") as bucket:
        yield f"{bucket}/features"


@pytest.fixture(params=["folder", "s3"])
def address(request: pytest.FixtureRequest, tmp_path) -> str:
    if request.param == "folder":
        return str(tmp_path / "telemetry")
    return f"{request.getfixturevalue('s3')}/{request.node.callspec.id}-{time.monotonic_ns()}"


@pytest.fixture
def folder(tmp_path) -> str:
    return str(tmp_path / "telemetry")


def piece(rows, start=0, partition=0, **created) -> Piece:
    batch = a_batch(rows, **created)
    count = len(batch)
    return Piece(
        batch, np.full(count, partition), np.arange(start, start + count), {partition: start + count}
    )


def written(address, *pieces) -> DeltaWriter:
    writer = DeltaWriter(address, VIEW)
    writer.begin([0, 1])
    for one in pieces:
        writer.append(one)
    return writer


def keys(address, entity="a", **limits):
    batches = DeltaReader(address, VIEW).history(entity, 0, FOREVER, **limits)
    return [at - T0 for batch in batches for at in batch.event_time.tolist()]


def test_rows_and_offsets_are_one_commit(address):
    written(address, piece([("a", 0), ("a", 1000)]), piece([("b", 0)], partition=1))
    assert DeltaWriter(address, VIEW).begin([0, 1, 2]) == {0: 2, 1: 1, 2: 0}
    assert keys(address) == [0, 1000]


def test_a_row_that_kafka_holds_twice_is_added_once(address):
    writer = written(address, piece([("a", 0), ("a", 1000), ("a", 0)]))
    assert writer.append(piece([("a", 1000), ("a", 500), ("b", 1000)], 3)) == 2
    again = DeltaWriter(address, VIEW)
    again.begin([0])
    assert again.append(piece([("a", 0), ("a", 500), ("a", 1500)], 6)) == 1
    assert keys(address) == [0, 500, 1000, 1500]


def test_repeats_alone_move_the_offset(folder):
    writer = written(folder, piece([("a", 0)]))
    assert writer.append(piece([("a", 0)], 1)) == 0
    assert writer.append(Piece(a_batch([]), np.empty(0, int), np.empty(0, int), {0: 9})) == 0
    assert DeltaWriter(folder, VIEW).begin([0]) == {0: 9}


def test_offsets_outlive_checkpoints_and_the_log_before_them(folder):
    """A partition that has been silent for long is not read from its beginning again."""
    writer = written(folder, piece([("b", 0)], partition=1))
    for n in range(60):
        writer.append(piece([("a", n)], n))
    assert list(Path(folder).glob("_delta_log/*.checkpoint.parquet"))
    list(DeltaTiers(folder, VIEW).expire(T0, [], dry_run=False))
    assert DeltaWriter(folder, VIEW).begin([0, 1]) == {0: 60, 1: 1}


def test_an_empty_history_answers_nothing(address):
    DeltaWriter(address, VIEW)
    reader = DeltaReader(address, VIEW)
    assert keys(address) == []
    assert len(reader.newest(5, 5)) == 0
    assert len(reader.row_at("a", T0)) == 0
    assert DeltaTiers(address, VIEW).days() == []


def test_of_two_writers_of_a_partition_the_first_wins(address):
    written(address, piece([("a", 0)]))
    first, second = DeltaWriter(address, VIEW), DeltaWriter(address, VIEW)
    first.begin([0])
    second.begin([0])
    assert first.append(piece([("a", 1000)], 1)) == 1
    with pytest.raises(OffsetsMoved):
        second.append(piece([("a", 1000)], 1))
    assert second.begin([0]) == {0: 2}
    assert keys(address) == [0, 1000]


def test_writers_of_different_partitions_do_not_disturb_each_other(address):
    failed = []

    def write(partition: int) -> None:
        try:
            writer = DeltaWriter(address, VIEW)
            writer.begin([partition])
            for n in range(5):
                writer.append(piece([(f"e{partition}", n * 10 + k) for k in range(10)], n * 10, partition))
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=[partition]) for partition in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(240)
    assert failed == []
    assert [len(keys(address, f"e{partition}")) for partition in range(3)] == [50, 50, 50]


def test_reading_from_the_beginning_again_adds_nothing_and_keeps_the_offset(folder):
    rows = [("a", n * 1000) for n in range(20)]
    written(folder, piece(rows))
    writer = DeltaWriter(folder, VIEW)
    writer.begin([0])
    assert writer.append(piece(rows[:10])) == 0
    assert writer.append(piece(rows[10:], 10)) == 0
    assert writer.append(piece([("a", 99_000)], 20)) == 1
    assert DeltaWriter(folder, VIEW).begin([0]) == {0: 21}


def test_history_over_days_in_order_of_time(address):
    day = days(1)
    written(
        address, piece([("a", 2 * day), ("b", 5)]), piece([("a", 7), ("a", 3), ("a", day)], 2, created=900)
    )
    assert keys(address) == [3, 7, day, 2 * day]
    reader = DeltaReader(address, VIEW)
    assert [len(batch) for batch in reader.history("a", T0 + 7, T0 + day)] == [1, 1]
    assert keys(address, known_at=T0 + 903) == [3]
    assert keys(address, "nobody") == []


def test_point_in_time_reads_are_those_of_a_plain_loop(address):
    rng = np.random.default_rng(5)
    writer = DeltaWriter(address, VIEW)
    writer.begin([0])
    rows = {}
    for start in range(0, 400, 100):
        batch = a_batch([(f"e{rng.integers(4)}", int(rng.integers(0, days(3)))) for _ in range(100)])
        batch = replace(batch, created_time=batch.event_time + rng.integers(0, days(1), 100))
        writer.append(Piece(batch, np.zeros(100, int), np.arange(start, start + 100), {0: start + 100}))
        for n, key in enumerate(zip(batch.entities, batch.event_time.tolist(), strict=True)):
            rows.setdefault(key, (int(batch.created_time[n]), batch.values[n].tolist()))
    asks = [
        (f"e{rng.integers(5)}", T0 + int(rng.integers(0, days(3))), T0 + int(rng.integers(0, days(4))))
        for _ in range(200)
    ]
    entities, as_of, known_at = zip(*asks, strict=True)
    found = DeltaReader(address, VIEW).point_in_time(Questions(entities, np.array(as_of), np.array(known_at)))
    for n, (entity, at, known) in enumerate(asks):
        fits = [
            (event, *rows[of, event])
            for of, event in rows
            if of == entity and at - VIEW.ttl_ms <= event <= at and rows[of, event][0] <= known
        ]
        assert bool(found.found[n]) == bool(fits)
        if fits:
            event, created, values = max(fits)
            assert (found.event_time[n], found.created_time[n]) == (event, created)
            assert found.values[n].tolist() == values
        else:
            assert np.isnan(found.values[n]).all()
    assert 20 < found.found.sum() < 180


def test_the_row_of_one_moment(folder):
    written(folder, piece([("a", 0)]), piece([("a", 1000)], 1, created=5_000))
    reader = DeltaReader(folder, VIEW)
    assert reader.row_at("a", T0 + 2000).event_time.tolist() == [T0 + 1000]
    assert reader.row_at("a", T0 + 2000, T0 + 3000).event_time.tolist() == [T0]
    assert len(reader.row_at("a", T0 + 1000 + VIEW.ttl_ms + 1)) == 0


def test_the_newest_row_of_each_entity(address):
    day = days(1)
    written(
        address, piece([("a", 0), ("b", 5), ("c", 9)]), piece([("a", day), ("b", day + 3), ("b", day + 1)], 3)
    )
    found = DeltaReader(address, VIEW).newest(10, 5)
    assert dict(zip(found.entities, (found.event_time - T0).tolist(), strict=True)) == {
        "a": day,
        "b": day + 3,
        "c": 9,
    }
    assert found.values[list(found.entities).index("b"), 0] == (day + 3) / 1000
    assert set(DeltaReader(address, VIEW).newest(10, 1).entities) == {"a", "b"}
    assert len(DeltaReader(address, VIEW).newest(2, 5)) == 2


def minutes(entity, count, every_ms=10_000):
    return [(entity, n * every_ms) for n in range(count)]


def test_a_day_is_joined_then_thinned_out_then_goes(address):
    pieces = [piece(minutes("a", 60)[k::3] + minutes("b", 60)[k::3], k * 40) for k in range(3)]
    written(address, *pieces)
    tiers, kept = DeltaTiers(address, VIEW), [Window("b", T0, T0 + 120_000)]
    assert [(day.rows, day.files) for day in tiers.days()] == [(120, 3)]
    assert list(tiers.compact(T0, kept, dry_run=False)) == []
    now = T0 + days(1.5)
    assert [(change.action, change.rows_left) for change in tiers.compact(now, kept, dry_run=True)] == [
        ("join", 120)
    ]
    assert tiers.days()[0].files == 3
    list(tiers.compact(now, kept, dry_run=False))
    assert (tiers.days()[0].rows, tiers.days()[0].files) == (120, 1)

    (change,) = tiers.compact(T0 + days(4), kept, dry_run=False)
    assert change.action == "thin out"
    reader = DeltaReader(address, VIEW)
    thinned = [at for batch in reader.history("a", 0, FOREVER) for at in batch.event_time.tolist()]
    assert len({at // 60_000 for at in thinned}) == len(thinned) == 10
    assert keys(address, "b")[:13] == [n * 10_000 for n in range(13)]
    assert list(tiers.compact(T0 + days(4), kept, dry_run=False)) == []

    (change,) = tiers.expire(T0 + days(20), kept, dry_run=False)
    assert (change.action, change.rows_left) == ("expire", 13)
    assert keys(address, "a") == []
    assert list(tiers.expire(T0 + days(20), kept, dry_run=False)) == []
    list(tiers.expire(T0 + days(20), [], dry_run=False))
    assert tiers.days() == []
    assert DeltaWriter(address, VIEW).begin([0]) == {0: 120}


def test_a_late_row_joins_a_day_that_was_thinned_out(folder):
    writer = written(folder, piece(minutes("a", 60)))
    list(DeltaTiers(folder, VIEW).compact(T0 + days(4), [], dry_run=False))
    assert writer.append(piece([("a", 5), ("z", 5)], 60)) == 2
    tiers = DeltaTiers(folder, VIEW)
    assert (tiers.days()[0].full_files, tiers.days()[0].cold_files) == (1, 1)
    list(tiers.compact(T0 + days(4), [], dry_run=False))
    assert (tiers.days()[0].full_files, keys(folder, "z")) == (0, [5])


def test_rows_that_come_while_a_day_is_rewritten_are_not_lost(folder):
    writer = written(folder, piece(minutes("a", 60)))
    tiers = DeltaTiers(folder, VIEW)
    writer.append(piece([("late", 1)], 60))
    (change,) = tiers.compact(T0 + days(4), [], dry_run=False)
    assert change.rows_left == 11
    assert keys(folder, "late") == [1]


def test_what_a_dead_writer_left_goes_after_a_week(folder):
    written(folder, piece([("a", 0)]))
    orphan = Path(folder) / "day=2026-01-02" / "tier=full" / "part-0-orphan.parquet"
    orphan.write_bytes(b"half a file")
    young = orphan.with_name("part-1-being-written.parquet")
    young.write_bytes(b"half a file")
    os.utime(orphan, (0, 0))
    list(DeltaTiers(folder, VIEW).expire(T0, [], dry_run=False))
    assert (orphan.exists(), young.exists(), keys(folder)) == (False, True, [0])


def test_rows_become_a_parquet_file(folder, tmp_path):
    written(folder, piece([("a", 0), ("a", 1000)]))
    write_parquet(VIEW, DeltaReader(folder, VIEW).history("a", 0, FOREVER), tmp_path / "rows.parquet")
    rows = pq.read_table(tmp_path / "rows.parquet")
    assert rows.column_names == ["entity", "event_time", "created_time", *VIEW.columns]
    assert rows["temp.mean"].to_pylist() == [0.0, 1.0]


def test_a_history_that_is_not_there_says_what_to_do(folder):
    with pytest.raises(StoreFailed, match="run hyperstream features materialize"):
        DeltaReader(folder, VIEW)


def test_a_bucket_that_is_not_there_is_said(s3):
    with pytest.raises(StoreFailed, match="AWS_ENDPOINT_URL"):
        DeltaWriter("s3://nowhere/features", VIEW)
