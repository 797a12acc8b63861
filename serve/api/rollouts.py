"""`/rollouts`: what is being rolled out, by which evidence, and what people have to say about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Protocol

from fastapi import APIRouter, Depends, Path
from pydantic import Field

from mesh.records.entry import Actor
from mesh.records.roles import held
from mesh.rollouts.desk import Desk, Wish
from mesh.rollouts.plan import Plan
from serve.access.needs import REFUSALS, acting, needs
from serve.api.rollout_views import (
    RolloutDetail,
    RolloutsView,
    RolloutView,
    detail_view,
    rollout_view,
)

Responses = dict[int | str, dict[str, Any]]
Named = Annotated[str, Path(min_length=1, max_length=128)]

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
    """Which file of `config/rollouts` to start, without `.yaml`; `actor` is left out, or the name of the token."""

    name: Annotated[str, Field(min_length=1, max_length=128)]
    actor: Annotated[str, Field(min_length=1, max_length=128)] | None = None


@dataclass(frozen=True, slots=True)
class Say:
    """Why; `actor` is left out, or the name of the token."""

    actor: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    note: Annotated[str, Field(max_length=2_000)] = ""


@dataclass(frozen=True, slots=True)
class ApiError:
    """The body of every error."""

    error: str


_AWAY: Final[Responses] = {
    503: {"model": ApiError, "description": "The book of rollouts is away; see Retry-After"}
}
_ONE: Final[Responses] = {404: {"model": ApiError, "description": "No such rollout"}, **_AWAY}
_ACT: Final[Responses] = {
    400: {"model": ApiError, "description": "The actor may not, or the rules give it no place"},
    409: {"model": ApiError, "description": "Its state does not allow it; the message says the state"},
    **REFUSALS,
    **_ONE,
}


def rollouts_router(desk: Desk, plans: Plans) -> APIRouter:
    """The routes over `desk`. Errors are the mesh's own, for whoever hosts the router to answer."""
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
    async def start(asked: Start, by: Operator) -> RolloutView:
        """Read the plan, check it against the rules that are accepted now, and begin."""
        return rollout_view(await desk.start(await plans.plan(asked.name), acting(by, asked.actor).name))

    async def act(name: str, wish: Wish, say: Say, by: Actor) -> RolloutView:
        return rollout_view(await desk.act(name, wish, acting(by, say.actor).name, held(by.role), say.note))

    @router.post("/{name}/pause", summary="Pause where it is", responses=_ACT)
    async def pause(name: Named, say: Say, by: Operator) -> RolloutView:
        """The candidate keeps its share; failure still rolls back."""
        return await act(name, "pause", say, by)

    @router.post("/{name}/resume", summary="Go on with the step", responses=_ACT)
    async def resume(name: Named, say: Say, by: Operator) -> RolloutView:
        """The step's time begins again; the evidence stays."""
        return await act(name, "resume", say, by)

    @router.post("/{name}/approve", summary="Approve", responses=_ACT)
    async def approve(name: Named, say: Say, by: Analyst) -> RolloutView:
        """For an approval step, by somebody with one of its roles."""
        return await act(name, "approve", say, by)

    @router.post("/{name}/abort", summary="Put everything back", responses=_ACT)
    async def abort(name: Named, say: Say, by: Operator) -> RolloutView:
        """Also after a promotion, as long as the old model is kept warm."""
        return await act(name, "abort", say, by)

    return router
