"""A history that is played back: every row once, in the order of time, as a record that the mesh can score."""

import json

import numpy as np
import pytest

from mesh.cli.attributes import parse_setting
from mesh.cli.history_table import HistoryTable
from mesh.errors import InvalidInput
from mesh.stores.delta_reader import DeltaReader
from mesh.stores.delta_writer import DeltaWriter
from mesh.stores.rows import Piece
from tests.fakes.feature_rows import T0, TRANSFORM, a_batch, a_view, days

VIEW = a_view()
ROWS = [("b", 0), ("a", days(1)), ("a", 0), ("b", 3_600_000), ("a", 1)]


@pytest.fixture
def table(tmp_path) -> HistoryTable:
    writer, batch = DeltaWriter(str(tmp_path), VIEW), a_batch(ROWS)
    writer.begin([0])
    place = np.zeros(len(batch), np.int64)
    writer.append(Piece(batch, place, np.arange(len(batch)), {0: len(batch)}))
    return HistoryTable(DeltaReader(str(tmp_path), VIEW), VIEW, VIEW.columns)


def ids(table: HistoryTable) -> list[str]:
    return [json.loads(record.value)["input_id"] for record in table.records()]


def test_rows_come_in_the_order_of_time_and_entity(table):
    assert ids(table) == [
        f"{entity}@{T0 + ms}"
        for entity, ms in [("a", 0), ("b", 0), ("a", 1), ("b", 3_600_000), ("a", days(1))]
    ]
    assert table.count() == 5


def test_a_record_is_what_the_chain_wrote(table):
    table.settings, table.model = [parse_setting("site=north")], "anomaly"
    first = next(table.records())
    assert (first.key, first.time) == (b"a", T0 / 1e3)
    assert json.loads(first.value) == {
        "input_id": f"a@{T0}",
        "features": [[0.0, 0.1, 3.0]],
        "model_id": "anomaly",
        "metadata": {"asset": "a", "ts": T0, "names": TRANSFORM, "site": "north"},
    }


def test_a_stretch_ends_before_its_end(table):
    table.start, table.end = T0 + 1, T0 + 3_600_000
    assert ids(table) == [f"a@{T0 + 1}"]


def test_columns_can_be_chosen_and_must_be_there(table):
    table.columns = ("flow.mean", "temp.mean")
    assert json.loads(next(table.records()).value)["features"] == [[3.0, 0.0]]
    table.columns = ("temp.maen",)
    with pytest.raises(InvalidInput, match=r"--features: view 'telemetry' has no 'temp.maen'.*temp.mean"):
        table.check()
