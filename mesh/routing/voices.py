"""What models have said of the rows of one batch, and which rows they were asked about."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from mesh.routing.facts import ModelFacts
from mesh.routing.types import CallResult, RowFailure, Tensors, Unreachable

_ANSWERED: Final = 1
_FAILED: Final = 2


class Chunk:
    """One call's answer: arrays of `len(rows)` rows, for the ascending rows `rows` of a batch of `n`."""

    __slots__ = ("confidence", "facts", "model", "n", "outputs", "rows", "version")

    def __init__(
        self,
        n: int,
        rows: np.ndarray,
        outputs: Tensors,
        confidence: np.ndarray | None,
        model: str,
        version: str,
        facts: ModelFacts | None,
    ) -> None:
        """`facts` say how score and label are read from `outputs`."""
        self.n = n
        self.rows = rows
        self.outputs = outputs
        self.confidence = confidence
        self.model = model
        self.version = version
        self.facts = facts

    def index(self, rows: np.ndarray) -> np.ndarray | None:
        """Where `rows`, all of them in this chunk, stand in its arrays; None for all of them as they are."""
        if len(rows) == len(self.rows):
            return None
        return rows if len(self.rows) == self.n else np.searchsorted(self.rows, rows)

    def take(self, rows: np.ndarray) -> tuple[Tensors, np.ndarray | None]:
        """Outputs and confidence of `rows`; the arrays themselves where that is all of them."""
        index = self.index(rows)
        if index is None:
            return self.outputs, self.confidence
        confidence = None if self.confidence is None else self.confidence[index]
        return {name: array[index] for name, array in self.outputs.items()}, confidence


class Voice:
    """One model, or several that answer together: what it has said so far, row by row."""

    __slots__ = ("_state", "_sure", "chunks", "facts", "failures", "model", "n")

    def __init__(self, model: str, n: int, facts: ModelFacts | None) -> None:
        """Nothing asked yet."""
        self.model = model
        self.n = n
        self.facts = facts
        self.chunks: list[Chunk] = []
        self.failures: dict[int, RowFailure] = {}
        self._sure = False  # it has answered every row in one call, and `_state` is not kept
        self._state: np.ndarray | None = None

    def unasked(self, rows: np.ndarray) -> np.ndarray:
        """Those of `rows` that it has not been asked about."""
        if self._state is None:
            return rows[:0] if self._sure else rows
        chosen: np.ndarray = rows[self._state[rows] == 0]
        return chosen

    def hear(self, rows: np.ndarray, result: CallResult) -> None:
        """The result of asking it about `rows`."""
        if isinstance(result, Unreachable):
            self.fail(rows, RowFailure(self.model, result.kind, result.reason, result.retry_after_s))
            return
        if len(result.failed) < len(rows):
            self.add(
                Chunk(self.n, rows, result.outputs, result.confidence, self.model, result.version, self.facts)
            )
        for position, reason in result.failed.items():
            self.fail(rows[position : position + 1], RowFailure(self.model, "raised", reason))

    def add(self, chunk: Chunk) -> None:
        """An answer for the chunk's rows; `fail` says afterwards for which of them it is none."""
        self.chunks.append(chunk)
        if len(chunk.rows) == self.n:
            self._sure = True
        else:
            self._mark(chunk.rows, _ANSWERED)

    def fail(self, rows: np.ndarray, failure: RowFailure) -> None:
        """It has no answer for `rows`."""
        self._mark(rows, _FAILED)
        self.failures.update(dict.fromkeys(rows.tolist(), failure))

    def answered(self, rows: np.ndarray) -> np.ndarray:
        """Those of `rows` that it has answered."""
        if self._state is None:
            return rows if self._sure else rows[:0]
        chosen: np.ndarray = rows[self._state[rows] == _ANSWERED]
        return chosen

    def failed(self, rows: np.ndarray) -> np.ndarray | None:
        """Those of `rows` that it has failed on; None, quickly, for none."""
        if self._state is None or not self.failures:
            return None
        chosen: np.ndarray = rows[self._state[rows] == _FAILED]
        return chosen

    def parts(self, rows: np.ndarray) -> Sequence[tuple[Chunk, np.ndarray]]:
        """`rows`, all of them answered, by the chunk that holds them."""
        if len(self.chunks) == 1:
            return ((self.chunks[0], rows),)
        found = [(chunk, rows[np.isin(rows, chunk.rows, assume_unique=True)]) for chunk in self.chunks]
        return [(chunk, part) for chunk, part in found if len(part)]

    def _mark(self, rows: np.ndarray, state: int) -> None:
        if self._state is None:
            self._state = np.full(self.n, _ANSWERED if self._sure else 0, np.int8)
        self._state[rows] = state
