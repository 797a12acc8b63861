"""After a decision or an undo: the state of the item and the label that stands. Labels are excluded, never deleted."""

from collections.abc import Callable, Sequence
from typing import Final, cast

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from mesh.records.entry import Actor
from mesh.records.roles import Role
from mesh.review.adjudication import Verdict, adjudicate
from mesh.review.intake import reseat
from mesh.review.tables import DecisionRow, ItemRow, LabelRow
from mesh.review.values import Judgement, Label

_JUDGING: Final = ("confirm", "override", "cannot_say")


def standing(session: Session, item: str, *, also_tags: bool = False) -> Sequence[DecisionRow]:
    """The decisions on an item that say something of it and were not undone, oldest first."""
    actions = (*_JUDGING, "escalate", "tag", "skip") if also_tags else _JUDGING
    undo = aliased(DecisionRow)
    return session.scalars(
        select(DecisionRow)
        .outerjoin(undo, undo.undo_of == DecisionRow.id)
        .where(DecisionRow.item == item, DecisionRow.action.in_(actions), undo.id.is_(None))
        .order_by(DecisionRow.at, DecisionRow.id)
    ).all()


def settle(
    session: Session, item: ItemRow, cause: DecisionRow, now: int, new_id: Callable[[int], str]
) -> Verdict:
    """Bring state and label in line with what stands; `cause` is what changed."""
    rows = standing(session, item.id, also_tags=True)
    verdict = adjudicate(
        [_judgement(row) for row in rows if row.action in _JUDGING],
        wanted=2 if item.twice else 1,
        escalated=any(row.action == "escalate" for row in rows),
    )
    was_open = item.state == "open"
    item.state = verdict.state
    item.decided_at = now if verdict.state == "decided" else None
    if verdict.state != "open":
        item.head = verdict.state != "decided"  # what waits for an operator stands for itself
    elif item.source == "audit":
        item.head = True
    session.flush()
    if item.source != "audit" and (was_open or verdict.state == "open"):
        reseat(session, item.incident)
    _label(session, item, verdict, rows, cause, now, new_id)
    return verdict


def _judgement(row: DecisionRow) -> Judgement:
    person = Actor(row.actor, cast("Role", row.role), "http")
    return Judgement(row.id, person, cast("Label | None", row.after), row.action == "override")


def _label(
    session: Session,
    item: ItemRow,
    verdict: Verdict,
    rows: Sequence[DecisionRow],
    cause: DecisionRow,
    now: int,
    new_id: Callable[[int], str],
) -> None:
    old = session.scalar(select(LabelRow).where(LabelRow.standing == item.id))
    if old is not None:
        if old.label == verdict.label and set(old.decisions) <= set(verdict.decisions):
            return
        old.standing, old.excluded_by, old.excluded_at = None, cause.id, now
        session.flush()
    if verdict.label is not None:
        actors = [row.actor for row in rows if row.id in verdict.decisions]
        session.add(
            LabelRow(
                id=new_id(now),
                item=item.id,
                label=verdict.label,
                basis=verdict.basis,
                decisions=list(verdict.decisions),
                actors=actors,
                at=now,
                standing=item.id,
            )
        )
