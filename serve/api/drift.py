"""`GET /mesh/drift`: which streams are watched for change, and which changed lately."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from fastapi import APIRouter

from mesh.telemetry.summary import DriftState
from serve.api.alert_views import moment
from serve.api.errors import Responses, away
from serve.drift import Drifting

_AWAY: Final[Responses] = away("The alert store")


class Drifts(Protocol):
    """What knows of drift."""

    quiet_ms: int
    """An alarm that is older is over."""

    async def drifting(self) -> list[Drifting]:
        """Newest first. Raises `StoreAway`."""
        ...

    async def watched(self) -> Sequence[DriftState] | None:
        """Every stream that is watched, in order; None while nobody can say."""
        ...


@dataclass(frozen=True, slots=True)
class DriftingView:
    """A stream that changed, when by the rows' own time, in words, and the alert that tells it: resolve that, and it is over."""

    stream: str
    at: datetime
    summary: str
    alert: str


@dataclass(frozen=True, slots=True)
class DriftView:
    """`drifting` changed within the last `quiet_s` seconds, newest first. `watched` is null while the scoreboard is away."""

    quiet_s: float
    drifting: list[DriftingView]
    watched: list[DriftState] | None


def drift_router(drifts: Drifts) -> APIRouter:
    """The route over `drifts`. Errors are the mesh's own, for whoever hosts the router to answer."""
    router = APIRouter(tags=["mesh"])

    @router.get("/mesh/drift", summary="What drifts, of inputs and scores", responses=_AWAY)
    async def drift() -> DriftView:
        """Alarms that opened lately and that nobody resolved, and the means of all watched streams."""
        drifting = [
            DriftingView(one.stream, moment(one.at), one.summary, one.alert)
            for one in await drifts.drifting()
        ]
        watched = await drifts.watched()
        return DriftView(drifts.quiet_ms / 1e3, drifting, None if watched is None else list(watched))

    return router
