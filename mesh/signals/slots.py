"""State of many assets: named arrays whose first dimension is the asset's slot, and their bytes, an asset at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np


@dataclass(frozen=True, slots=True)
class Column:
    """One array of the state: per asset `shape` values of `dtype`, `fill` where nothing is known."""

    dtype: type[np.generic]
    shape: tuple[int, ...] = ()
    fill: float = 0


class SlotArrays:
    """Arrays that grow together. Slots are given out by whoever keeps the names of assets."""

    def __init__(self, columns: Mapping[str, Column], capacity: int = 16) -> None:
        self._columns = dict(columns)
        self._arrays = {name: _filled(column, capacity) for name, column in columns.items()}
        self._capacity = capacity

    def __getitem__(self, name: str) -> np.ndarray:
        """The array of a column: [capacity, *shape]. Valid until `reserve` has to grow it."""
        return self._arrays[name]

    @property
    def row_bytes(self) -> int:
        """Bytes of one asset."""
        return sum(array[0].nbytes for array in self._arrays.values())

    @property
    def digest(self) -> str:
        """Names the layout: bytes of another layout cannot be loaded."""
        described = repr([(name, np.dtype(c.dtype).str, c.shape) for name, c in self._columns.items()])
        return blake2b(described.encode(), digest_size=8).hexdigest()

    def reserve(self, slots: int) -> None:
        """Make room for slots 0 to `slots` - 1, at least doubling where there is too little."""
        if slots <= self._capacity:
            return
        capacity = max(slots, 2 * self._capacity)
        for name, column in self._columns.items():
            grown = _filled(column, capacity)
            grown[: self._capacity] = self._arrays[name]
            self._arrays[name] = grown
        self._capacity = capacity

    def clear(self, slots: np.ndarray) -> None:
        """Forget what these slots held."""
        for name, column in self._columns.items():
            self._arrays[name][slots] = column.fill

    def dump(self, slots: np.ndarray) -> list[bytes]:
        """The state of each slot, `row_bytes` long."""
        if not len(slots):
            return []
        parts = [
            np.ascontiguousarray(array[slots]).reshape(len(slots), -1).view(np.uint8)
            for array in self._arrays.values()
        ]
        return [row.tobytes() for row in np.concatenate(parts, axis=1)]

    def load(self, slots: Sequence[int], rows: Sequence[bytes]) -> None:
        """Put dumped states into these slots.

        Raises:
            ValueError: bytes of another length, so of another layout.
        """
        for slot, row in zip(slots, rows, strict=True):
            if len(row) != self.row_bytes:
                raise ValueError(
                    f"the state of an asset has {self.row_bytes} bytes, got {len(row)}: another layout?"
                )
            at = 0
            for array in self._arrays.values():
                cell = array[slot]
                array[slot] = np.frombuffer(row, array.dtype, cell.size, at).reshape(cell.shape)
                at += cell.nbytes


def _filled(column: Column, capacity: int) -> np.ndarray:
    return np.full((capacity, *column.shape), column.fill, column.dtype)
