"""One contract over both sinks: a day is there whole or not at all, and written again it stands once."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from mesh.backfill.scoring import RowScorer
from mesh.backfill.sinks import DaySink, DeltaSink, ParquetSink
from mesh.runtimes.base import Artifact
from tests.fakes.feature_rows import a_batch, days

DAY, NEXT = "2026-01-02", "2026-01-03"
Make = Callable[[Path, str], DaySink]


def to_delta(folder: Path, model: str) -> DaySink:
    return DeltaSink(str(folder / "scores"), model)


def to_parquet(folder: Path, model: str) -> DaySink:
    return ParquetSink(folder / "scores", model)


def rows_in(folder: Path) -> list[tuple[str, str, float]]:
    """Model, entity and first output of every row."""
    found = pa.concat_tables(
        [DeltaTable(str(folder / "scores")).to_pyarrow_table()]
        if (folder / "scores/_delta_log").exists()
        else [pq.read_table(path) for path in sorted((folder / "scores").glob("*.parquet"))]
    )
    names = ("model", "entity", "features.0")
    return sorted(zip(*(found[name].to_pylist() for name in names), strict=True))


def scored(model: str, *rows: tuple[str, int, float]) -> Iterator[pa.Table]:
    scorer = RowScorer(Artifact(model, "identity"), [0, 1])
    for row in rows:
        yield scorer.score(a_batch([row]))


@pytest.fixture(params=[to_delta, to_parquet])
def make(request: pytest.FixtureRequest) -> Make:
    return request.param


def test_a_day_that_was_written_is_known_by_its_key(make: Make, tmp_path):
    sink = make(tmp_path, "echo")
    assert not sink.has(DAY, 7)
    assert sink.write(DAY, 7, scored("echo", ("a", 0, 1.0), ("b", 1, 2.0))) == 2
    again = make(tmp_path, "echo")
    assert (again.has(DAY, 7), again.has(DAY, 8), again.has(NEXT, 7)) == (True, False, False)
    assert rows_in(tmp_path) == [("echo", "a", 1.0), ("echo", "b", 2.0)]


def test_written_again_a_day_takes_its_own_place_and_no_other(make: Make, tmp_path):
    one, other = make(tmp_path, "echo"), make(tmp_path, "rival")
    one.write(DAY, 1, scored("echo", ("a", 0, 1.0)))
    one.write(NEXT, 1, scored("echo", ("a", days(1), 2.0)))
    other.write(DAY, 1, scored("rival", ("a", 0, 3.0)))
    one.write(DAY, 2, scored("echo", ("a", 0, 9.0)))
    assert rows_in(tmp_path) == [("echo", "a", 2.0), ("echo", "a", 9.0), ("rival", "a", 3.0)]
    assert (one.has(DAY, 2), one.has(NEXT, 1), other.has(DAY, 1)) == (True, True, True)


def test_a_day_that_breaks_off_leaves_what_was_there(make: Make, tmp_path):
    def broken() -> Iterator[pa.Table]:
        yield from scored("echo", ("a", 0, 5.0))
        raise RuntimeError("the machine went away")

    sink = make(tmp_path, "echo")
    sink.write(DAY, 1, scored("echo", ("a", 0, 1.0)))
    with pytest.raises(Exception, match="the machine went away"):
        sink.write(DAY, 2, broken())
    assert rows_in(tmp_path) == [("echo", "a", 1.0)]
    assert sink.has(DAY, 1)


def test_no_rows_write_nothing(make: Make, tmp_path):
    sink = make(tmp_path, "echo")
    assert sink.write(DAY, 1, iter(())) == 0
    assert not sink.has(DAY, 1)
