import ml_dtypes
import numpy as np
import pytest

from mesh.routing.types import TensorSpec
from mesh.runtimes.outputs import WrongOutput, carryable, fitted, joined


@pytest.mark.parametrize(
    "value",
    [
        np.array(["ä", "b"]),
        np.array(["ä", "b"], dtype=object),
        np.array(["ä".encode(), b"b"]),
        np.array(["ä".encode(), b"b"], dtype=object),
    ],
    ids=["U", "O of str", "S", "O of bytes"],
)
def test_text_becomes_utf8_bytes(value: np.ndarray) -> None:
    array = carryable(value)
    assert array.dtype == object
    assert array.tolist() == ["ä".encode(), b"b"]


def test_bytes_keep_their_trailing_zeros() -> None:
    assert carryable([b"a\0\0"], np.dtype(object)).tolist() == [b"a\0\0"]


def test_foreign_floats_become_the_nearest_that_travel() -> None:
    assert carryable(np.array([1.5], dtype=ml_dtypes.bfloat16)).dtype == np.float32
    assert carryable(np.array([1.5], dtype=np.longdouble)).dtype == np.float64
    assert carryable(np.array([1.5], dtype=">f4")).dtype == np.float32
    assert carryable(np.array([1.5], dtype=">f4")).tolist() == [1.5]


@pytest.mark.parametrize("value", [np.array([1j]), np.array(["2020"], "M8[Y]"), np.array([object()])])
def test_what_cannot_travel_is_refused(value: np.ndarray) -> None:
    with pytest.raises(TypeError):
        carryable(value)


def test_views_are_made_contiguous() -> None:
    array = np.arange(12, dtype=np.float32).reshape(3, 4)[:, ::2]
    assert fitted({"y": array}, [("y", array.dtype)], 3)["y"].flags.c_contiguous


def test_arrays_that_fit_are_not_copied() -> None:
    array = np.zeros((3, 4), np.float32)
    assert fitted({"y": array}, [("y", array.dtype)], 3)["y"] is array


def test_lists_are_read_as_declared() -> None:
    assert fitted({"y": [[1], [2]]}, [("y", np.dtype(np.float32))], 2)["y"].tolist() == [[1.0], [2.0]]
    with pytest.raises(WrongOutput, match="'y'"):
        fitted({"y": [[1], [2, 3]]}, [("y", np.dtype(np.float32))], 2)


@pytest.mark.parametrize(
    ("given", "wanted"), [(np.float32, np.int64), (np.int64, np.bool_), (np.int8, object)]
)
def test_kinds_are_not_mixed(given: type, wanted: type) -> None:
    with pytest.raises(WrongOutput, match="expected"):
        fitted({"y": np.ones(2, given)}, [("y", np.dtype(wanted))], 2)


@pytest.mark.parametrize(
    ("given", "wanted", "value"),
    [("i8", "i4", 2**40), ("u8", "i8", 2**63), ("i4", "i1", -129), ("u4", "u1", 256)],
)
def test_whole_numbers_that_do_not_fit_are_not_cast(given: str, wanted: str, value: int) -> None:
    array = np.array([1, value], given)
    with pytest.raises(OverflowError, match=f"output 'y' holds {value}, which is no U?INT"):
        fitted({"y": array}, [("y", np.dtype(wanted))], 2)
    assert fitted({"y": array[:1]}, [("y", np.dtype(wanted))], 1)["y"].tolist() == [1]


def test_pieces_are_put_in_their_places() -> None:
    spec = TensorSpec("y", "FP32", (-1, 2))
    piece = lambda value, n: {"y": np.full((n, 2), value, np.float32)}  # noqa: E731
    whole = joined([(3, 4, piece(3, 1)), (0, 2, piece(1, 2))], 4, [spec])["y"]
    np.testing.assert_array_equal(whole[:, 0], [1, 1, np.nan, 3])


def test_pieces_of_different_shape_are_refused() -> None:
    spec = TensorSpec("y", "FP32", (-1, -1))
    with pytest.raises(WrongOutput, match="changes its shape"):
        joined(
            [(0, 1, {"y": np.ones((1, 2), np.float32)}), (1, 2, {"y": np.ones((1, 3), np.float32)})],
            2,
            [spec],
        )
