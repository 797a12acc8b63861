"""The edges of reviewing: where signals come from, who reads labels, who is told of rows that may become items."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from mesh.alerts import Place
from mesh.review.adjudication import Basis
from mesh.review.values import Candidate, Label


@dataclass(frozen=True, slots=True)
class Signal:
    """What an asset's features were around a time: `times` int64 [T] epoch milliseconds, ascending; `values` float64 [T, F]."""

    names: tuple[str, ...]
    times: np.ndarray
    values: np.ndarray


class Signals(Protocol):
    """Where the features of the past are."""

    async def around(self, asset: str, start: int, end: int) -> Signal | None:
        """Rows with start ≤ time ≤ end, at most a few hundred; None where nothing is known of the asset then."""
        ...


@dataclass(frozen=True, slots=True)
class AdjudicatedLabel:
    """A label that training may use: of the row of `asset` whose window ended at `row_time` (epoch milliseconds).

    `weight` is 1/inclusion for an item that chance drew, else 1. `place` is the record that the row came from, as far as is
    known. `excluded` says that it stood once and does not any more: a reader that has it must drop it. `audit` says that chance
    drew the item, be it with a probability of 1.
    """

    id: str
    item: str
    asset: str
    row_time: int
    label: Label
    weight: float
    basis: Basis
    actors: tuple[str, ...]
    decisions: tuple[str, ...]
    at: int
    place: Place | None = None
    excluded: bool = False
    predicted: Label = "normal"
    model: str = ""
    version: str = ""
    audit: bool = False


@dataclass(frozen=True, slots=True)
class LabelPage:
    """Labels in the order in which they came to stand; `cursor` None after the last."""

    labels: tuple[AdjudicatedLabel, ...]
    cursor: str | None


class AdjudicatedLabels(Protocol):
    """What learning reads. Decisions that nobody adjudicated are not among them."""

    def labels(
        self, since: int = 0, cursor: str | None = None, limit: int = 500, *, also_excluded: bool = False
    ) -> LabelPage:
        """Labels that came to stand at or after `since`. Blocks. Raises `InvalidInput` for a cursor, `StoreAway`."""
        ...


class CandidateSink(Protocol):
    """Takes rows that people may be asked about."""

    async def offer(self, candidates: Sequence[Candidate]) -> None:
        """May drop them where there are too many; never waits long. Raises `StoreAway`."""
        ...


class CandidateSource(Protocol):
    """Gives rows that were offered."""

    async def take(self, limit: int, wait_s: float) -> list[tuple[str | bytes, Candidate]]:
        """Up to `limit` candidates with their tickets, waiting up to `wait_s` for them. Raises `StoreAway`."""
        ...

    async def done(self, tickets: Sequence[str | bytes]) -> None:
        """These are kept: never give them again. Raises `StoreAway`."""
        ...
