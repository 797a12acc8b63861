"""Where a rollout is, and what can become of it. Every move that there is stands in the table of this file."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final, Literal

from mesh.errors import WrongState
from mesh.rollouts.plan import Plan, Step

State = Literal[
    "Pending",
    "Shadowing",
    "Progressing",
    "Paused",
    "Promoting",
    "Promoted",
    "RollingBack",
    "RolledBack",
    "Aborted",
]
Action = Literal[
    "shadow", "progress", "pause", "resume", "promote", "finish", "fail", "abort", "rolled_back", "aborted"
]
PauseKind = Literal["person", "approval", "inconclusive", "guard", "error"]

ENDED: Final[frozenset[State]] = frozenset({"Promoted", "RolledBack", "Aborted"})
MESH: Final = "mesh"
"""The actor of what the mesh does by itself."""
KEPT_HISTORY: Final = 500

_ACTIVE: Final[Mapping[Action, State]] = {
    "shadow": "Shadowing",
    "progress": "Progressing",
    "pause": "Paused",
    "promote": "Promoting",
    "fail": "RollingBack",
    "abort": "RollingBack",
}
MOVES: Final[Mapping[State, Mapping[Action, State]]] = MappingProxyType({
    # Nothing was changed yet, so there is nothing to roll back.
    "Pending": {**_ACTIVE, "abort": "Aborted", "fail": "RolledBack"},
    "Shadowing": _ACTIVE,
    "Progressing": _ACTIVE,
    # What resumes takes up its step, so it moves by the name of that state.
    "Paused": _ACTIVE,
    "Promoting": {"finish": "Promoted", "pause": "Paused", "fail": "RollingBack", "abort": "RollingBack"},
    # As long as the old model is warm, a person may still take it back.
    "Promoted": {"abort": "RollingBack"},
    "RollingBack": {"rolled_back": "RolledBack", "aborted": "Aborted"},
    "RolledBack": {},
    "Aborted": {},
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Transition:
    """One move, as the audit log has it. `generation` is the rollout's after it."""

    at_ms: int
    actor: str
    action: str
    before: State
    after: State
    step: int
    generation: int
    reason: str


@dataclass(frozen=True, slots=True)
class AliasBefore:
    """What the alias of the promote step stood for before the promotion; None is nothing."""

    version: str | None


@dataclass(frozen=True, slots=True)
class Rollout:
    """A rollout as it is kept. `generation` grows with every move; a writer must name the one it saw, and the state.

    `step` is the number of the step in the plan, `began_ms` when it began (again, after a pause). `pause` is why it is paused.
    `aborting` says that the rollback that is under way was a person's wish. `warm` says that the old model is kept loaded.
    `accepted` are metrics, none of them critical, that had failed when a person said to go on all the same. `audited` moves of
    `history` have reached the audit log. `trouble` is what went wrong at the last tries, `tries` how many there were. `alias` is
    there from before the alias is moved: what a rollback gives it back to.
    """

    plan: Plan
    state: State
    generation: int
    created_ms: int
    actor: str
    step: int = 0
    began_ms: int = 0
    reason: str = ""
    pause: PauseKind | None = None
    aborting: bool = False
    warm: bool = False
    accepted: tuple[str, ...] = ()
    history: tuple[Transition, ...] = ()
    audited: int = 0
    tries: int = 0
    trouble: str = ""
    alias: AliasBefore | None = None

    @property
    def name(self) -> str:
        """Names the rollout."""
        return self.plan.name

    @property
    def current(self) -> Step:
        """The step it is at."""
        return self.plan.steps[self.step]

    @property
    def ended(self) -> bool:
        """Nothing more happens by itself but letting the old model go."""
        return self.state in ENDED

    @property
    def over(self) -> bool:
        """The old model is let go too: its endpoint is free for another."""
        return self.ended and not self.warm


def begun(plan: Plan, actor: str, now_ms: int) -> Rollout:
    """A rollout that somebody asked for."""
    first = Transition(now_ms, actor, "start", "Pending", "Pending", 0, 1, f"plan {plan.digest}")
    return Rollout(plan, "Pending", 1, now_ms, actor, began_ms=now_ms, history=(first,))


def noted(rollout: Rollout, version: str | None) -> Rollout:
    """With what its alias stood for: of a generation of its own, so that no writer undoes it who has not seen it."""
    return replace(rollout, alias=AliasBefore(version), generation=rollout.generation + 1)


def moved(
    rollout: Rollout,
    action: Action,
    *,
    now_ms: int,
    actor: str = MESH,
    reason: str = "",
    step: int | None = None,
    pause: PauseKind | None = None,
) -> Rollout:
    """The rollout after `action`; `WrongState` where its state has no such move."""
    after = MOVES[rollout.state].get(action)
    if after is None:
        raise WrongState(f"rollout '{rollout.name}'", rollout.state, action)
    place = rollout.step if step is None else step
    generation = rollout.generation + 1
    made = Transition(now_ms, actor, action, rollout.state, after, place, generation, reason)
    dropped = max(0, len(rollout.history) + 1 - KEPT_HISTORY)
    return replace(
        rollout,
        state=after,
        generation=generation,
        step=place,
        began_ms=now_ms,
        reason=reason,
        pause=pause if after == "Paused" else None,
        aborting=rollout.aborting or action == "abort",
        warm=rollout.warm or action == "finish",
        history=(*rollout.history, made)[dropped:],
        audited=max(0, rollout.audited - dropped),
        tries=0,
        trouble="",
    )
