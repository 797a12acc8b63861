"""Adjudicated labels of the mesh's own reviews, with the vote of every person who judged the item, overruled ones too.

Whoever may settle an item alone could else never be seen to contradict the others.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import aliased

from mesh.alerts import Place
from mesh.learning.feedback.labels import AdjudicatedLabel, Verdict, Vote
from mesh.records.database import Database
from mesh.review import ports as reviews
from mesh.review.labels import DatabaseLabels
from mesh.review.tables import DecisionRow

_PAGE: Final = 500
_LABELLING: Final = ("confirm", "override")
_NOWHERE: Final = Place("", 0, -1)


@dataclass(frozen=True, slots=True)
class _Decision:
    id: str
    actor: str
    after: str
    at: int


class ReviewedLabels:
    """`AdjudicatedLabels` over the records' database. Blocks; raises `StoreAway`."""

    def __init__(self, database: Database, topic: str | None = None) -> None:
        """With a `topic` only labels of its records: what people say of other rows is about another model."""
        self._database, self._labels, self._topic = database, DatabaseLabels(database), topic

    def decided(self, start_ms: int, end_ms: int) -> Sequence[AdjudicatedLabel]:
        """See `AdjudicatedLabels`. What was judged is what was known when the first of those whom it rests on decided."""
        found = list(self._settled(start_ms, end_ms))
        decisions = self._standing({label.item for label in found})
        return [_learned(label, decisions[label.item]) for label in found]

    def _settled(self, start_ms: int, end_ms: int) -> Iterator[reviews.AdjudicatedLabel]:
        cursor: str | None = None
        while True:
            page = self._labels.labels(max(0, start_ms), cursor, _PAGE)
            for label in page.labels:
                if label.at >= end_ms:
                    return
                if self._topic is None or (label.place is not None and label.place.topic == self._topic):
                    yield label
            cursor = page.cursor
            if cursor is None:
                return

    def _standing(self, items: Collection[str]) -> Mapping[str, list[_Decision]]:
        """By item what people said of it and did not take back, oldest first."""
        ids, undo = sorted(items), aliased(DecisionRow)
        found: defaultdict[str, list[_Decision]] = defaultdict(list)
        said = (
            select(DecisionRow.item, DecisionRow.id, DecisionRow.actor, DecisionRow.after, DecisionRow.at)
            .outerjoin(undo, undo.undo_of == DecisionRow.id)
            .where(DecisionRow.action.in_(_LABELLING), DecisionRow.after.is_not(None), undo.id.is_(None))
            .order_by(DecisionRow.at, DecisionRow.id)
        )
        with self._database.read() as session:
            for at in range(0, len(ids), _PAGE):
                rows = session.execute(said.where(DecisionRow.item.in_(ids[at : at + _PAGE])))
                for item, key, actor, after, when in rows:
                    found[item].append(_Decision(key, actor, after or "", when))
        return found


def _learned(label: reviews.AdjudicatedLabel, said: Sequence[_Decision]) -> AdjudicatedLabel:
    shown = [one.at for one in said if one.id in label.decisions]
    place = label.place or _NOWHERE
    return AdjudicatedLabel(
        id=label.id,
        item=label.item,
        asset=label.asset,
        end_ms=label.row_time,
        verdict=_verdict(label.label),
        weight=label.weight,
        votes=tuple(Vote(one.actor, _verdict(one.after)) for one in said),
        topic=place.topic,
        partition=place.partition,
        offset=place.offset,
        shown_ms=min(shown, default=label.at),
        decided_ms=label.at,
        audit=label.audit,
        flagged=label.predicted == "anomaly",
    )


def _verdict(label: str) -> Verdict:
    return "anomalous" if label == "anomaly" else "normal"
