"""Features of an asset's recent past: trailing means, trailing slopes, age. None looks ahead.

A window of w covers the asset's last w readings, this one included. Where it has fewer, the window is what
there is: nothing is repeated or filled in. The slope of one reading is 0. So the features of a reading depend
on at most `Windows.longest` readings up to it, which is all that a stream has to keep for an asset.

Means come from running sums and slopes from the ordinary least-squares line through the window
(sum of xy over sum of xx, both about the window's means), so a row costs the same whatever the window.
"""

from dataclasses import dataclass

import numpy as np

from mesh.learning.degradation.fleet import Fleet


@dataclass(frozen=True, slots=True)
class Windows:
    """Which columns are watched and over how many readings: `means` and `slopes` are window lengths."""

    columns: tuple[str, ...]
    means: tuple[int, ...] = (20,)
    slopes: tuple[int, ...] = (50, 100)

    @property
    def names(self) -> tuple[str, ...]:
        """The F features in the order of the model's input: `mean_20(x)`, `slope_50(x)` per cycle, `cycle`."""
        return (
            *(f"mean_{w}({c})" for w in self.means for c in self.columns),
            *(f"slope_{w}({c})" for w in self.slopes for c in self.columns),
            "cycle",
        )

    @property
    def longest(self) -> int:
        """How many readings of an asset decide its features."""
        return max(*self.means, *self.slopes)


def varying_columns(fleet: Fleet) -> tuple[str, ...]:
    """The columns that are not constant; the others tell nothing and only add to the model's input."""
    spread = np.ptp(fleet.values, axis=0)
    return tuple(name for name, s in zip(fleet.columns, spread, strict=True) if s > 0)


def window_features(windows: Windows, fleet: Fleet) -> np.ndarray:
    """Float32 [N, F]: the features `windows.names` after each reading.

    Raises `ValueError` where the fleet lacks a column.
    """
    values = _watched(windows, fleet)
    begin = np.repeat(fleet.first_rows(), np.diff(np.append(fleet.first_rows(), len(fleet))))
    # Sums of what is left after the first reading: sensors stand at thousands and move by ones.
    centred, time = values - values[begin], (fleet.cycle - fleet.cycle[begin]).astype(np.float64)[:, None]
    parts = [values[begin] + _mean(centred, _start(begin, w)) for w in windows.means]
    parts += [_slope(centred, time, _start(begin, w)) for w in windows.slopes]
    return np.hstack([*parts, fleet.cycle[:, None]]).astype(np.float32)


def latest_features(windows: Windows, cycle: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Float32 [F]: one asset's features now, from its last `windows.longest` readings, or all where fewer.

    `cycle` is int64 [n], `values` float64 [n, C] with the columns `windows.columns`, both oldest first.
    """
    history = slice(-windows.longest, None)
    unit = np.zeros(len(cycle[history]), np.int64)
    asset = Fleet(windows.columns, unit, cycle[history], values[history])
    features: np.ndarray = window_features(windows, asset)[-1]
    return features


def _watched(windows: Windows, fleet: Fleet) -> np.ndarray:
    if missing := [name for name in windows.columns if name not in fleet.columns]:
        raise ValueError(f"telemetry lacks the columns {', '.join(missing)}")
    watched: np.ndarray = fleet.values[:, [fleet.columns.index(name) for name in windows.columns]]
    return watched


def _start(begin: np.ndarray, window: int) -> np.ndarray:
    """Int64 [N]: each window's first row, never before the asset's own."""
    start: np.ndarray = np.maximum(begin, np.arange(len(begin)) - window + 1)
    return start


def _mean(values: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Float64 [N, C]: mean over the rows from `start` to each row."""
    total = np.vstack([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])
    end = np.arange(len(values)) + 1
    mean: np.ndarray = (total[end] - total[start]) / (end - start)[:, None]
    return mean


def _slope(values: np.ndarray, time: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Float64 [N, C]: change per cycle; `time` is [N, 1] in cycles."""
    mean_time = _mean(time, start)
    spread = _mean(time * time, start) - mean_time**2
    together = _mean(values * time, start) - _mean(values, start) * mean_time
    # Two readings one cycle apart spread by 1/4, the least there is; below it stands a lone reading.
    slope: np.ndarray = together / np.where(spread > 0.2, spread, np.inf)
    return slope
