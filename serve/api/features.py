"""`GET /features/{entity}`: the newest features of an entity, from the online store."""

import time
from collections.abc import Mapping
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Path, Query, Response

from mesh.errors import NotFound
from mesh.routing.problems import nearest
from mesh.stores.lookup import online_row
from mesh.stores.online import OnlineStore
from mesh.stores.shown import shown_online
from mesh.stores.views import FeatureView
from serve.api.errors import BAD, Responses, away, missing

_RESPONSES: Final[Responses] = {
    200: {"model": dict[str, Any]},
    **BAD,
    **missing("entity or view"),
    **away("The online feature store"),
}


def features_router(views: Mapping[str, FeatureView], store: OnlineStore) -> APIRouter:
    """The route over these views; `store` is not asked before somebody asks here.

    404 names the entity or the view, 503 with `Retry-After` says that the store is away: both are errors of the mesh, which
    the application answers.
    """
    router = APIRouter(tags=["features"])

    @router.get("/features/{entity:path}", summary="Newest features of an entity", responses=_RESPONSES)
    async def features(
        entity: Annotated[str, Path(min_length=1, max_length=256)],
        view: Annotated[str, Query(description="A view of features.yaml")] = "telemetry",
    ) -> Response:
        """Values by name, event time, created time, age, and the digest of what computed them."""
        known = views.get(view)
        if known is None:
            raise NotFound(f"no view '{view}' for entity '{entity}'{nearest(view, views)}")
        row = await online_row(store, known, entity)
        shown = shown_online(known, row, time.time_ns() // 1_000_000)
        return Response(orjson.dumps(shown), media_type="application/json")

    return router
