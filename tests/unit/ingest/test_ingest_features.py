"""The JSON of features → rows of any datatype and shape, or a refusal that names the input."""

import json

import numpy as np
import pytest

from ingest.features import RowReader
from ingest.nested import FeaturesError
from ingest.record import RejectKind
from mesh.routing.types import TensorSpec

FP32 = TensorSpec("x", "FP32", (-1, 3))
GOOD = b"[[1,2,3]]"


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (b"[[1,2]]", RejectKind.WRONG_WIDTH),
        (b"[[1,2,3,4]]", RejectKind.WRONG_WIDTH),
        (b"[[1,2,3],[1,2]]", RejectKind.RAGGED),
        (b"[[1,2],[3]]", RejectKind.RAGGED),
        (b"[[1],[2],[3]]", RejectKind.WRONG_WIDTH),
        (b"[[1,[2],3]]", RejectKind.RAGGED),
        (b"[[1,2],3]", RejectKind.WRONG_TYPE),
        (b"[1,2,3]", RejectKind.WRONG_TYPE),
        (b"5", RejectKind.WRONG_TYPE),
        (b'"text"', RejectKind.WRONG_TYPE),
        (b"true", RejectKind.WRONG_TYPE),
        (b'[["1","2","3"]]', RejectKind.WRONG_TYPE),
        (b"[[1,null,3]]", RejectKind.WRONG_TYPE),
        (b"[[true,false,true]]", RejectKind.WRONG_TYPE),
        (b"[]", RejectKind.NO_FEATURES),
        (b"[[]]", RejectKind.WRONG_WIDTH),
        (b"[[1e39,1,1]]", RejectKind.NON_FINITE),
        (b"[[1e999,1,1]]", RejectKind.NON_FINITE),
        (b"[[1,,3]]", RejectKind.NOT_JSON),
        (b"[" * 3_000 + b"]" * 3_000, RejectKind.TOO_DEEP),
    ],
)
@pytest.mark.parametrize("around", [0, 1, 40])
def test_a_bad_record_is_refused_and_its_neighbours_are_read(
    raw: bytes, kind: RejectKind, around: int
) -> None:
    raws = [GOOD] * around + [raw] + [GOOD] * around
    blocks, refused = RowReader(FP32).read(raws)
    assert [(at, refusal.kind) for at, refusal in refused] == [(around, kind)]
    assert refused[0][1].reason.startswith("x: ")
    assert sum(len(block.rows) for block in blocks) == 2 * around
    assert all((block.rows == [1, 2, 3]).all() for block in blocks)


def test_widths_that_cancel_out_are_not_read_as_good_rows() -> None:
    blocks, refused = RowReader(FP32).read([b"[[1,2]]", b"[[3,4,5,6]]", b"[[7,8,9]]"])
    assert [at for at, _ in refused] == [0, 1]
    assert blocks[0].rows.tolist() == [[7, 8, 9]]
    assert blocks[0].chosen == [2]


def test_several_rows_of_a_record_stay_together() -> None:
    blocks, refused = RowReader(FP32).read([b"[[1,2,3],[4,5,6]]", b"[[7,8,9]]"])
    assert not refused
    found = {tuple(block.chosen or (0, 1)): block for block in blocks}
    assert found[0,].rows.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert found[0,].rows_of is not None
    assert found[0,].rows_of.tolist() == [2]
    assert found[1,].rows.tolist() == [[7, 8, 9]]


@pytest.mark.parametrize(
    ("datatype", "good", "bad"),
    [
        ("FP64", [[1.5, 1e39]], [["a", 1]]),
        ("FP16", [[1.5, 2]], [[1e6, 1]]),
        ("INT8", [[-128, 127]], [[128, 0]]),
        ("INT32", [[1, 2]], [[1.5, 2]]),
        ("INT64", [[2**63 - 1, -(2**63)]], [[2**63, 0]]),
        ("UINT8", [[0, 255]], [[-1, 0]]),
        ("UINT64", [[2**64 - 1, 0]], [[2**64, 0]]),
        ("BOOL", [[True, False]], [[1, 0]]),
        ("BYTES", [["a", "é"]], [["a", 1]]),
    ],
)
def test_every_datatype_is_read_and_checked(datatype: str, good: list[object], bad: list[object]) -> None:
    reader = RowReader(TensorSpec("x", datatype, (-1, 2)))
    raws = [json.dumps(value).encode() for value in (good, bad, good)]
    blocks, refused = reader.read(raws)
    assert [at for at, _ in refused] == [1]
    rows = np.concatenate([block.rows for block in blocks])
    expected = [[b"a", "é".encode()]] * 2 if datatype == "BYTES" else good * 2
    assert rows.tolist() == (np.array(expected, rows.dtype).tolist())


@pytest.mark.parametrize("datatype", ["FP32", "FP64", "INT64", "UINT64"])
@pytest.mark.parametrize(
    ("raw", "kinds"),
    [
        (b"[[1," + b"9" * 21 + b"]]", {RejectKind.NON_FINITE, RejectKind.WRONG_TYPE}),
        (b"[[1,-" + b"9" * 400 + b"]]", {RejectKind.NON_FINITE, RejectKind.WRONG_TYPE}),
        (b'[["\xff",1]]', {RejectKind.NOT_JSON}),
    ],
)
def test_what_the_parser_names_otherwise_refuses_its_record_alone(
    datatype: str, raw: bytes, kinds: set[RejectKind]
) -> None:
    """Whole numbers of more than 64 bits are a RuntimeError of simdjson, a byte that is no UTF-8 none of msgspec's own."""
    blocks, refused = RowReader(TensorSpec("x", datatype, (-1, 2))).read([b"[[1,2]]", raw, b"[[3,4]]"])
    assert [at for at, _ in refused] == [1]
    assert refused[0][1].kind in kinds
    assert np.concatenate([block.rows for block in blocks]).tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize("datatype", ["FP32", "INT8", "UINT64"])
def test_a_truth_value_beside_numbers_is_none(datatype: str) -> None:
    for dims, raw in (
        ((-1, 2), b"[[1,true]]"),
        ((-1, 2), b"[[0,1],[0,false]]"),
        ((-1, 2, 1), b"[[[1],[true]]]"),
    ):
        _, refused = RowReader(TensorSpec("x", datatype, dims)).read([raw])
        assert [(at, each.kind) for at, each in refused] == [(0, RejectKind.WRONG_TYPE)]


def test_nested_and_flat_rows_fill_a_tensor_of_higher_rank() -> None:
    reader = RowReader(TensorSpec("x", "FP32", (-1, 2, 2)))
    blocks, refused = reader.read([b"[[[1,2],[3,4]]]", b"[[5,6,7,8]]", b"[[[1,2,3,4]]]"])
    assert [(at, refusal.kind) for at, refusal in refused] == [(2, RejectKind.WRONG_WIDTH)]
    rows = np.concatenate([block.rows for block in blocks])
    assert sorted(rows.reshape(-1, 4).tolist()) == [[1, 2, 3, 4], [5, 6, 7, 8]]


def test_an_open_width_takes_any_and_keeps_equal_ones_together() -> None:
    blocks, refused = RowReader(TensorSpec("x", "FP32", (-1, -1))).read(
        [b"[[1,2]]", b"[[1,2,3]]", b"[[3,4]]"]
    )
    assert not refused
    assert sorted((block.rows.tolist(), block.chosen) for block in blocks) == [
        ([[1, 2], [3, 4]], [0, 2]),
        ([[1, 2, 3]], [1]),
    ]


def test_one_value_a_row_needs_no_inner_list() -> None:
    reader = RowReader(TensorSpec("x", "INT64", (-1,)))
    assert reader.one(b"[1,2]").tolist() == [1, 2]
    assert reader.one(b"[[1],[2]]").tolist() == [1, 2]
    with pytest.raises(FeaturesError):
        reader.one(b"[[1,2]]")


def test_wide_rows_are_read_from_memory_that_is_not_copied() -> None:
    row = np.arange(3_000, dtype=np.float32)
    value = b"xx" + json.dumps([row.tolist()]).encode() + b"yy"
    view = memoryview(value)[2:-2]
    blocks, refused = RowReader(TensorSpec("x", "FP32", (-1, 3_000))).read([view, view])
    assert not refused
    assert np.array_equal(blocks[0].rows, np.stack([row, row]))
