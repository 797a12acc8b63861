"""`/alerts`: what people see of alerts, and what they do with them."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import APIRouter, Query
from pydantic import Field

from mesh.alerts import Severity, State
from mesh.stores.alerts import AlertBook, AlertQuery
from mesh.stores.alerts.query import MAX_LIMIT
from serve.api.alert_views import AlertView, PageView, alert_view, milliseconds, page_view
from serve.api.errors import BAD, ApiError, Responses, away, missing
from serve.api.times import Time


@dataclass(frozen=True, slots=True)
class Act:
    """Who does it, and what they have to say about it."""

    actor: Annotated[str, Field(min_length=1, max_length=128)]
    note: Annotated[str, Field(max_length=2_000)] = ""


_AWAY: Final[Responses] = away("The alert store")
_ONE: Final[Responses] = {**BAD, **missing("alert"), **_AWAY}
_ACT: Final[Responses] = {
    409: {
        "model": ApiError,
        "description": "The alert's state does not allow it; the message says the state",
    },
    **_ONE,
}


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def alerts_router(book: AlertBook, now_ms: Callable[[], int] = _now_ms) -> APIRouter:
    """The routes over `book`. Errors are the mesh's own, for whoever hosts the router to answer."""
    router = APIRouter(prefix="/alerts", tags=["alerts"])

    @router.get("", summary="Alerts, newest first", responses={**BAD, **_AWAY})
    async def alerts(
        *,
        state: State | None = None,
        severity: Severity | None = None,
        asset: str | None = None,
        rule: str | None = None,
        since: Annotated[Time | None, Query(description="Opened at or after this time, RFC 3339")] = None,
        limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = 50,
        cursor: Annotated[
            str | None,
            Query(
                description="The cursor of the page before", json_schema_extra={"pattern": "^[0-9]{16}:.+$"}
            ),
        ] = None,
    ) -> PageView:
        """Those that fit all filters. A page with rare filters may hold fewer than `limit` and still have a `cursor`."""
        earliest = None if since is None else milliseconds(since)
        return page_view(await book.page(AlertQuery(state, severity, asset, rule, earliest, limit, cursor)))

    @router.get("/{alert}", summary="One alert", responses=_ONE)
    async def one(alert: str) -> AlertView:
        """An alert with its state, its evidence and who did what."""
        return alert_view(await book.get(alert))

    @router.post("/{alert}/ack", summary="Acknowledge an alert", responses=_ACT)
    async def acknowledge(alert: str, act: Act) -> AlertView:
        """An open alert becomes acknowledged. The same actor may say it again: nothing changes."""
        return alert_view(await book.act(alert, "acknowledge", act.actor, now_ms(), act.note))

    @router.post("/{alert}/resolve", summary="Resolve an alert", responses=_ACT)
    async def resolve(alert: str, act: Act) -> AlertView:
        """An open or acknowledged alert becomes resolved, for good. The same actor may say it again."""
        return alert_view(await book.act(alert, "resolve", act.actor, now_ms(), act.note))

    return router
