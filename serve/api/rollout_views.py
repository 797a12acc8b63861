"""Rollouts as the API shows them: flat, with times in RFC 3339."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from mesh.rollouts.desk import Shown
from mesh.rollouts.judging import Judgement, Verdict
from mesh.rollouts.plan import Step
from mesh.rollouts.record import Point
from mesh.rollouts.staging import stage_of
from mesh.rollouts.states import PauseKind, Rollout, State, Transition
from serve.api.alert_views import moment


@dataclass(frozen=True, slots=True)
class StepView:
    """A step of the plan; `percent` is the share of the rows, null where it has none of its own."""

    kind: str
    percent: float | None
    roles: list[str]
    hold_s: float
    max_s: float | None


@dataclass(frozen=True, slots=True)
class MoveView:
    """One move from state to state: who, when and why."""

    at: datetime
    actor: str
    action: str
    before: State
    after: State
    step: int
    generation: int
    reason: str


@dataclass(frozen=True, slots=True)
class RolloutView:
    """A rollout. `step` counts from 0; `candidate_percent` is the share of rows that the candidate answers now."""

    name: str
    endpoint: str
    primary: str
    candidate: str
    state: State
    pause: PauseKind | None
    reason: str
    trouble: str
    step: int
    steps: list[StepView]
    candidate_percent: float
    warm: bool
    generation: int
    started_at: datetime
    started_by: str
    since: datetime
    plan: str


@dataclass(frozen=True, slots=True)
class TraceView:
    """A metric at one look: log evidence for failure and for success, or the lower and upper bound of its effect."""

    at: datetime
    samples: int
    failure: float | None
    success: float | None


@dataclass(frozen=True, slots=True)
class MetricView:
    """What one metric says.

    A bet has evidence and boundaries (natural logarithms): it decides when an evidence reaches its boundary. Of the others `low`
    above `allowed` is failure, `high` at or below it success.
    """

    name: str
    test: str
    due: str
    critical: bool
    dry_run: bool
    verdict: Verdict
    reason: str
    samples: int
    allowed: float
    estimate: float | None
    low: float | None
    high: float | None
    failure_evidence: float | None
    failure_boundary: float | None
    success_evidence: float | None
    success_boundary: float | None
    trace: list[TraceView]


@dataclass(frozen=True, slots=True)
class EvidenceView:
    """What was seen: windows by who alerted in them, rows by who answered, observations that were lost."""

    looked_at: datetime | None
    windows: Mapping[str, int]
    rows: Mapping[str, int]
    lost: int
    metrics: list[MetricView]


@dataclass(frozen=True, slots=True)
class RolloutDetail:
    """A rollout with its evidence, what its step still lacks, and its moves, oldest first."""

    rollout: RolloutView
    missing: list[str]
    evidence: EvidenceView
    history: list[MoveView]


@dataclass(frozen=True, slots=True)
class RolloutsView:
    """The newest rollout of each name, newest first, and the names that `config/rollouts` could start."""

    rollouts: list[RolloutView]
    plans: list[str]


def rollout_view(rollout: Rollout) -> RolloutView:
    """A rollout as it is shown."""
    plan, stage = rollout.plan, stage_of(rollout)
    percent = 100.0 if stage.kind in ("all", "warm") else stage.canary
    return RolloutView(
        name=plan.name,
        endpoint=plan.endpoint,
        primary=plan.primary,
        candidate=plan.candidate,
        state=rollout.state,
        pause=rollout.pause,
        reason=rollout.reason,
        trouble=rollout.trouble,
        step=rollout.step,
        steps=[_step(step) for step in plan.steps],
        candidate_percent=percent,
        warm=rollout.warm,
        generation=rollout.generation,
        started_at=moment(rollout.created_ms),
        started_by=rollout.actor,
        since=moment(rollout.began_ms),
        plan=plan.digest,
    )


def detail_view(shown: Shown) -> RolloutDetail:
    """A rollout with all that is known of it."""
    evidence, tally = shown.evidence, shown.evidence.tally
    windows = {
        "both": tally.both,
        "only_primary": tally.only_primary,
        "only_candidate": tally.only_candidate,
        "neither": tally.neither,
    }
    judged = {one.metric: one for one in evidence.judgements}
    metrics = [
        _metric(shown.rollout, number, judged.get(metric.name), evidence.traces.get(metric.name, ()))
        for number, metric in enumerate(shown.rollout.plan.metrics)
    ]
    looked = moment(evidence.looked_ms) if evidence.looked_ms else None
    rows = {str(arm): count for arm, count in tally.rows.items()}
    return RolloutDetail(
        rollout_view(shown.rollout),
        list(shown.missing),
        EvidenceView(looked, windows, rows, tally.lost, metrics),
        [_move(move) for move in shown.rollout.history],
    )


def _step(step: Step) -> StepView:
    traffic = step.kind in ("shadow", "canary")
    longest = step.max_ms if traffic else step.timeout_ms if step.kind == "approval" else None
    return StepView(
        step.kind,
        step.percent if traffic else None,
        list(step.roles),
        step.hold_ms / 1000,
        None if longest is None else longest / 1000,
    )


def _move(move: Transition) -> MoveView:
    return MoveView(
        moment(move.at_ms),
        move.actor,
        move.action,
        move.before,
        move.after,
        move.step,
        move.generation,
        move.reason,
    )


def _metric(rollout: Rollout, number: int, said: Judgement | None, trace: tuple[Point, ...]) -> MetricView:
    metric = rollout.plan.metrics[number]
    said = said or Judgement(metric.name, "inconclusive", "nothing seen", 0, metric.margin)
    return MetricView(
        metric.name,
        metric.kind,
        metric.due,
        metric.critical,
        metric.dry_run,
        said.verdict,
        said.reason,
        said.samples,
        said.allowed,
        said.estimate,
        said.low,
        said.high,
        said.failure_evidence,
        said.failure_boundary,
        said.success_evidence,
        said.success_boundary,
        [TraceView(moment(one.at_ms), one.samples, one.failure, one.success) for one in trace],
    )
