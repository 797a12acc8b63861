"""What a rollout does next: a pure function of what it is, what was judged, which guards hold, and the time."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from mesh.errors import InvalidInput, WrongState
from mesh.rollouts.judging import Judgement
from mesh.rollouts.plan import Guard, Metric, Step
from mesh.rollouts.states import MESH, Action, Rollout, moved
from mesh.rollouts.tally import Tally

_ENTERS: Final[Mapping[str, Action]] = {
    "shadow": "shadow", "canary": "progress", "approval": "pause", "promote": "promote",
}  # fmt: skip
_WATCHED: Final = frozenset({"Shadowing", "Progressing", "Paused"})


@dataclass(frozen=True, slots=True)
class Situation:
    """What there is to decide on. `guards` maps each guard that holds now to what it says."""

    tally: Tally
    judgements: Sequence[Judgement]
    guards: Mapping[Guard, str]
    now_ms: int


def decided(rollout: Rollout, situation: Situation) -> Rollout:
    """The rollout after at most one move; the same object where nothing is to be done.

    Failure comes before all else, also while it is paused: the candidate still has its share. Nothing that is missing
    counts as success.
    """
    now = situation.now_ms
    if rollout.state == "Pending":
        return entered(rollout, 0, "started", now)
    if rollout.state not in _WATCHED:
        return rollout
    failure = _failed(rollout, situation.judgements, critical=True)
    if failure is not None:
        return moved(rollout, "fail", now_ms=now, reason=f"{failure.metric}: {failure.reason}")
    if rollout.state == "Paused":
        return _paused(rollout, situation)
    return _held(rollout, situation) or _stepped(rollout, situation)


def _held(rollout: Rollout, situation: Situation) -> Rollout | None:
    """The rollout stopped where it is, by a guard or by a metric that is not critical; None where nothing stops it."""
    now = situation.now_ms
    held = {name: says for name, says in situation.guards.items() if name in rollout.plan.freeze_when}
    if held:
        reason = "; ".join(f"{name}: {says}" for name, says in sorted(held.items()))
        return moved(rollout, "pause", now_ms=now, reason=reason, pause="guard")
    failure = _failed(rollout, situation.judgements, critical=False)
    if failure is None:
        return None
    reason = f"{failure.metric} (not critical): {failure.reason}"
    return moved(rollout, "pause", now_ms=now, reason=reason, pause="inconclusive")


def _stepped(rollout: Rollout, situation: Situation) -> Rollout:
    step, now = rollout.current, situation.now_ms
    missing = missing_in(rollout, situation)
    if now - rollout.began_ms < step.hold_ms:
        return rollout
    if not missing:
        return entered(rollout, rollout.step + 1, f"step {rollout.step + 1} ({step.kind}) succeeded", now)
    if now - rollout.began_ms < step.max_ms:
        return rollout
    reason = f"nothing shown either way in {step.max_ms / 1000:g} s: {'; '.join(missing)}"
    return moved(rollout, "pause", now_ms=now, reason=reason, pause="inconclusive")


def missing_in(rollout: Rollout, situation: Situation) -> list[str]:
    """What the step still lacks, in words; empty when it may end."""
    step, tally = rollout.current, situation.tally
    missing = []
    if step.kind == "shadow" and tally.pairs < step.min_pairs:
        missing.append(f"{tally.pairs:,} of {step.min_pairs:,} windows compared")
    answered = tally.rows.get("candidate", 0)
    if step.kind == "canary" and answered < step.min_rows:
        missing.append(f"{answered:,} of {step.min_rows:,} rows answered by the candidate")
    due = {metric.name for metric in rollout.plan.metrics if _due(rollout, metric)}
    return missing + [text for name, text in _unshown_by_name(rollout, situation).items() if name in due]


def entered(rollout: Rollout, number: int, reason: str, now_ms: int, actor: str = MESH) -> Rollout:
    """The rollout as it enters a step of its plan."""
    step = rollout.plan.steps[number]
    if step.kind == "approval":
        wanted = f"{reason}; waits for the approval of: {', '.join(step.roles)}"
        return moved(
            rollout, "pause", now_ms=now_ms, actor=actor, reason=wanted, step=number, pause="approval"
        )
    return moved(rollout, _ENTERS[step.kind], now_ms=now_ms, actor=actor, reason=reason, step=number)


def approved(
    rollout: Rollout, actor: str, roles: Collection[str], note: str, situation: Situation
) -> Rollout:
    """After a person's approval. `WrongState` where none is waited for, `InvalidInput` where the person may not."""
    if rollout.pause != "approval":
        raise WrongState(f"rollout '{rollout.name}'", _spoken(rollout), "approve")
    wanted = rollout.current.roles
    if not set(wanted) & set(roles):
        raise InvalidInput("actor", f"'{actor}' has none of the roles that may approve: {', '.join(wanted)}")
    reason = f"approved{f': {note}' if note else ''}"
    number, now = rollout.step + 1, situation.now_ms
    step = rollout.plan.steps[number]
    if step.kind == "promote":
        unshown = _unshown(rollout, situation)
        if unshown:
            state = f"{_spoken(rollout)} and not shown any more: {'; '.join(unshown)}"
            raise WrongState(f"rollout '{rollout.name}'", state, "approve")
    if step.kind == "approval":
        return entered(rollout, number, reason, now, actor)
    return moved(rollout, _ENTERS[step.kind], now_ms=now, actor=actor, reason=reason, step=number)


def resumed(rollout: Rollout, actor: str, note: str, situation: Situation) -> Rollout:
    """After a person says to go on with the step that it is paused in.

    The evidence stays, the step's time begins again. Metrics that are not critical and had failed count no more: the person
    has seen them.
    """
    if rollout.state != "Paused" or rollout.pause == "approval":
        raise WrongState(f"rollout '{rollout.name}'", _spoken(rollout), "resume")
    kinds = {metric.name: metric for metric in rollout.plan.metrics}
    failed = {one.metric for one in situation.judgements if one.verdict == "failure"}
    accepted = sorted({*rollout.accepted, *(name for name in failed if not kinds[name].critical)})
    reason = f"resumed{f': {note}' if note else ''}"
    now = situation.now_ms
    after = moved(rollout, _ENTERS[rollout.current.kind], now_ms=now, actor=actor, reason=reason)
    return replace(after, accepted=tuple(accepted))


def paused(rollout: Rollout, actor: str, note: str, now_ms: int) -> Rollout:
    """After a person says to stop where it is."""
    if rollout.state not in ("Shadowing", "Progressing") and rollout.pause != "guard":
        raise WrongState(f"rollout '{rollout.name}'", _spoken(rollout), "pause")
    return moved(rollout, "pause", now_ms=now_ms, actor=actor, reason=note or "paused", pause="person")


def aborted(rollout: Rollout, actor: str, note: str, now_ms: int) -> Rollout:
    """After a person wants everything as it was before."""
    if rollout.state == "Promoted" and not rollout.warm:
        raise WrongState(f"rollout '{rollout.name}'", "Promoted and its old model is no longer kept", "abort")
    return moved(rollout, "abort", now_ms=now_ms, actor=actor, reason=note or "aborted")


def _paused(rollout: Rollout, situation: Situation) -> Rollout:
    """What ends a pause by itself: a guard that holds no more, an approval that came too late."""
    now, step = situation.now_ms, rollout.current
    if rollout.pause == "guard" and not set(situation.guards) & set(rollout.plan.freeze_when):
        return moved(rollout, _ENTERS[step.kind], now_ms=now, reason="no guard holds any more")
    if rollout.pause == "approval" and now - rollout.began_ms >= step.timeout_ms:
        return _unapproved(rollout, step, now)
    return rollout


def _unapproved(rollout: Rollout, step: Step, now: int) -> Rollout:
    reason = f"nobody approved within {step.timeout_ms / 1000:g} s"
    if step.on_timeout == "rollback":
        return moved(rollout, "fail", now_ms=now, reason=reason)
    if rollout.reason.startswith(reason):
        return rollout
    wanted = f"{reason}; still waits for: {', '.join(step.roles)}"
    return moved(rollout, "pause", now_ms=now, reason=wanted, pause="approval")


def _unshown(rollout: Rollout, situation: Situation) -> list[str]:
    return list(_unshown_by_name(rollout, situation).values())


def _unshown_by_name(rollout: Rollout, situation: Situation) -> dict[str, str]:
    """The metrics that decide and have not succeeded, with what they say."""
    said = {judgement.metric: judgement for judgement in situation.judgements}
    return {
        metric.name: f"{metric.name}: {said[metric.name].reason if metric.name in said else 'nothing seen'}"
        for metric in rollout.plan.metrics
        if not metric.dry_run
        and metric.name not in rollout.accepted
        and (metric.name not in said or said[metric.name].verdict != "success")
    }


def _due(rollout: Rollout, metric: Metric) -> bool:
    """By the end of the step the metric must have shown success."""
    step, following = rollout.current, rollout.plan.steps[rollout.step + 1 :]
    if metric.due == "shadow":
        return True
    if metric.due == "canary":
        return step.kind == "canary"
    return not any(one.kind in ("shadow", "canary") for one in following)


def _failed(rollout: Rollout, judgements: Sequence[Judgement], *, critical: bool) -> Judgement | None:
    kinds = {metric.name: metric for metric in rollout.plan.metrics}
    for judgement in judgements:
        metric = kinds[judgement.metric]
        counts = metric.critical == critical and not metric.dry_run and metric.name not in rollout.accepted
        if judgement.verdict == "failure" and counts:
            return judgement
    return None


def _spoken(rollout: Rollout) -> str:
    return f"Paused ({rollout.pause})" if rollout.state == "Paused" else rollout.state
