"""Which decisions an undo takes back."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from mesh.errors import NotFound, WrongState
from mesh.records.entry import Actor
from mesh.records.roles import require
from mesh.review.settle import standing
from mesh.review.tables import DecisionRow, ItemRow


def undoable(session: Session, item: ItemRow, person: Actor, decision: str | None) -> DecisionRow:
    """What an undo takes back: the person's last, or the one that is named. Raises `Forbidden`, `NotFound`, `WrongState`."""
    rows = standing(session, item.id, also_tags=True)
    mine = [row for row in rows if row.actor == person.name]
    if decision is None:
        if not mine:
            raise WrongState(f"item '{item.id}'", "without a decision of yours that stands", "undo")
        return mine[-1]
    found = next((row for row in rows if row.id == decision), None)
    if found is None:
        raise NotFound(f"item '{item.id}' has no decision '{decision[:80]}' that stands")
    if found.actor != person.name:
        require(person.name, person.role, "operator")
    return found


def standing_of_bulk(session: Session, bulk: str) -> Sequence[DecisionRow]:
    """The decisions of a bulk that were not undone, in their order."""
    undo = aliased(DecisionRow)
    return session.scalars(
        select(DecisionRow)
        .outerjoin(undo, undo.undo_of == DecisionRow.id)
        .where(DecisionRow.bulk == bulk, undo.id.is_(None))
        .order_by(DecisionRow.id)
    ).all()
