"""Adjudicated labels of the mesh's own reviews, with the vote of every person that a label rests on."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import select

from mesh.alerts import Place
from mesh.learning.feedback.labels import AdjudicatedLabel, Verdict, Vote
from mesh.records.database import Database
from mesh.review import ports as reviews
from mesh.review.labels import DatabaseLabels
from mesh.review.tables import DecisionRow

_PAGE: Final = 500
_NOWHERE: Final = Place("", 0, -1)


@dataclass(frozen=True, slots=True)
class _Decision:
    actor: str
    after: str | None
    at: int


class ReviewedLabels:
    """`AdjudicatedLabels` over the records' database. Blocks; raises `StoreAway`."""

    def __init__(self, database: Database) -> None:
        self._database, self._labels = database, DatabaseLabels(database)

    def decided(self, start_ms: int, end_ms: int) -> Sequence[AdjudicatedLabel]:
        """See `AdjudicatedLabels`. What was judged is what was known when the first of its people decided."""
        found = list(self._settled(start_ms, end_ms))
        decisions = self._decisions(one for label in found for one in label.decisions)
        return [_learned(label, decisions) for label in found]

    def _settled(self, start_ms: int, end_ms: int) -> Iterator[reviews.AdjudicatedLabel]:
        cursor: str | None = None
        while True:
            page = self._labels.labels(max(0, start_ms), cursor, _PAGE)
            for label in page.labels:
                if label.at >= end_ms:
                    return
                yield label
            cursor = page.cursor
            if cursor is None:
                return

    def _decisions(self, wanted: Iterable[str]) -> Mapping[str, _Decision]:
        ids = list(wanted)
        found: dict[str, _Decision] = {}
        with self._database.read() as session:
            for at in range(0, len(ids), _PAGE):
                some = select(DecisionRow.id, DecisionRow.actor, DecisionRow.after, DecisionRow.at)
                rows = session.execute(some.where(DecisionRow.id.in_(ids[at : at + _PAGE])))
                found |= {key: _Decision(actor, after, when) for key, actor, after, when in rows}
        return found


def _learned(label: reviews.AdjudicatedLabel, decisions: Mapping[str, _Decision]) -> AdjudicatedLabel:
    said = [decisions[one] for one in label.decisions if one in decisions]
    place = label.place or _NOWHERE
    return AdjudicatedLabel(
        id=label.id,
        item=label.item,
        asset=label.asset,
        end_ms=label.row_time,
        verdict=_verdict(label.label),
        weight=label.weight,
        votes=tuple(Vote(one.actor, _verdict(one.after)) for one in said if one.after is not None),
        topic=place.topic,
        partition=place.partition,
        offset=place.offset,
        shown_ms=min((one.at for one in said), default=label.at),
        decided_ms=label.at,
        audit=label.weight > 1,
    )


def _verdict(label: str) -> Verdict:
    return "anomalous" if label == "anomaly" else "normal"
