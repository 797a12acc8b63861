"""The scores that the models of a cascade gave to the rows of an answer, those that others superseded among them.

Nothing is computed until somebody asks about a row: an answer only holds on to what its cascade has.
"""

from collections.abc import Collection, Mapping

import numpy as np

from mesh.routing.facts import scores_of
from mesh.routing.voices import Chunk, Voice


class Heard:
    """What several models said of rows `start` to `stop` of a batch; rows are counted from `start`."""

    __slots__ = ("_start", "_stop", "_voices")

    def __init__(self, voices: Collection[Voice], start: int, stop: int) -> None:
        self._voices = voices
        self._start, self._stop = start, stop

    def part(self, start: int, stop: int) -> "Heard":
        """The same of some of these rows."""
        return Heard(self._voices, self._start + start, self._start + stop)

    def of(self, row: int) -> Mapping[str, float]:
        """The score that each model gave to a row, by model; those that gave none, or no number, are left out."""
        found = {}
        for voice in self._voices:
            for chunk in voice.chunks:
                score = _score(chunk, self._start + row)
                if score == score:  # noqa: PLR0124 - not NaN
                    found[voice.model] = score
        return found

    def spread(self) -> np.ndarray:
        """How far apart the scores of each row are: float64 [rows], 0 where fewer than two models gave one."""
        lowest = np.full(self._stop, np.inf)
        highest = np.full(self._stop, -np.inf)
        for voice in self._voices:
            for chunk in voice.chunks:
                scores = _scores(chunk)
                if scores is None:
                    continue
                known = ~np.isnan(scores) & (chunk.rows < self._stop)
                rows, scores = chunk.rows[known], scores[known]
                lowest[rows] = np.minimum(lowest[rows], scores)
                highest[rows] = np.maximum(highest[rows], scores)
        apart = highest[self._start :] - lowest[self._start :]
        return np.where(np.isfinite(apart), apart, 0.0)


def _scores(chunk: Chunk) -> np.ndarray | None:
    if chunk.facts is None or chunk.facts.score is None:
        return None
    return scores_of(chunk.facts.score, chunk.outputs)


def _score(chunk: Chunk, row: int) -> float:
    """NaN where the chunk does not hold the row, or no score of it."""
    at = int(np.searchsorted(chunk.rows, row))
    scores = _scores(chunk) if at < len(chunk.rows) and chunk.rows[at] == row else None
    return float("nan") if scores is None else float(scores[at])
