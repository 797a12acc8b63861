"""Where wishes come in: start, pause, resume, approve, abort. Each is a compare-and-set, made anew where it came late."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final, Literal

from mesh.errors import StoreAway, WrongState
from mesh.rollouts.controller import wall_ms
from mesh.rollouts.guards import NoGuards
from mesh.rollouts.machine import Situation, aborted, approved, missing_in, paused, resumed
from mesh.rollouts.plan import Plan
from mesh.rollouts.ports import EvidenceBook, Guards, Hosts, RolloutBook, Routes
from mesh.rollouts.record import Evidence
from mesh.rollouts.staging import Stage, refuse_known, staged
from mesh.rollouts.states import Rollout, begun

Wish = Literal["pause", "resume", "approve", "abort"]
_TRIES: Final = 5


@dataclass(frozen=True, slots=True)
class Shown:
    """A rollout with what was seen of it, and what its step still lacks."""

    rollout: Rollout
    evidence: Evidence
    missing: tuple[str, ...]


class Desk:
    """Takes wishes; the controller carries them out at its next look."""

    def __init__(
        self,
        book: RolloutBook,
        evidence: EvidenceBook,
        routes: Routes,
        now_ms: Callable[[], int] = wall_ms,
        guards: Guards | None = None,
        hosts: Hosts | None = None,
    ) -> None:
        """`routes` and `guards` are asked whether a rollout could begin at all; `hosts` brings the candidate up before it does.

        Without `hosts` candidates are taken to serve.
        """
        self._book, self._evidence, self._routes, self._now_ms = book, evidence, routes, now_ms
        self._guards, self._hosts = guards or NoGuards(), hosts

    async def start(self, plan: Plan, actor: str) -> Rollout:
        """Begin, with a candidate that serves.

        `InvalidInput` where the rules give it no place; `WrongState` where one is under way there already or a guard of
        `freeze_when` holds; whatever keeps the candidate from being hosted.
        """
        await self._refuse_without_place(plan)
        held = await self._guards.holding(plan)
        if held:
            reasons = "; ".join(f"{name}: {says}" for name, says in sorted(held.items()))
            raise WrongState(f"rollout '{plan.name}'", f"held back by {reasons}", "start")
        if self._hosts is not None:
            await self._hosts.host(plan, actor)
            await self._refuse_without_place(plan)  # that may have taken minutes
        rollout = begun(plan, actor, self._now_ms())
        if not await self._book.write(rollout, None):
            await self._refuse_busy(plan)
            raise WrongState(f"rollout '{plan.name}'", "under way", "start")
        return rollout

    async def _refuse_without_place(self, plan: Plan) -> None:
        rules = await self._routes.current()
        refuse_known(rules.document, plan)
        staged(rules.document, plan, Stage("shadow", shadow=100.0))
        await self._refuse_busy(plan)

    async def _refuse_busy(self, plan: Plan) -> None:
        for other in await self._book.all():
            if other.plan.endpoint == plan.endpoint and not other.over:
                raise WrongState(
                    f"rollout '{other.name}' of endpoint '{plan.endpoint}'", other.state, "start"
                )

    async def act(
        self,
        name: str,
        wish: Wish,
        actor: str,
        roles: Collection[str] = (),
        note: str = "",
        step: int | None = None,
    ) -> Rollout:
        """Do it; with `step` only while the rollout is at that one, which is what the actor was shown.

        `NotFound`, `WrongState` (its state does not allow it, or it has gone on), `InvalidInput` (the actor may not approve).
        """
        for _ in range(_TRIES):
            rollout = await self._book.get(name)
            if step is not None and rollout.step != step:
                raise WrongState(
                    f"rollout '{name}'", f"at step {rollout.step + 1} by now, not {step + 1}", wish
                )
            after = await self._after(rollout, wish, actor, roles, note)
            if await self._book.write(after, rollout):
                return after
        raise StoreAway("the book of rollouts", f"'{name}' moved {_TRIES} times in between")

    async def shown(self, name: str) -> Shown:
        """One rollout; `NotFound` says which there are."""
        rollout = await self._book.get(name)
        evidence = await self._evidence.evidence(rollout)
        missing: list[str] = []
        if rollout.state in ("Shadowing", "Progressing", "Paused"):
            situation = Situation(evidence.tally, evidence.judgements, {}, self._now_ms())
            missing = missing_in(rollout, situation)
        return Shown(rollout, evidence, tuple(missing))

    async def all(self) -> tuple[Rollout, ...]:
        """Every rollout, the newest first."""
        return tuple(await self._book.all())

    async def _after(
        self, rollout: Rollout, wish: Wish, actor: str, roles: Collection[str], note: str
    ) -> Rollout:
        now = self._now_ms()
        if wish == "pause":
            return paused(rollout, actor, note, now)
        if wish == "abort":
            return aborted(rollout, actor, note, now)
        evidence = await self._evidence.evidence(rollout)
        situation = Situation(evidence.tally, evidence.judgements, {}, now)
        if wish == "resume":
            return resumed(rollout, actor, note, situation)
        return approved(rollout, actor, roles, note, situation)
