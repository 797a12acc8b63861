"""All that the records know of one item: who said what, what else its incident holds, and earlier cases that looked alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from mesh.errors import NotFound
from mesh.records.database import Database
from mesh.records.entry import Actor
from mesh.records.roles import includes
from mesh.review.decisions import is_blind
from mesh.review.items import Decision, Item, decision_of, item_of
from mesh.review.neighbours import Alike, most_alike
from mesh.review.tables import DecisionRow, FeaturesRow, ItemRow, LabelRow, LayoutRow
from mesh.review.values import Label, Source, State

COMPARED: Final = 500
"""The newest decided items that a case is compared with."""
LOOKED_AT: Final = 4 * COMPARED
"""Among so many of the newest, of whatever features, those are found that have the case's."""
_SIBLINGS: Final = 50
_PAST: Final = 50
_REACH_MS: Final = 7 * 86_400_000
"""How far back labels of the same asset are shown."""


@dataclass(frozen=True, slots=True)
class Past:
    """A label of an earlier or later item of the asset."""

    item: str
    row_time: int
    label: Label


@dataclass(frozen=True, slots=True)
class Similar:
    """A decided item that looked alike, and what was said of it; `label` None where nobody could say."""

    item: str
    asset: str
    row_time: int
    distance: float
    label: Label | None


@dataclass(frozen=True, slots=True)
class Sibling:
    """Another item of the incident."""

    item: str
    source: Source
    row_time: int
    state: State


@dataclass(frozen=True, slots=True)
class Case:
    """An item with its surroundings. `blind`: the prediction is hidden from whoever asked.

    `names` and `features`, float64 [F], are the row's; both are empty where they are not known. `decisions` leave out what
    others said while this person is still to judge; `siblings` are at most 50 of `incident_items`.
    """

    item: Item
    blind: bool
    label: Label | None
    basis: str | None
    decisions: tuple[Decision, ...]
    names: tuple[str, ...]
    features: np.ndarray
    similar: tuple[Similar, ...]
    past: tuple[Past, ...]
    siblings: tuple[Sibling, ...]
    incident_items: int


class Cases:
    """Reads cases. Blocks: call it from a thread."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, key: str, person: Actor) -> Case:
        """One item as this person may see it. Raises `NotFound`, `StoreAway`."""
        with self._database.read() as session:
            row = session.get(ItemRow, key)
            if row is None:
                raise NotFound(f"there is no item '{key[:80]}'; GET /review/queue lists those that wait")
            standing = session.scalar(select(LabelRow).where(LabelRow.standing == key))
            names, features = _features(session, key)
            blind = row.state != "decided" and is_blind(session, row, person.name)
            siblings, count = _siblings(session, row)
            return Case(
                item=item_of(row),
                blind=blind,
                label=cast("Label", standing.label) if standing else None,
                basis=standing.basis if standing else None,
                decisions=_decisions(session, row, person, blind=blind),
                names=names,
                features=features,
                similar=_similar(session, key, features),
                past=_past(session, row),
                siblings=siblings,
                incident_items=count,
            )


def _decisions(session: Session, item: ItemRow, person: Actor, *, blind: bool) -> tuple[Decision, ...]:
    """All of a decided item, and for operators of what waits for them and is not blind; else one's own alone."""
    wanted = select(DecisionRow).where(DecisionRow.item == item.id)
    settling = item.state in ("escalated", "disputed") and includes(person.role, "operator") and not blind
    if item.state != "decided" and not settling:
        wanted = wanted.where(DecisionRow.actor == person.name)
    rows = session.scalars(wanted.order_by(DecisionRow.at, DecisionRow.id))
    return tuple(decision_of(row) for row in rows)


def _features(session: Session, key: str) -> tuple[tuple[str, ...], np.ndarray]:
    found = session.execute(
        select(LayoutRow.names, FeaturesRow.values)
        .join(LayoutRow, LayoutRow.digest == FeaturesRow.layout)
        .where(FeaturesRow.item == key)
    ).first()
    if found is None:
        return (), np.empty(0)
    return tuple(found[0]), np.frombuffer(found[1], "<f8")


def _similar(session: Session, key: str, features: np.ndarray) -> tuple[Similar, ...]:
    if not len(features):
        return ()
    layout = select(FeaturesRow.layout).where(FeaturesRow.item == key).scalar_subquery()
    newest = (  # by its index, before any features are read: they are a thousand times larger
        select(ItemRow.id, ItemRow.decided_at)
        .where(ItemRow.decided_at.is_not(None), ItemRow.id != key)
        .order_by(ItemRow.decided_at.desc())
        .limit(LOOKED_AT)
        .subquery()
    )
    rows = session.execute(
        select(FeaturesRow.item, FeaturesRow.values)
        .select_from(newest)
        .join(FeaturesRow, FeaturesRow.item == newest.c.id)
        .where(FeaturesRow.layout == layout)
        .order_by(newest.c.decided_at.desc())
        .limit(COMPARED)
    ).all()
    ids = [item for item, _ in rows]
    table = np.frombuffer(b"".join(values for _, values in rows), "<f8").reshape(len(rows), len(features))
    return _told(session, most_alike(features, ids, table))


def _told(session: Session, alike: Sequence[Alike]) -> tuple[Similar, ...]:
    last = (
        select(DecisionRow.item, func.max(DecisionRow.id).label("decision"))
        .where(DecisionRow.item.in_([one.id for one in alike]), DecisionRow.after.is_not(None))
        .group_by(DecisionRow.item)
        .subquery()
    )
    said = aliased(DecisionRow)
    rows: Any = session.execute(
        select(ItemRow.id, ItemRow.asset, ItemRow.row_time, LabelRow.label, said.after)
        .outerjoin(LabelRow, LabelRow.standing == ItemRow.id)
        .outerjoin(last, last.c.item == ItemRow.id)
        .outerjoin(said, said.id == last.c.decision)
        .where(ItemRow.id.in_([one.id for one in alike]))
    )
    known = {key: (asset, time, label or after) for key, asset, time, label, after in rows}
    return tuple(
        Similar(one.id, known[one.id][0], known[one.id][1], one.distance, known[one.id][2]) for one in alike
    )


def _past(session: Session, item: ItemRow) -> tuple[Past, ...]:
    rows = session.execute(
        select(ItemRow.id, ItemRow.row_time, LabelRow.label)
        .join(LabelRow, LabelRow.standing == ItemRow.id)
        .where(ItemRow.asset == item.asset, ItemRow.id != item.id)
        .where(ItemRow.row_time.between(item.row_time - _REACH_MS, item.row_time + _REACH_MS))
        .order_by(ItemRow.row_time.desc())
        .limit(_PAST)
    )
    return tuple(Past(key, time, cast("Label", label)) for key, time, label in rows)


def _siblings(session: Session, item: ItemRow) -> tuple[tuple[Sibling, ...], int]:
    mine = (ItemRow.incident == item.incident, ItemRow.id != item.id)
    count = session.scalar(select(func.count()).select_from(ItemRow).where(*mine)) or 0
    rows = session.execute(
        select(ItemRow.id, ItemRow.source, ItemRow.row_time, ItemRow.state)
        .where(*mine)
        .order_by(ItemRow.row_time.desc())
        .limit(_SIBLINGS)
    )
    return tuple(
        Sibling(key, cast("Source", source), time, cast("State", state)) for key, source, time, state in rows
    ), count + 1
