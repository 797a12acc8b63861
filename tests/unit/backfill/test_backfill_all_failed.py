"""A batch in which every row failed has the columns of one that was answered, wherever in a day it stands."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from mesh.backfill.columns import of_one_schema
from mesh.backfill.scoring import _outputs
from mesh.backfill.sinks import DeltaSink, ParquetSink
from mesh.routing.types import Scored, Signature, TensorSpec
from mesh.stores.errors import StoreFailed

OUTPUTS = {
    "numeric": (TensorSpec("score", "FP32", (-1, 2)), np.ones((2, 2), np.float32)),
    "text": (TensorSpec("label", "BYTES", (-1, 1)), np.array([[b"low"], [b"high"]], object)),
    "open": (TensorSpec("probabilities", "FP32", (-1, -1)), np.ones((2, 3), np.float32)),
    "open text": (TensorSpec("labels", "BYTES", (-1, -1)), np.full((2, 2), b"low", object)),
}


def a_table(spec: TensorSpec, values: np.ndarray | None) -> pa.Table:
    failed = {} if values is not None else {0: "ValueError: no", 1: "ValueError: no"}
    scored = Scored({} if values is None else {spec.name: values}, None, "1", failed)
    fixed = {
        "entity": pa.array(["a", "b"]),
        "day": pa.array([20_455] * 2, pa.int32()).cast(pa.date32()),
        "model": pa.array(["m", "m"]),
    }
    reasons = pa.array([failed.get(row) for row in range(2)], pa.string())
    return pa.table(fixed | _outputs(Signature((), (spec,)), scored, 2) | {"failed": reasons})


def test_text_is_text():
    assert a_table(*OUTPUTS["text"])["label"].to_pylist() == ["low", "high"]


def written(folder: Path, kind: str, *tables: pa.Table) -> pa.Table:
    if kind == "delta":
        DeltaSink(str(folder / "scores"), "m").write("2026-01-02", 1, iter(tables))
        return DeltaTable(str(folder / "scores")).to_pyarrow_table()
    ParquetSink(folder / "scores", "m").write("2026-01-02", 1, iter(tables))
    return pq.read_table(folder / "scores/m-2026-01-02.parquet")


@pytest.mark.parametrize("kind", ["delta", "parquet"])
@pytest.mark.parametrize("where", ["first", "last"])
@pytest.mark.parametrize("output", OUTPUTS)
def test_it_stands_with_nulls_beside_the_answered_one(output: str, where: str, kind: str, tmp_path: Path):
    spec, values = OUTPUTS[output]
    good, bad = a_table(spec, values), a_table(spec, None)
    found = written(tmp_path, kind, *((bad, good) if where == "first" else (good, bad)))
    assert set(found.column_names) == set(good.column_names)
    names = [name for name in good.column_names if name.startswith(spec.name)]
    for name in names:
        assert (found[name].null_count, found[name].type) == (2, good[name].type)
    assert found["failed"].null_count == 2


def test_what_is_held_back_until_a_row_is_answered_takes_no_memory():
    spec, values = OUTPUTS["open"]
    many = pa.concat_tables([a_table(spec, None)] * 5_000)
    before, most = pa.total_allocated_bytes(), 0

    def day():
        nonlocal most
        for _ in range(20):
            yield many.take(pa.array(range(many.num_rows)))
            most = max(most, pa.total_allocated_bytes() - before)
        yield a_table(spec, values)

    rows = sum(table.num_rows for table in of_one_schema(day()))
    assert rows == 20 * many.num_rows + 2
    assert most < 5 * many.nbytes


@pytest.mark.parametrize("kind", ["delta", "parquet"])
def test_a_day_without_any_answer_is_written(kind: str, tmp_path: Path):
    bad = a_table(OUTPUTS["open"][0], None)
    assert written(tmp_path, kind, bad, bad)["failed"].null_count == 0


@pytest.mark.parametrize("kind", ["delta", "parquet"])
@pytest.mark.parametrize(
    ("later", "words"),
    [
        (np.ones((2, 4), np.float32), "column 'probabilities.3' is not in the first batch"),
        (np.ones((2, 2), np.float32), "column 'probabilities.2' of the first batch is not in a later one"),
        (np.full((2, 3), b"x", object), "column 'probabilities.0' is string, and double in the first batch"),
    ],
)
def test_answers_of_other_columns_are_refused_by_name(
    later: np.ndarray, words: str, kind: str, tmp_path: Path
):
    spec, values = OUTPUTS["open"]
    with pytest.raises(StoreFailed, match=words):
        written(tmp_path, kind, a_table(spec, values), a_table(spec, later))


def test_no_tables_are_none():
    assert list(of_one_schema(iter(()))) == []
