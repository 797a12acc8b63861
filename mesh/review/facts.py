"""The facts behind the figures, read from the records. At most `MAX_ROWS` of each kind, the newest."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final, cast

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from mesh.alerts import Budget
from mesh.records.database import Database
from mesh.review.estimates import Audited
from mesh.review.quality import Facts, Fault, Spoken
from mesh.review.tables import DecisionRow, ItemRow, LabelRow
from mesh.review.values import QUEUED, Label

MAX_ROWS: Final = 50_000


class FactReader:
    """Reads facts. Blocks: call it from a thread."""

    def __init__(self, database: Database, budget: Budget | None = None) -> None:
        self._database, self._budget = database, budget or Budget()

    def read(self, since: int, until: int, now: int) -> Facts:
        """Of rows with since ≤ time < until, and decisions made then. Raises `StoreAway`."""
        with self._database.read() as session:
            return Facts(
                audit=_audit(session, since, until),
                twice=_twice(session, since, until),
                spoken=_spoken(session, since, until),
                faults=_faults(session, since, until),
                turnarounds=_turnarounds(session, since, until),
                alerts=_alerts(session, since, until, self._budget.per_ms),
                waiting=_count(session, ItemRow.state.in_(QUEUED)),
                overdue=_count(session, ItemRow.state.in_(QUEUED), ItemRow.due < now),
            )


def _standing(*columns: Any) -> Any:
    """Decisions that name a label and were not undone."""
    undo = aliased(DecisionRow)
    return (
        select(*columns)
        .outerjoin(undo, undo.undo_of == DecisionRow.id)
        .where(DecisionRow.action.in_(("confirm", "override")), undo.id.is_(None))
    )


def _audit(session: Session, since: int, until: int) -> list[Audited]:
    """The label that stands, else what the one person said who judged without seeing the score; disputed ones have none."""
    items = session.execute(
        select(ItemRow.id, ItemRow.inclusion, ItemRow.flagged, LabelRow.label, ItemRow.model)
        .outerjoin(LabelRow, LabelRow.standing == ItemRow.id)
        .where(ItemRow.source == "audit", ItemRow.row_time >= since, ItemRow.row_time < until)
        .where(ItemRow.inclusion.is_not(None))
        .order_by(ItemRow.row_time.desc())
        .limit(MAX_ROWS)
    ).all()
    said: defaultdict[str, set[Label]] = defaultdict(set)
    blind = _standing(DecisionRow.item, DecisionRow.after).join(ItemRow, ItemRow.id == DecisionRow.item)
    blind = blind.where(DecisionRow.blind, ItemRow.row_time >= since, ItemRow.row_time < until)
    for item, label in session.execute(blind):
        said[item].add(cast("Label", label))
    return [
        Audited(inclusion or 1.0, flagged, cast("Label", label) if label else _only(said.get(key)), model)
        for key, inclusion, flagged, label, model in items
    ]


def _only(labels: set[Label] | None) -> Label | None:
    return next(iter(labels)) if labels is not None and len(labels) == 1 else None


def _twice(session: Session, since: int, until: int) -> Sequence[Sequence[Label]]:
    wanted = _standing(DecisionRow.item, DecisionRow.after).join(ItemRow, ItemRow.id == DecisionRow.item)
    wanted = wanted.where(ItemRow.twice, DecisionRow.at >= since, DecisionRow.at < until).limit(MAX_ROWS)
    units: defaultdict[str, list[Label]] = defaultdict(list)
    for item, label in session.execute(wanted):
        units[item].append(cast("Label", label))
    return list(units.values())


def _spoken(session: Session, since: int, until: int) -> list[Spoken]:
    wanted = _standing(
        DecisionRow.model, DecisionRow.version, DecisionRow.actor, DecisionRow.action, DecisionRow.seconds
    )
    wanted = wanted.where(DecisionRow.blind.is_(False), DecisionRow.at >= since, DecisionRow.at < until)
    rows = session.execute(wanted.order_by(DecisionRow.at.desc()).limit(MAX_ROWS))
    return [
        Spoken(model, version, actor, action == "override", seconds)
        for model, version, actor, action, seconds in rows
    ]


def _faults(session: Session, since: int, until: int) -> list[Fault]:
    """One a incident: its first alert, and the earliest onset that anybody named."""
    onset = _standing(DecisionRow.item, func.min(DecisionRow.onset).label("onset"))
    onset = onset.group_by(DecisionRow.item).subquery()
    rows = session.execute(
        select(
            ItemRow.incident,
            func.min(func.coalesce(onset.c.onset, ItemRow.since)),
            func.min(ItemRow.row_time).filter(ItemRow.source == "alert"),
            func.min(ItemRow.acknowledged_at),
            func.max(ItemRow.resolved_at),
        )
        .join(LabelRow, LabelRow.standing == ItemRow.id)
        .outerjoin(onset, onset.c.item == ItemRow.id)
        .where(LabelRow.label == "anomaly", ItemRow.row_time >= since, ItemRow.row_time < until)
        .where((ItemRow.source != "audit") | ItemRow.flagged.is_(False))
        .group_by(ItemRow.incident)
        .limit(MAX_ROWS)
    )
    return [Fault(began, opened, acknowledged, resolved) for _, began, opened, acknowledged, resolved in rows]


def _turnarounds(session: Session, since: int, until: int) -> list[int]:
    wanted = select(ItemRow.decided_at - ItemRow.created_at).where(
        ItemRow.decided_at >= since, ItemRow.decided_at < until
    )
    return list(session.scalars(wanted.order_by(ItemRow.decided_at.desc()).limit(MAX_ROWS)))


def _alerts(session: Session, since: int, until: int, per_ms: int) -> dict[int, int]:
    times = session.scalars(
        select(ItemRow.row_time)
        .where(ItemRow.source == "alert", ItemRow.row_time >= since, ItemRow.row_time < until)
        .order_by(ItemRow.row_time.desc())
        .limit(MAX_ROWS)
    )
    windows: defaultdict[int, int] = defaultdict(int)
    for time in times:
        windows[time // per_ms] += 1
    return dict(windows)


def _count(session: Session, *conditions: Any) -> int:
    return session.scalar(select(func.count()).select_from(ItemRow).where(*conditions)) or 0
