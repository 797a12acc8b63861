"""All that the detector remembers of S series: arrays of bounded size, which a snapshot can hold."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

from mesh.detection.settings import MEMBERS, Settings


@dataclass(frozen=True, slots=True)
class State:
    """What is known of S series. `update` writes into the arrays; no one else should.

    `seen` int64 [S]: values that came, missing ones left out. `history` [S, lags]: the values, newest first. `shapes`
    [S, lags]: the squared distance of the newest shape from the one at each lag. `smooth` [S]: the smoothed level.
    `mean` and `mass` [S]: the long mean and its weight. `centre` [S, width] and `rest` [S, width, width]: the mean
    subsequence, and the projection on what the leading components do not explain. `past` float32 [S, members, memory]:
    a ring of distances, -inf where none came yet. `recent` [S, quiet]: a ring of the latest strangeness. Where no type
    is named it is float64. With the default settings a series takes 100 kB.
    """

    seen: np.ndarray
    history: np.ndarray
    shapes: np.ndarray
    smooth: np.ndarray
    mean: np.ndarray
    mass: np.ndarray
    centre: np.ndarray
    rest: np.ndarray
    past: np.ndarray
    recent: np.ndarray

    def __len__(self) -> int:
        return len(self.seen)

    def arrays(self) -> dict[str, np.ndarray]:
        """A snapshot: a copy of every array under its name, for `restore`."""
        return {field.name: getattr(self, field.name).copy() for field in fields(self)}

    def of_series(self, rows: np.ndarray) -> "State":
        """A copy of the state of these series, numbered by int64 [R]."""
        return State(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    def put(self, rows: np.ndarray, state: "State") -> None:
        """Write the state of R series over that of the series `rows`, int64 [R]."""
        for field in fields(self):
            getattr(self, field.name)[rows] = getattr(state, field.name)


def begin(series: int, settings: Settings) -> State:
    """The state of so many series of which no value has come."""
    return State(
        seen=np.zeros(series, np.int64),
        history=np.zeros((series, settings.lags)),
        shapes=np.zeros((series, settings.lags)),
        smooth=np.zeros(series),
        mean=np.zeros(series),
        mass=np.zeros(series),
        centre=np.zeros((series, settings.width)),
        rest=np.zeros((series, settings.width, settings.width)),
        past=np.full((series, len(MEMBERS), settings.memory), -np.inf, np.float32),
        recent=np.zeros((series, settings.quiet)),
    )


def restore(arrays: Mapping[str, np.ndarray], settings: Settings) -> State:
    """The state of a snapshot taken under these settings; it copies the arrays.

    Raises `ValueError` where an array is missing, or has another shape or type than the settings ask for.
    """
    expected = begin(len(arrays.get("seen", ())), settings).arrays()
    if set(arrays) != set(expected):
        raise ValueError(f"expected the arrays {sorted(expected)}, got {sorted(arrays)}")
    for name, array in expected.items():
        if (arrays[name].shape, arrays[name].dtype) != (array.shape, array.dtype):
            got = f"{arrays[name].dtype} {arrays[name].shape}"
            raise ValueError(f"{name}: expected {array.dtype} {array.shape}, got {got}")
    return State(**{name: array.copy() for name, array in arrays.items()})
