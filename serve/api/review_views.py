"""Items, cases and decisions as the API shows them. What is hidden from whoever asks is null."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from mesh.alerts import Severity
from mesh.review.items import Decision, Item
from mesh.review.priority import Urgency
from mesh.review.rules import QueueRules
from mesh.review.values import Action, Label, Source, State
from mesh.review.view import QueuePage
from serve.api.alert_views import moment


@dataclass(frozen=True, slots=True)
class PredictionView:
    """What the mesh said of the row, and what answered: model, version, route, role, and the hash of the rules."""

    label: Label
    score: float | None
    threshold: float | None
    confidence: float | None
    model: str
    version: str
    route: str
    role: str
    rules: str
    voices: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class ItemView:
    """What people are asked. Of an item that chance drew, `prediction`, `alert` and `summary` are null until it is decided.

    `urgency` is that of now: severity, criticality, doubt and the time left until `due`. `row_time` is the end of the window.
    `record` is the row's place as `topic-partition-offset`.
    """

    id: str
    source: Source
    state: State
    asset: str
    row_time: datetime
    severity: Severity | None
    criticality: float
    urgency: float
    due: datetime
    created_at: datetime
    decided_at: datetime | None
    incident: str
    held_by: str | None
    held_until: datetime | None
    prediction: PredictionView | None
    alert: str | None
    alert_rule: str | None
    summary: str | None
    record: str | None
    inclusion: float | None


@dataclass(frozen=True, slots=True)
class QueueView:
    """The queue, most urgent first; `cursor` asks for the next page and is null after the last. `waiting` counts all."""

    items: list[ItemView]
    cursor: str | None
    waiting: int


@dataclass(frozen=True, slots=True)
class DecisionView:
    """What a person did. `before` is what was predicted, or undone; `after` the label, null where they named none."""

    id: str
    item: str
    actor: str
    role: str
    action: Action
    before: Label | None
    after: Label | None
    reason: str | None
    note: str
    tags: list[str]
    onset: datetime | None
    model: str
    version: str
    rules: str
    blind: bool
    seconds: float
    bulk: str | None
    undo_of: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class ReasonView:
    """Why a person may say otherwise than the mesh: `code` is what is sent, `note` whether one must say more."""

    code: str
    meaning: str
    note: bool


@dataclass(frozen=True, slots=True)
class RulesView:
    """What an override may give as its reason, and the limits of the queue."""

    reasons: list[ReasonView]
    lease_seconds: float
    audit_share: float
    per_asset: int
    bulk: int


@dataclass(frozen=True, slots=True)
class DecidedView:
    """A decision and the item after it."""

    decision: DecisionView
    item: ItemView


def item_view(item: Item, now: int, *, blind: bool, urgency: Urgency) -> ItemView:
    """An item as it is shown; `blind` hides what the mesh said of it."""
    held = item.lease_until > now
    said = item.prediction
    shown = PredictionView(
        said.label, said.score, said.threshold, said.confidence, said.model, said.version, said.route,
        said.role, said.rules, said.voices,
    )  # fmt: skip
    return ItemView(
        id=item.id,
        source=item.source,
        state=item.state,
        asset=item.asset,
        row_time=moment(item.row_time),
        severity=None if blind else item.severity,
        criticality=item.criticality,
        urgency=urgency.now(item.rank, now),
        due=moment(item.due),
        created_at=moment(item.created_at),
        decided_at=None if item.decided_at is None else moment(item.decided_at),
        incident=item.incident,
        held_by=item.lease_by if held else None,
        held_until=moment(item.lease_until) if held else None,
        prediction=None if blind else shown,
        alert=None if blind else item.alert or None,
        alert_rule=None if blind else item.alert_rule or None,
        summary=None if blind else item.summary,
        record=None if item.place is None else str(item.place),
        inclusion=None if blind else item.inclusion,  # it differs between flagged rows and others
    )


def rules_view(rules: QueueRules) -> RulesView:
    """The rules as they are shown."""
    reasons = [ReasonView(one.code, one.meaning, one.note) for one in rules.reasons]
    return RulesView(reasons, rules.lease_ms / 1_000, rules.audit_share, rules.per_asset, rules.bulk)


def queue_view(page: QueuePage, now: int, urgency: Urgency) -> QueueView:
    """A page of the queue: whoever asks, audit items are shown blind here."""
    return QueueView(
        [item_view(item, now, blind=item.source == "audit", urgency=urgency) for item in page.items],
        page.cursor,
        page.waiting,
    )


def decision_view(one: Decision, *, blind: bool = False) -> DecisionView:
    """A decision as it is shown; `blind` hides what was predicted."""
    return DecisionView(
        one.id, one.item, one.actor, one.role, one.action, None if blind else one.before, one.after, one.reason, one.note,
        list(one.tags), None if one.onset is None else moment(one.onset), one.model, one.version, one.rules,
        one.blind, one.seconds, one.bulk, one.undo_of, moment(one.at),
    )  # fmt: skip
