"""The sticky keys of a batch, hashed when a share is first asked for."""

from collections.abc import Sequence

import numpy as np

from mesh.routing.sticky import key_numbers, key_text, place, places
from mesh.routing.types import Batch


class Keys:
    """One key a row: the batch's explicit keys, else the key attribute's value, else the row's id."""

    __slots__ = ("_attribute", "_batch", "_numbers", "_texts")

    def __init__(self, batch: Batch, attribute: str | None) -> None:
        """`attribute` is the endpoint's `key`."""
        self._batch = batch
        self._attribute = attribute
        self._texts: Sequence[str] | None = None
        self._numbers: np.ndarray | None = None

    @property
    def texts(self) -> Sequence[str]:
        """The key of every row."""
        if self._texts is None:
            self._texts = self._read()
        return self._texts

    def place(self, salt: str, row: int) -> float:
        """Where one row falls in [0, 1) under `salt`."""
        return place(salt, self.texts[row])

    def places(self, salt: str, rows: np.ndarray) -> np.ndarray:
        """Where `rows` fall in [0, 1) under `salt`: float64 [len(rows)]."""
        if self._numbers is None and len(rows) < len(self._batch):
            texts = self.texts
            return places(salt, key_numbers([texts[row] for row in rows.tolist()]))
        if self._numbers is None:
            self._numbers = key_numbers(self.texts)
        numbers = self._numbers if len(rows) == len(self._numbers) else self._numbers[rows]
        return places(salt, numbers)

    def _read(self) -> Sequence[str]:
        batch = self._batch
        if batch.keys is not None:
            return batch.keys
        column = None if self._attribute is None else batch.attributes.get(self._attribute)
        if column is None:
            return batch.ids
        texts = [key_text(value) for value in column]
        return [row_id if text is None else text for text, row_id in zip(texts, batch.ids, strict=True)]
