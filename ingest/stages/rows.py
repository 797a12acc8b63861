"""Rows: one window of an asset each, with what the stages have found out about it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from mesh.routing.types import Voices


@dataclass(frozen=True, slots=True)
class Rows:
    """M windows, by asset and time.

    `slot` int64 [M] rows of the state, `assets` their names, `time` int64 [M] epoch milliseconds of the last steps, `cause`
    int64 [M] the reading of the batch that closed each, `features` float64 [M, S, F]. `columns` are further values by name,
    [M] each: what later stages and rules read. `voices` are there where several models scored the rows.
    """

    slot: np.ndarray
    assets: Sequence[str]
    time: np.ndarray
    cause: np.ndarray
    features: np.ndarray
    columns: Mapping[str, np.ndarray] = field(default_factory=dict)
    voices: Voices | None = None

    def __len__(self) -> int:
        return len(self.slot)

    @property
    def flat(self) -> np.ndarray:
        """The features as float64 [M, S·F], sensor by sensor."""
        return self.features.reshape(len(self), self.features.shape[1] * self.features.shape[2])

    @property
    def ids(self) -> list[str]:
        """`asset@time`: the same whenever the records of a window are read again."""
        return [f"{asset}@{time}" for asset, time in zip(self.assets, self.time.tolist(), strict=True)]

    def also(self, columns: Mapping[str, np.ndarray], voices: Voices | None = None) -> "Rows":
        """The same rows with more columns, and with these voices where there are any."""
        return replace(self, columns={**self.columns, **columns}, voices=voices or self.voices)


def joined(parts: Sequence[Rows]) -> Rows:
    """The same windows with the columns of all parts; later parts win."""
    whole = parts[0]
    for part in parts[1:]:
        whole = whole.also(part.columns, part.voices)
    return whole
