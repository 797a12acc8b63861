"""Items and decisions as they leave the database: frozen, and without a session."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from mesh.alerts import Place, Severity
from mesh.review.tables import DecisionRow, ItemRow
from mesh.review.values import Action, Label, Prediction, Source, State


@dataclass(frozen=True, slots=True)
class Item:
    """What people are asked; times are epoch milliseconds.

    `rank` orders the queue, larger first. `lease_by` holds it until `lease_until`, where that is not past. `inclusion` is the
    probability with which chance drew it, None where it did not.
    """

    id: str
    source: Source
    subject: str
    asset: str
    row_time: int
    since: int | None
    severity: Severity
    criticality: float
    prediction: Prediction
    alert: str
    alert_rule: str
    summary: str
    place: Place | None
    inclusion: float | None
    twice: bool
    incident: str
    due: int
    rank: float
    created_at: int
    state: State
    decided_at: int | None
    lease_by: str | None
    lease_until: int
    acknowledged_at: int | None
    resolved_at: int | None


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person did with an item: `before` was predicted (or undone), `after` is the label, None where it names none."""

    id: str
    item: str
    actor: str
    role: str
    action: Action
    before: Label
    after: Label | None
    reason: str | None
    note: str
    tags: tuple[str, ...]
    onset: int | None
    model: str
    version: str
    rules: str
    blind: bool
    evidence: Mapping[str, Any]
    seconds: float
    bulk: str | None
    undo_of: str | None
    at: int


def item_of(row: ItemRow) -> Item:
    """The item of a row that has a session."""
    place = None
    if row.topic is not None and row.partition is not None and row.offset is not None:
        place = Place(row.topic, row.partition, row.offset)
    return Item(
        id=row.id,
        source=cast("Source", row.source),
        subject=row.subject,
        asset=row.asset,
        row_time=row.row_time,
        since=row.since,
        severity=cast("Severity", row.severity),
        criticality=row.criticality,
        prediction=Prediction(
            row.flagged, row.score, row.threshold, row.confidence, row.model, row.version, row.route,
            row.served_as, row.rules, dict(row.voices),
        ),
        alert=row.alert,
        alert_rule=row.alert_rule,
        summary=row.summary,
        place=place,
        inclusion=row.inclusion,
        twice=row.twice,
        incident=row.incident,
        due=row.due,
        rank=row.rank,
        created_at=row.created_at,
        state=cast("State", row.state),
        decided_at=row.decided_at,
        lease_by=row.lease_by,
        lease_until=row.lease_until,
        acknowledged_at=row.acknowledged_at,
        resolved_at=row.resolved_at,
    )  # fmt: skip


def decision_of(row: DecisionRow) -> Decision:
    """The decision of a row that has a session."""
    return Decision(
        id=row.id,
        item=row.item,
        actor=row.actor,
        role=row.role,
        action=cast("Action", row.action),
        before=cast("Label", row.before),
        after=cast("Label | None", row.after),
        reason=row.reason,
        note=row.note,
        tags=tuple(row.tags),
        onset=row.onset,
        model=row.model,
        version=row.version,
        rules=row.rules,
        blind=row.blind,
        evidence=dict(row.evidence),
        seconds=row.seconds,
        bulk=row.bulk,
        undo_of=row.undo_of,
        at=row.at,
    )
