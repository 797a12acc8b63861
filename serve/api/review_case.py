"""One item with all that is needed to decide: from the records, the features of the past, and the alert."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import blake2b
from typing import Final

import msgspec
import numpy as np

from mesh.errors import MeshError
from mesh.review.cases import Case
from mesh.review.neighbours import Moved, moved_most
from mesh.review.ports import Signal, Signals
from mesh.review.priority import Urgency
from mesh.review.values import Label, Source, State
from mesh.stores.alerts import AlertBook
from serve.api.alert_views import AlertView, alert_view, moment
from serve.api.review_views import DecisionView, ItemView, decision_view, item_view

BEFORE_MS: Final = 30 * 60_000
AFTER_MS: Final = 10 * 60_000
SERIES: Final = 24
"""Features whose past is shown: those that moved most, then the means of sensors."""


@dataclass(frozen=True, slots=True)
class SignalView:
    """`series` by feature, each with a value for every one of `times`; null where it was missing."""

    times: list[datetime]
    series: Mapping[str, list[float | None]]


@dataclass(frozen=True, slots=True)
class SimilarView:
    """A decided item that looked alike, and what was said of it."""

    item: str
    asset: str
    row_time: datetime
    distance: float
    label: Label | None


@dataclass(frozen=True, slots=True)
class PastView:
    """A label of another item of the asset."""

    item: str
    row_time: datetime
    label: Label


@dataclass(frozen=True, slots=True)
class SiblingView:
    """Another item of the incident."""

    item: str
    source: Source
    row_time: datetime
    state: State


@dataclass(frozen=True, slots=True)
class EvidenceView:
    """What was in view: send it back with the decision, which keeps it. `digest` is of all that is shown."""

    parts: list[str]
    digest: str


@dataclass(frozen=True, slots=True)
class CaseView:
    """An item with its surroundings. `blind`: what the mesh said is hidden until you have judged.

    `explain` says in words what answered the row, and why. `signal` is the asset's past around the row, `moved` the features
    farthest from it; null and empty where the past is not known, with the reason in `missing`. Then `values` has the row's own
    numbers by name, where they are known.
    """

    item: ItemView
    blind: bool
    label: Label | None
    basis: str | None
    explain: list[str]
    alert: AlertView | None
    signal: SignalView | None
    moved: list[Moved]
    values: Mapping[str, float]
    similar: list[SimilarView]
    past: list[PastView]
    siblings: list[SiblingView]
    incident_items: int
    decisions: list[DecisionView]
    missing: list[str]
    evidence: EvidenceView


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where a case's surroundings come from; `conditions` are the alert rules' texts by name."""

    signals: Signals
    alerts: AlertBook | None
    conditions: Mapping[str, str]
    urgency: Urgency

    async def view(self, case: Case, now: int) -> CaseView:
        """The whole case. What does not answer is left out and named: a person can still decide."""
        missing: list[str] = []
        signal = await self._signal(case, missing)
        alert = await self._alert(case, missing)
        # The loop has others to serve
        return await asyncio.to_thread(self._whole, case, signal, alert, missing, now)

    def _whole(
        self, case: Case, signal: Signal | None, alert: AlertView | None, missing: list[str], now: int
    ) -> CaseView:
        moved = _moved(case, signal)
        whole = CaseView(
            item=item_view(case.item, now, blind=case.blind, urgency=self.urgency),
            blind=case.blind,
            label=None if case.blind else case.label,
            basis=None if case.blind else case.basis,
            explain=[] if case.blind else explained(case, self.conditions),
            alert=alert,
            signal=None if signal is None else _shown(signal, [one.name for one in moved]),
            moved=moved,
            values={} if signal else dict(zip(case.names, case.features.tolist(), strict=True)),
            similar=[
                SimilarView(one.item, one.asset, moment(one.row_time), one.distance, one.label)
                for one in case.similar
            ],
            past=[PastView(one.item, moment(one.row_time), one.label) for one in case.past],
            siblings=[
                SiblingView(one.item, one.source, moment(one.row_time), one.state) for one in case.siblings
            ],
            incident_items=case.incident_items,
            decisions=[decision_view(one) for one in case.decisions],
            missing=missing,
            evidence=EvidenceView([], ""),
        )
        return replace(whole, evidence=_evidence(whole))

    async def _signal(self, case: Case, missing: list[str]) -> Signal | None:
        time = case.item.row_time
        try:
            found = await self.signals.around(case.item.asset, time - BEFORE_MS, time + AFTER_MS)
        except MeshError as error:
            missing.append(f"signal: {error}")
            return None
        if found is None:
            missing.append(f"signal: no features of '{case.item.asset}' are kept for that time")
        return found

    async def _alert(self, case: Case, missing: list[str]) -> AlertView | None:
        if case.blind or not case.item.alert or self.alerts is None:
            return None
        try:
            return alert_view(await self.alerts.get(case.item.alert))
        except MeshError as error:
            missing.append(f"alert: {error}")
            return None


def explained(case: Case, conditions: Mapping[str, str]) -> list[str]:
    """What answered the row and why, a sentence each."""
    item, said, told = case.item, case.item.prediction, []
    if said.model:
        told.append(
            f"{said.model}@{said.version or '?'} answered"
            + (f" on route '{said.route}' as {said.role or 'primary'}" if said.route else "")
            + (f" under rules {said.rules}" if said.rules else "")
        )
    if said.score is not None:
        limit = "" if said.threshold is None else f", the threshold is {said.threshold:.6g}"
        told.append(f"its score is {said.score:.6g}{limit}")
    if said.confidence is not None:
        told.append(f"its confidence is {said.confidence:.3f}")
    for model, score in sorted(said.voices.items()):
        told.append(f"{model} alone says {score:.6g}")
    if item.alert_rule:
        condition = conditions.get(item.alert_rule)
        told.append(
            f"alert rule '{item.alert_rule}'" + (f" holds: {condition}" if condition else " opened it")
        )
    return told


def _moved(case: Case, signal: Signal | None) -> list[Moved]:
    if signal is None:
        return []
    before = signal.values[signal.times < case.item.row_time]
    at = np.flatnonzero(signal.times <= case.item.row_time)
    now = case.features if case.names == signal.names else signal.values[at[-1]] if len(at) else None
    return [] if now is None else moved_most(signal.names, np.asarray(now, np.float64), before)


def _shown(signal: Signal, first: Sequence[str]) -> SignalView:
    means = [name for name in signal.names if name.endswith(".mean")] or list(signal.names)
    chosen = list(dict.fromkeys([*first, *means]))[:SERIES]
    places = {name: at for at, name in enumerate(signal.names)}
    series = {
        name: [value if np.isfinite(value) else None for value in signal.values[:, places[name]].tolist()]
        for name in chosen
    }
    return SignalView([moment(time) for time in signal.times.tolist()], series)


def _evidence(view: CaseView) -> EvidenceView:
    parts = ["item"] + [
        name
        for name in (
            "explain",
            "alert",
            "signal",
            "moved",
            "values",
            "similar",
            "past",
            "siblings",
            "decisions",
        )
        if getattr(view, name)
    ]
    if not view.blind:
        parts.append("prediction")
    steady = replace(view, item=replace(view.item, urgency=0.0))  # the urgency grows while one looks
    return EvidenceView(parts, blake2b(msgspec.json.encode(steady), digest_size=16).hexdigest())
