"""What a shadow said of the rows that a primary answered: values for whoever weighs the two."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mesh.engine.merge import take_rows
from mesh.routing.facts import ModelFacts, labels_of, scores_of
from mesh.routing.shadow import Comparison
from mesh.routing.steps import ShadowCall
from mesh.routing.sticky import key_text
from mesh.routing.table import RouteTable
from mesh.routing.types import MISSING, Batch, Origin, Tensors


@dataclass(frozen=True, slots=True)
class ShadowKey:
    """Which comparison: the shadow of a route, and the primary that answered."""

    endpoint: str
    route: str
    primary: str
    shadow: str


@dataclass(frozen=True, slots=True, eq=False)
class Offer:
    """A shadow call with what is known of its rows: ids and sticky keys, one a row; how long the primary took.

    `shadow_seconds` is what the shadow took where the cascade has asked it already.
    """

    endpoint: str
    call: ShadowCall
    ids: Sequence[str]
    keys: Sequence[str]
    primary_seconds: float | None
    shadow_seconds: float | None
    primary_facts: ModelFacts | None
    shadow_facts: ModelFacts | None

    @property
    def key(self) -> ShadowKey:
        """Which comparison it belongs to."""
        return ShadowKey(self.endpoint, self.call.route, self.call.primary_origin.model, self.call.model)

    def only(self, places: Sequence[int]) -> "Offer":
        """Of these of its rows, counted from 0; for a call whose model is still to be compared."""
        call, n = self.call, len(self.call.rows)
        kept = np.array(places, np.intp)
        part = replace(
            call,
            rows=call.rows[kept],
            primary_outputs=take_rows(call.primary_outputs, kept, n),
            primary_confidence=None if call.primary_confidence is None else call.primary_confidence[kept],
        )
        ids, keys = [self.ids[place] for place in places], [self.keys[place] for place in places]
        return replace(self, call=part, ids=ids, keys=keys)


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """Rows that primary and shadow have both scored; every column has one value a row.

    `labels` are objects (None for no label) and `scores` float64 (NaN for none), of the primary and of the shadow.
    Seconds are from asking a model to its answer, of the call that the rows went with, None where it is not known.
    `disagree` is bool [n]: the labels differ, or where no label is declared, the outputs do (see `shadow.compare`).
    """

    key: ShadowKey
    primary_origin: Origin
    ids: Sequence[str]
    keys: Sequence[str]
    labels: tuple[Sequence[object], Sequence[object]]
    scores: tuple[np.ndarray, np.ndarray]
    disagree: np.ndarray
    primary_seconds: float | None
    shadow_seconds: float | None
    comparison: Comparison
    shadow_version: str


def keys_of(table: RouteTable, batch: Batch, rows: np.ndarray) -> Sequence[str]:
    """The sticky keys of these rows, as `routing.keys` reads them: evidence is of whom the shares were drawn for."""
    places = rows.tolist()
    if batch.keys is not None:
        return [batch.keys[row] for row in places]
    column = None if table.key is None else batch.attributes.get(table.key)
    if column is None:
        return [batch.ids[row] for row in places]
    texts = [key_text(column[row]) for row in places]
    return [batch.ids[row] if text is None else text for row, text in zip(places, texts, strict=True)]


def compared(
    offer: Offer, outputs: Tensors, version: str, seconds: float | None, found: Comparison
) -> Compared:
    """The rows of `offer` beside the shadow's `outputs`; `found` is the comparison of both."""
    primary = offer.call.primary_outputs
    rows = len(offer.call.rows)
    return Compared(
        key=offer.key,
        primary_origin=offer.call.primary_origin,
        ids=offer.ids,
        keys=offer.keys,
        labels=(
            _labels(offer.primary_facts, primary, rows),
            _labels(offer.shadow_facts, outputs, rows),
        ),
        scores=(
            _scores(offer.primary_facts, primary, rows),
            _scores(offer.shadow_facts, outputs, rows),
        ),
        disagree=found.disagree,
        primary_seconds=offer.primary_seconds,
        shadow_seconds=seconds,
        comparison=found,
        shadow_version=version,
    )


def _labels(facts: ModelFacts | None, outputs: Tensors, rows: int) -> Sequence[object]:
    found = labels_of(facts.label, outputs) if facts is not None and facts.label is not None else None
    if found is None:
        return [None] * rows
    return [None if value is MISSING or value != value else value for value in found.tolist()]  # noqa: PLR0124 - NaN


def _scores(facts: ModelFacts | None, outputs: Tensors, rows: int) -> np.ndarray:
    found = scores_of(facts.score, outputs) if facts is not None and facts.score is not None else None
    return np.full(rows, np.nan) if found is None else found.astype(np.float64)
