"""`/alerts`: what people see of alerts, and what they do with them."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query
from pydantic import Field

from mesh.alerts import Action, Severity, State
from mesh.records.entry import Actor, Change
from mesh.records.ledger import Ledger
from mesh.stores.alerts import AlertBook, AlertQuery
from mesh.stores.alerts.query import MAX_LIMIT
from serve.access.needs import REFUSALS, acting, needs
from serve.api.alert_views import AlertView, PageView, alert_view, milliseconds, page_view
from serve.api.errors import BAD, ApiError, Responses, away, missing
from serve.api.times import Time

Analyst = Annotated[Actor, Depends(needs("analyst"))]

_MAX_ID: Final = 256
"""Characters of an alert's id that are logged."""


@dataclass(frozen=True, slots=True)
class Act:
    """What they have to say about it, and who does it, where no token says so: the name of this machine's user else."""

    actor: Annotated[str | None, Field(min_length=1, max_length=128)] = None
    note: Annotated[str, Field(max_length=2_000)] = ""


_AWAY: Final[Responses] = away("The alert store")
_ONE: Final[Responses] = {**BAD, **missing("alert"), **_AWAY}
_ACT: Final[Responses] = {
    409: {
        "model": ApiError,
        "description": "The alert's state does not allow it; the message says the state",
    },
    **_ONE,
    **REFUSALS,
}


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def alerts_router(book: AlertBook, ledger: Ledger, now_ms: Callable[[], int] = _now_ms) -> APIRouter:
    """The routes over `book`; what people do is logged by `ledger`.

    Errors are the mesh's own, for whoever hosts the router to answer.
    """

    async def done(actor: Actor, alert: str, action: Action, act: Act) -> AlertView:
        """The store is not the database of records, so the entry comes first."""
        who = acting(actor, act.actor)
        await book.get(alert)  # of what is not there, nothing is logged
        change = Change(
            who, f"alerts.{action}", f"alert:{alert[:_MAX_ID]}", {"note": act.note} if act.note else {}
        )
        changed = await ledger.outside(change, lambda: book.act(alert, action, who.name, now_ms(), act.note))
        return alert_view(changed)

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
    async def acknowledge(alert: str, act: Act, actor: Analyst) -> AlertView:
        """An open alert becomes acknowledged. The same actor may say it again: nothing changes."""
        return await done(actor, alert, "acknowledge", act)

    @router.post("/{alert}/resolve", summary="Resolve an alert", responses=_ACT)
    async def resolve(alert: str, act: Act, actor: Analyst) -> AlertView:
        """An open or acknowledged alert becomes resolved, for good. The same actor may say it again."""
        return await done(actor, alert, "resolve", act)

    return router
