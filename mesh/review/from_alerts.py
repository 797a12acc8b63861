"""An alert as a candidate."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from mesh.alerts import Alert
from mesh.alerts.events import Values
from mesh.alerts.rules import DIGEST
from mesh.review.intake import AlertTimes
from mesh.review.origin import Origin, threshold_of
from mesh.review.sampling import AuditPlan, asked_twice
from mesh.review.values import Candidate, Prediction
from mesh.stores.rows import OnlineRow

VOICE: Final = "voice."
"""An alert's values that begin so are what one model said of its row."""
NEAR_MS: Final = 60_000
"""Features of an asset's newest row are those of the alert's where the two are no farther apart."""


@dataclass(frozen=True, slots=True)
class AlertReading:
    """What makes an alert a candidate: conditions of rules by name, who answers, how critical assets are, names of features.

    `origin` is who answers as far as the files say; an alert that names the model and version of its row knows better.
    """

    conditions: Mapping[str, str]
    origin: Origin
    criticality: Mapping[str, float]
    names: tuple[str, ...] = ()
    plan: AuditPlan = field(default_factory=AuditPlan)

    def candidate(self, alert: Alert, row: OnlineRow | None) -> Candidate | None:
        """None for a digest, which stands for others. `row` is the newest of the asset, where there is one."""
        opened = alert.opened
        if opened.rule == DIGEST:
            return None
        near = row is not None and abs(row.event_time - opened.at) <= NEAR_MS
        features = row.values.tolist() if row is not None and near else []
        return Candidate(
            source="alert",
            subject=opened.id,
            asset=opened.asset,
            row_time=opened.at,
            prediction=Prediction(
                flagged=True,
                score=_number(opened.values.get("score")),
                threshold=threshold_of(self.conditions.get(opened.rule, "")),
                confidence=_number(opened.values.get("confidence")),
                model=_text(opened.values.get("model")) or self.origin.model,
                version=_text(opened.values.get("version")) or self.origin.version,
                rules=self.origin.rules,
                voices=_voices(opened.values),
            ),
            severity=opened.severity,
            criticality=_number(opened.values.get("criticality")) or self.criticality.get(opened.asset, 1.0),
            since=opened.since,
            alert=opened.id,
            alert_rule=opened.rule,
            summary=opened.summary,
            names=self.names if len(features) == len(self.names) else (),
            features=features if len(features) == len(self.names) else (),
            place=opened.record,
            twice=asked_twice(self.plan, opened.id),
        )


def times_of(alert: Alert) -> AlertTimes:
    """When people acknowledged it, and when it was resolved or cleared."""
    acknowledged = None if alert.acknowledged is None else alert.acknowledged.at
    resolved = alert.cleared_at if alert.resolved is None else alert.resolved.at
    return AlertTimes(alert.id, acknowledged, resolved)


def _voices(values: Values) -> dict[str, float]:
    said = {name: _number(value) for name, value in values.items() if name.startswith(VOICE)}
    return {name.removeprefix(VOICE): score for name, score in said.items() if score is not None}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
