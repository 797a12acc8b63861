"""`/rollouts`: what is being rolled out, by which evidence, and what people have to say about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Protocol

from fastapi import APIRouter, Depends, Path
from pydantic import Field

from mesh.records.entry import Actor, Change
from mesh.records.ledger import Ledger
from mesh.records.roles import ROLES, includes
from mesh.rollouts.desk import Desk, Wish
from mesh.rollouts.plan import Plan
from serve.access.needs import REFUSALS, acting, needs
from serve.api.errors import ApiError, Responses, away, missing
from serve.api.rollout_views import (
    RolloutDetail,
    RolloutsView,
    RolloutView,
    detail_view,
    rollout_view,
)

Named = Annotated[str, Path(min_length=1, max_length=128)]
Who = Annotated[str, Field(min_length=1, max_length=128)] | None
Analyst = Annotated[Actor, Depends(needs("analyst"))]
Operator = Annotated[Actor, Depends(needs("operator"))]


class Plans(Protocol):
    """The plans that could be started."""

    async def names(self) -> Sequence[str]:
        """The files there are."""
        ...

    async def plan(self, name: str) -> Plan:
        """One of them, checked; raises `NotFound`, and `InvalidInput` where it makes no sense with the rules in force."""
        ...


@dataclass(frozen=True, slots=True)
class Start:
    """Which file of `config/rollouts` to start, without `.yaml`, and who says so, where no token does."""

    name: Annotated[str, Field(min_length=1, max_length=128)]
    actor: Who = None


@dataclass(frozen=True, slots=True)
class Say:
    """Why, and who says it, where no token does.

    `step` is the one that the sayer was shown, counted from 0: once the rollout has gone on, nothing is done (409).
    """

    actor: Who = None
    note: Annotated[str, Field(max_length=2_000)] = ""
    step: Annotated[int | None, Field(ge=0)] = None


_AWAY: Final[Responses] = away("The book of rollouts")
_ONE: Final[Responses] = {**missing("rollout"), **_AWAY}
_ACT: Final[Responses] = {
    400: {"model": ApiError, "description": "The actor may not, or the rules give it no place"},
    **REFUSALS,
    409: {"model": ApiError, "description": "Its state does not allow it; the message says the state"},
    **_ONE,
}


def rollouts_router(desk: Desk, plans: Plans, ledger: Ledger) -> APIRouter:
    """The routes over `desk`; who asked for what is logged by `ledger`.

    Errors are the mesh's own, for whoever hosts the router to answer.
    """
    router = APIRouter(prefix="/rollouts", tags=["rollouts"])

    @router.get("", summary="Rollouts, newest first", responses=_AWAY)
    async def rollouts() -> RolloutsView:
        """The newest of each name, and what could be started."""
        return RolloutsView([rollout_view(one) for one in await desk.all()], list(await plans.names()))

    @router.get("/{name}", summary="One rollout with its evidence", responses=_ONE)
    async def one(name: Named) -> RolloutDetail:
        """State, what the step still lacks, every metric with its boundary, and the moves so far."""
        return detail_view(await desk.shown(name))

    @router.post("", summary="Start a rollout", status_code=201, responses=_ACT)
    async def start(asked: Start, asker: Operator) -> RolloutView:
        """Read the plan, check it against the rules that are accepted now, and begin."""
        who, plan = acting(asker, asked.actor), await plans.plan(asked.name)
        change = Change(who, "rollouts.start", f"rollout:{asked.name}", {"plan": plan.digest})
        return rollout_view(await ledger.outside(change, lambda: desk.start(plan, who.name)))

    async def act(name: str, wish: Wish, say: Say, asker: Actor) -> RolloutView:
        who = acting(asker, say.actor)
        change = Change(who, f"rollouts.{wish}", f"rollout:{name}", {"note": say.note} if say.note else {})
        roles = [role for role in ROLES if includes(who.role, role)]
        return rollout_view(
            await ledger.outside(change, lambda: desk.act(name, wish, who.name, roles, say.note, say.step))
        )

    @router.post("/{name}/pause", summary="Pause where it is", responses=_ACT)
    async def pause(name: Named, say: Say, asker: Operator) -> RolloutView:
        """The candidate keeps its share; failure still rolls back."""
        return await act(name, "pause", say, asker)

    @router.post("/{name}/resume", summary="Go on with the step", responses=_ACT)
    async def resume(name: Named, say: Say, asker: Operator) -> RolloutView:
        """The step's time begins again; the evidence stays."""
        return await act(name, "resume", say, asker)

    @router.post("/{name}/approve", summary="Approve", responses=_ACT)
    async def approve(name: Named, say: Say, asker: Analyst) -> RolloutView:
        """For an approval step, by somebody with one of its roles, or a role that includes one."""
        return await act(name, "approve", say, asker)

    @router.post("/{name}/abort", summary="Put everything back", responses=_ACT)
    async def abort(name: Named, say: Say, asker: Operator) -> RolloutView:
        """Also after a promotion, as long as the old model is kept warm."""
        return await act(name, "abort", say, asker)

    return router
