"""Features whose value one can work out, the shape of files, and what is refused."""

from pathlib import Path

import numpy as np
import pytest

from mesh.learning.degradation import Fleet, Windows, read_fleet, read_remaining, window_features
from mesh.learning.degradation.windows import varying_columns


def asset(cycle: list[int], values: list[float], unit: int = 1) -> Fleet:
    return Fleet(("x",), np.full(len(cycle), unit), np.array(cycle), np.array(values, float)[:, None])


def test_a_short_history_is_averaged_over_what_there_is() -> None:
    features = window_features(Windows(("x",), means=(3,), slopes=(3,)), asset([1, 2, 3, 4], [2, 4, 6, 14]))
    assert features.dtype == np.float32
    assert features[:, 0].tolist() == [2, 3, 4, 8]
    np.testing.assert_allclose(features[:, 1], [0, 2, 2, 5], atol=1e-6)
    assert features[:, 2].tolist() == [1, 2, 3, 4]


def test_a_slope_is_per_cycle_where_cycles_are_missing() -> None:
    features = window_features(Windows(("x",), (1,), (3,)), asset([1, 4, 9], [9000, 9003, 9008]))
    np.testing.assert_allclose(features[1:, 1], [1, 1], rtol=1e-6)


def test_no_window_reaches_into_another_asset() -> None:
    two = Fleet(("x",), np.array([1, 1, 2]), np.array([1, 2, 1]), np.array([[5.0], [5.0], [100.0]]))
    assert window_features(Windows(("x",), (9,), (9,)), two)[2].tolist() == [100, 0, 1]


def test_names_stand_in_the_order_of_the_features() -> None:
    windows = Windows(("x", "y"), (5,), (7,))
    assert windows.names == ("mean_5(x)", "mean_5(y)", "slope_7(x)", "slope_7(y)", "cycle")
    assert windows.longest == 7


def test_a_constant_column_is_not_watched() -> None:
    readings = Fleet(("x", "c"), np.array([1, 1]), np.array([1, 2]), np.array([[1.0, 3.0], [2.0, 3.0]]))
    assert varying_columns(readings) == ("x",)


def test_a_missing_column_is_named() -> None:
    with pytest.raises(ValueError, match="lacks the columns y"):
        window_features(Windows(("x", "y")), asset([1], [1]))


@pytest.mark.parametrize(
    ("cycle", "values", "reason"),
    [([1, 1], [1, 2], "sorted"), ([2, 1], [1, 2], "sorted"), ([1, 2], [1, float("nan")], "not finite")],
)
def test_readings_that_are_no_history_are_refused(cycle: list[int], values: list[float], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        asset(cycle, values)


def test_a_csv_names_its_own_columns_and_may_come_unsorted(tmp_path: Path) -> None:
    path = tmp_path / "pumps.csv"
    path.write_text("unit,cycle,pressure\n7,2,1.5\n7,1,1.0\n3,1,9\n")
    fleet = read_fleet(path)
    assert fleet.columns == ("pressure",)
    assert fleet.unit.tolist() == [3, 7, 7]
    assert fleet.values.ravel().tolist() == [9, 1, 1.5]
    assert fleet.remaining().tolist() == [0, 1, 0]


def test_a_file_of_other_columns_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "train.txt"
    path.write_text("1 2 3\n")
    with pytest.raises(ValueError, match="expected 26 columns, got 3"):
        read_fleet(path)


def test_every_asset_needs_its_truth(tmp_path: Path) -> None:
    path = tmp_path / "rul.txt"
    path.write_text("4\n5\n")
    with pytest.raises(ValueError, match="expected 1 numbers"):
        read_remaining(path, asset([1, 2], [1, 2]))
