"""`GET /predictions`: what the stream predicted lately, from the log in Redis."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Response

from mesh.stores.predictions import BEGINNING, Entry, Prediction, PredictionLog, checked_cursor
from mesh.stores.predictions.entry import before_time
from serve.api.alert_views import milliseconds
from serve.api.errors import BAD, Responses, away
from serve.api.prediction_views import PredictionPage, page_json
from serve.api.times import Time

MAX_LIMIT: Final = 200
SCANNED: Final = 5_000
"""Entries that one page looks at; with rare filters it may hold fewer than were asked for, and go on at its cursor."""
_READ: Final = 1_000

_RESPONSES: Final[Responses] = {
    200: {"model": PredictionPage},
    **BAD,
    **away("The log of predictions"),
}


def predictions_router(log: PredictionLog, keys: Mapping[str, str]) -> APIRouter:
    """The routes over `log`; `keys` names the sticky key of each endpoint that has one, as an attribute of the metadata."""
    router = APIRouter(tags=["predictions"])

    @router.get("/predictions", summary="Predictions of the stream, newest first", responses=_RESPONSES)
    async def predictions(
        *,
        model: Annotated[str | None, Query(description="The endpoint that was asked")] = None,
        key: Annotated[
            str | None,
            Query(description="The record's input_id, or its sticky key where the endpoint has one"),
        ] = None,
        since: Annotated[Time | None, Query(description="Written at or after this time, RFC 3339")] = None,
        limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = 50,
        cursor: Annotated[
            str | None,
            Query(
                description="The cursor of the page before",
                json_schema_extra={"pattern": "^[0-9]{1,15}-[0-9]{1,10}$"},
            ),
        ] = None,
    ) -> Response:
        """Those that fit all filters, as far back as the log reaches. A page may hold fewer than `limit` and have a `cursor`."""
        before = None if cursor is None else checked_cursor(cursor, "cursor")
        wanted = _Wanted(model, key, keys)
        earliest = BEGINNING if since is None else before_time(milliseconds(since))
        entries, following = await _page(log, wanted, before, earliest, limit)
        return Response(page_json(entries, following), media_type="application/json")

    return router


class _Wanted:
    """The filters of one page."""

    def __init__(self, model: str | None, key: str | None, keys: Mapping[str, str]) -> None:
        self._model, self._key, self._keys = model, key, keys

    def fits(self, entry: Entry) -> bool:
        """A prediction, and one of those that are wanted."""
        found = entry.prediction()
        if found is None or self._model not in (None, found.model_id):
            return False
        return self._key is None or self._key in (found.input_id, self._sticky(found))

    def _sticky(self, found: Prediction) -> str | None:
        value: Any = found.metadata
        name = self._keys.get(found.model_id)
        if name is None:
            return None
        for part in name.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        return None if value is None else str(value)


async def _page(
    log: PredictionLog, wanted: _Wanted, before: str | None, since: str, limit: int
) -> tuple[list[Entry], str | None]:
    """The entries, and the cursor of the next page."""
    chosen: list[Entry] = []
    scanned = 0
    while scanned < SCANNED:
        found = await log.before(before, since, _READ)
        for entry in found:
            before = entry.cursor
            if wanted.fits(entry):
                chosen.append(entry)
                if len(chosen) == limit:
                    return chosen, before
        scanned += len(found)
        if len(found) < _READ:
            return chosen, None
    return chosen, before
