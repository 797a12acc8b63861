"""`GET /whoami`: who the mesh takes a caller for."""

from typing import Final

from fastapi import APIRouter, Request, Response

from mesh.records.entry import Actor
from serve.access.needs import REFUSALS
from serve.access.views import By, CallerView

_BY: Final[dict[str, By]] = {"local": "local", "token": "token", "certificate": "certificate"}


def whoami_router() -> APIRouter:
    """The route; it stands behind a `Guard`."""
    router = APIRouter(tags=["access"])

    @router.get("/whoami", summary="Who am I?", responses={401: REFUSALS[401]})
    async def whoami(request: Request, response: Response) -> CallerView:
        """Name and role of the caller's token, or of this machine's user; 401 for a token that is not valid."""
        response.headers["cache-control"] = "no-store"
        actor: Actor | None = request.scope.get("state", {}).get("actor")
        if actor is None:
            return CallerView(None, None, "nobody")
        return CallerView(actor.name, actor.role, _BY[actor.via.partition(":")[0]])

    return router
