"""The types of the schema. Names are a contract with clients: fields are added, never renamed."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

import strawberry
from strawberry.scalars import JSON

from mesh.alerts import Mark
from mesh.stores.predictions import Origin
from mesh.stores.predictions.beats import StreamState
from serve.api.alert_views import moment
from serve.graphql.alert_feed import Changed
from serve.graphql.feed import Placed

_LARGEST_INT: Final = (1 << 31) - 1
_SHOWN: Final = 256
"""Predictions whose shown form is kept: subscribers take one within milliseconds of each other."""


@strawberry.type(name="AnsweredBy", description="Who answered a row.")
class AnsweredBy:
    """One of `answered_by`."""

    model: str
    version: str
    route: str
    role: str = strawberry.field(description="primary, canary or fallback")


@strawberry.type(name="MLStreamingPrediction", description="One record's answer.")
class MLStreamingPrediction:
    """As it stands in the log."""

    inference_id: strawberry.ID = strawberry.field(
        description="topic-partition-offset. A record that is read again keeps it: drop repeats by it"
    )
    cursor: strawberry.ID = strawberry.field(
        description="Place in the log: pass it as `after` to go on from here"
    )
    model_id: str
    input_id: str | None
    latency_ms: float = strawberry.field(description="From the record's receipt to its answer")
    received_at: datetime = strawberry.field(description="When ingest received the record, RFC 3339")
    predictions: JSON = strawberry.field(description="Rows of the model's first output")
    outputs: JSON | None = strawberry.field(description="Its other outputs by name, where it has any")
    metadata: JSON = strawberry.field(description="As the record brought it")
    confidence: list[float | None] = strawberry.field(
        description="One number a row; null where the model has none"
    )
    answered_by: list[AnsweredBy | None] = strawberry.field(description="One a row")
    rules_version: str = strawberry.field(description="Content hash of the rules that decided")
    degraded: bool = strawberry.field(description="The answer is not the one that its route asked for")


@strawberry.type(
    name="MLStreamingStatus", description="Is the stream alive, and how does it do? null: nobody can know."
)
class MLStreamingStatus:
    """From the heartbeats."""

    model_id: str
    connected: bool = strawberry.field(
        description="Redis answers, and a replica of ingest beat within 6 seconds"
    )
    last_heartbeat_at: datetime | None
    average_latency_ms: float | None = strawberry.field(
        description="Over the last 30 s; null without a record in them"
    )
    predictions_per_second: float | None = strawberry.field(description="Over the last 30 s")
    error_rate: float | None = strawberry.field(
        description="Failed of all records, 0 to 1, over the last 30 s"
    )
    lag_records: int | None = strawberry.field(description="Records of the topic that wait, of all endpoints")
    replicas: int = strawberry.field(description="Replicas of ingest that beat")


@strawberry.type(name="AlertMark", description="Who changed an alert's state, when, and what they said.")
class AlertMark:
    """A `Mark`."""

    actor: str
    at: datetime
    note: str


@strawberry.type(name="Alert", description="An alert as it is after a change; the fields of GET /alerts.")
class StreamAlert:
    """An alert and what happened to it."""

    id: strawberry.ID
    change: str = strawberry.field(description="opened, updated, cleared, grouped, acknowledge or resolve")
    state: str = strawberry.field(description="open, acknowledged or resolved")
    severity: str
    rule: str
    asset: str
    key: str
    summary: str
    runbook: str
    since: datetime
    opened_at: datetime
    last_at: datetime
    cleared_at: datetime | None
    count: int
    values: JSON
    first_record: str
    acknowledged: AlertMark | None
    resolved: AlertMark | None


@lru_cache(maxsize=_SHOWN)
def prediction_of(placed: Placed) -> MLStreamingPrediction:
    """A prediction of the log as the schema shows it; made once for all its subscribers."""
    found = placed.prediction
    return MLStreamingPrediction(
        inference_id=strawberry.ID(found.inference_id),
        cursor=strawberry.ID(placed.cursor),
        model_id=found.model_id,
        input_id=found.input_id,
        latency_ms=found.latency_ms,
        received_at=_time(found.received_at),
        predictions=JSON(found.predictions),
        outputs=None if found.outputs is None else JSON(found.outputs),
        metadata=JSON(found.metadata if found.metadata is not None else {}),
        confidence=found.confidence or [],
        answered_by=[None if one is None else _answered_by(one) for one in found.answered_by or ()],
        rules_version=found.rules_version,
        degraded=found.degraded,
    )


def status_of(model_id: str, state: StreamState) -> MLStreamingStatus:
    """The state of a stream as the schema shows it."""
    heard = state.last_heartbeat_at
    lag = state.lag_records
    return MLStreamingStatus(
        model_id=model_id,
        connected=state.connected,
        last_heartbeat_at=None if heard is None else datetime.fromtimestamp(heard, UTC),
        average_latency_ms=state.average_latency_ms,
        predictions_per_second=state.predictions_per_second,
        error_rate=state.error_rate,
        lag_records=None if lag is None else min(lag, _LARGEST_INT),
        replicas=state.replicas,
    )


def alert_of(changed: Changed) -> StreamAlert:
    """A changed alert as the schema shows it."""
    alert = changed.alert
    opened = alert.opened
    values: Mapping[str, Any] = opened.values
    return StreamAlert(
        id=strawberry.ID(opened.id),
        change=changed.change,
        state=alert.state,
        severity=opened.severity,
        rule=opened.rule,
        asset=opened.asset,
        key=opened.key,
        summary=opened.summary,
        runbook=opened.runbook,
        since=moment(opened.since),
        opened_at=moment(opened.opened_at),
        last_at=moment(alert.last_at),
        cleared_at=None if alert.cleared_at is None else moment(alert.cleared_at),
        count=min(alert.count, _LARGEST_INT),
        values=JSON(values),
        first_record=str(opened.first),
        acknowledged=_mark(alert.acknowledged),
        resolved=_mark(alert.resolved),
    )


def _answered_by(origin: Origin) -> AnsweredBy:
    return AnsweredBy(model=origin.model, version=origin.version, route=origin.route, role=origin.role)


def _mark(mark: Mark | None) -> AlertMark | None:
    return None if mark is None else AlertMark(actor=mark.actor, at=moment(mark.at), note=mark.note)


def _time(text: str) -> datetime:
    """RFC 3339 as ingest writes it; the beginning of 1970 for a text that is none."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return moment(0)
