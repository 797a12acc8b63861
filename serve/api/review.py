"""`/review`: what waits for people, and what they decide. `/labels`: what has come of it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Response

from mesh.errors import InvalidInput
from mesh.records.entry import Actor
from mesh.records.ledger import Ledger
from mesh.records.transactions import Transactions
from mesh.review.decisions import Bulk, Decided
from mesh.review.labels import MAX_LIMIT as MAX_LABELS
from mesh.review.metering import ReviewMetering
from mesh.review.quality import quality
from mesh.review.queue import NothingWaits
from mesh.review.reviewing import Reviewing
from mesh.review.rules import now_ms
from mesh.review.values import Source, State
from mesh.review.view import MAX_LIMIT, QueueQuery
from serve.access.needs import REFUSALS, acting, needs
from serve.access.views import ApiError
from serve.api.alert_views import milliseconds, moment
from serve.api.review_bodies import As, Decide, DecideBulk, Evidence, Undo, said_of
from serve.api.review_case import CaseView, Surroundings
from serve.api.review_figures import LabelPageView, QualityView, label_page_view
from serve.api.review_views import (
    DecidedView,
    ItemView,
    QueueView,
    RulesView,
    decision_view,
    item_view,
    queue_view,
    rules_view,
)
from serve.api.texts import Text
from serve.api.times import Time

Responses = dict[int | str, dict[str, Any]]
Reader = Annotated[Actor, Depends(needs("viewer"))]
Analyst = Annotated[Actor, Depends(needs("analyst"))]
ItemId = Annotated[Text, Path(max_length=64)]
When = Annotated[Time | None, Query(description="RFC 3339")]

_WEEK_MS: Final = 7 * 86_400_000
_FIRST: Final = milliseconds(datetime.min.replace(tzinfo=UTC))
_READ: Final[Responses] = {
    503: {"model": ApiError, "description": "The database does not answer; see Retry-After"},
    400: {"model": ApiError, "description": "A field is wrong; the message names it"},
    **REFUSALS,
}
_ONE: Final[Responses] = {404: {"model": ApiError, "description": "No such item"}, **_READ}
_ACT: Final[Responses] = {
    409: {"model": ApiError, "description": "Another person holds it, or its state does not allow it"},
    **_ONE,
}
_NEXT: Final[Responses] = {204: {"model": None, "description": "Nothing waits for whoever asks"}, **_READ}


@dataclass(frozen=True, slots=True)
class BulkView:
    """What was decided under `id`, and why each other item was left out."""

    id: str
    decided: list[DecidedView]
    left_out: dict[str, str]


class ReviewRoutes:
    """The handlers; `review_router` gives each its address.

    A decision's time is taken when it is written, not when it is asked for: whoever reads what was decided since a moment ago
    must not miss what waited to be written.
    """

    def __init__(
        self,
        parts: Reviewing,
        around: Surroundings,
        ledger: Ledger,
        transactions: Transactions,
        now: Callable[[], int],
        metering: ReviewMetering | None,
    ) -> None:
        self._parts, self._around, self._now, self._metering = parts, around, now, metering
        self._ledger, self._transactions = ledger, transactions

    async def queue(
        self,
        _: Reader,
        *,
        state: State | None = None,
        source: Source | None = None,
        asset: Annotated[Text | None, Query(max_length=256)] = None,
        limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = 50,
        cursor: Annotated[
            Text | None, Query(max_length=128, description="The cursor of the page before")
        ] = None,
    ) -> QueueView:
        """One item an incident, and few of an asset, unless `asset` is given."""
        query = QueueQuery(state, source, asset, limit, cursor)
        page = await self._transactions.read(lambda: self._parts.view.page(query))
        return queue_view(page, self._now(), self._parts.rules.urgency)

    async def rules(self, _: Reader) -> RulesView:
        """As `review.yaml` has them."""
        return rules_view(self._parts.rules)

    async def next(self, person: Analyst, body: As | None = None) -> Response:
        """Lease the most urgent item that is free, now and then one of the random audit; 204 where nothing waits."""
        who, now = self._who(person, body), self._now()
        try:
            item = await self._ledger.change(lambda session: self._parts.queue.next(session, who, now))
        except NothingWaits:
            return Response(status_code=204)
        return await self._case(item.id, who)

    async def item(
        self,
        item: ItemId,
        person: Reader,
        actor: Annotated[
            Text | None, Query(max_length=128, description="Who asks, where no token says so")
        ] = None,
    ) -> Response:
        """An item with all that is needed to decide, as far as whoever asks may see it."""
        return await self._case(item, acting(person, actor))

    async def lease(self, item: ItemId, person: Analyst, body: As | None = None) -> ItemView:
        """Hold an item for a while, or longer. Items of the random audit come by `/review/next` alone."""
        who, now = self._who(person, body), self._now()
        held = await self._ledger.change(lambda session: self._parts.queue.lease(session, item, who, now))
        return item_view(held, now, blind=held.source == "audit", urgency=self._parts.rules.urgency)

    async def release(self, item: ItemId, person: Analyst, body: As | None = None) -> ItemView:
        """Give an item back undecided."""
        who, now = self._who(person, body), self._now()
        free = await self._ledger.change(lambda session: self._parts.queue.release(session, item, who, now))
        return item_view(free, now, blind=free.source == "audit", urgency=self._parts.rules.urgency)

    async def decide(self, item: ItemId, body: Decide, person: Analyst) -> DecidedView:
        """Confirm, override, judge, tag, skip, escalate, or say that you cannot say. The item must be held."""
        who, said = acting(person, body.actor), said_of(body)
        evidence = _kept(body.evidence)
        done = await self._ledger.change(
            lambda session: self._parts.decisions.decide(session, item, who, said, evidence, self._now())
        )
        return self._decided(done, self._now())

    async def undo(self, item: ItemId, person: Analyst, body: Undo | None = None) -> DecidedView:
        """Take a decision back. It stays in the records; what rested on it is excluded."""
        body = body or Undo()
        who, named, note = acting(person, body.actor), body.decision, body.note
        done = await self._ledger.change(
            lambda session: self._parts.decisions.undo(session, item, who, self._now(), named, note)
        )
        return self._decided(done, self._now())

    async def bulk(self, body: DecideBulk, person: Analyst) -> BulkView:
        """Decide all open items of an incident at once, but those that others hold and those of the random audit."""
        who, said = acting(person, body.actor), said_of(body)
        evidence = _kept(body.evidence)
        done = await self._ledger.change(
            lambda session: self._parts.decisions.bulk(
                session, body.incident, who, said, evidence, self._now()
            )
        )
        return self._bulk(done, self._now())

    async def undo_bulk(
        self, bulk: Annotated[Text, Path(max_length=64)], person: Analyst, body: Undo | None = None
    ) -> BulkView:
        """Take back all that stands of a bulk decision."""
        body = body or Undo()
        who, note = acting(person, body.actor), body.note
        done = await self._ledger.change(
            lambda session: self._parts.decisions.undo_bulk(session, bulk, who, self._now(), note)
        )
        return self._bulk(done, self._now())

    async def quality(self, _: Reader, since: When = None, until: When = None) -> QualityView:
        """Rates from the random audit with intervals, agreement, override rates, delays; of the last 7 days by default."""
        now = self._now()
        end = now + 1 if until is None else milliseconds(until)
        begin = max(end - _WEEK_MS, _FIRST) if since is None else milliseconds(since)
        if begin >= end:
            raise InvalidInput("since", "is not before until")
        parts = self._parts
        figures = await self._transactions.read(
            lambda: quality(parts.facts.read(begin, end, now), parts.budget.allowance)
        )
        return QualityView(moment(begin), moment(end), figures)

    async def labels(
        self,
        _: Reader,
        since: When = None,
        excluded: Annotated[bool, Query(description="Also those that were taken back")] = False,
        limit: Annotated[int, Query(ge=1, le=MAX_LABELS)] = 500,
        cursor: Annotated[
            Text | None, Query(max_length=128, description="The cursor of the page before")
        ] = None,
    ) -> LabelPageView:
        """Adjudicated labels, the only ones that training may read, in the order in which they came to stand."""
        begin = 0 if since is None else milliseconds(since)
        page = await self._transactions.read(
            lambda: self._parts.labels.labels(begin, cursor, limit, also_excluded=excluded)
        )
        return label_page_view(page)

    def _who(self, person: Actor, body: As | None) -> Actor:
        return acting(person, None if body is None else body.actor)

    async def _case(self, item: str, who: Actor) -> Response:
        """A `CaseView`, encoded here: it holds thousands of numbers, each of which FastAPI would look at."""
        case = await self._transactions.read(lambda: self._parts.cases.get(item, who))
        view = await self._around.view(case, self._now())
        return Response(msgspec.json.encode(view), media_type="application/json")

    def _decided(self, done: Decided, now: int) -> DecidedView:
        if self._metering is not None:
            self._metering.decided([done])
        item, judged = done.item, done.decision.after is not None
        blind = item.source == "audit" and item.state != "decided" and not judged
        shown = item_view(item, now, blind=blind, urgency=self._parts.rules.urgency)
        return DecidedView(decision_view(done.decision, blind=blind), shown)

    def _bulk(self, done: Bulk, now: int) -> BulkView:
        return BulkView(done.id, [self._decided(one, now) for one in done.decided], dict(done.left_out))


def review_router(
    parts: Reviewing,
    around: Surroundings,
    ledger: Ledger,
    transactions: Transactions,
    now: Callable[[], int] = now_ms,
    metering: ReviewMetering | None = None,
) -> APIRouter:
    """The routes. Errors are the mesh's own, for whoever hosts the router to answer. Decisions go to `metering`, too."""
    routes = ReviewRoutes(parts, around, ledger, transactions, now, metering)
    router = APIRouter(tags=["review"])
    at: Any = router.add_api_route
    at("/review/queue", routes.queue, summary="What waits, most urgent first", responses=_READ)
    at("/review/rules", routes.rules, summary="What may be said, and for how long an item is held")
    at("/review/quality", routes.quality, summary="How good the mesh and its judges are", responses=_READ)
    case: Any = {"response_model": CaseView}
    at("/review/items/{item}", routes.item, summary="One item with its evidence", responses=_ONE, **case)
    at("/labels", routes.labels, summary="Adjudicated labels", responses=_READ)
    posts: list[tuple[str, Any, str, Responses]] = [
        ("/review/next", routes.next, "Hold the next item", _NEXT),
        ("/review/items/{item}/lease", routes.lease, "Hold an item", _ACT),
        ("/review/items/{item}/release", routes.release, "Give an item back", _ACT),
        ("/review/items/{item}/decide", routes.decide, "Decide", _ACT),
        ("/review/items/{item}/undo", routes.undo, "Take a decision back", _ACT),
        ("/review/bulk", routes.bulk, "Decide an incident", _ACT),
        ("/review/bulk/{bulk}/undo", routes.undo_bulk, "Take a bulk decision back", _ACT),
    ]
    for path, handler, summary, responses in posts:
        shown = case if path == "/review/next" else {}
        at(path, handler, methods=["POST"], summary=summary, responses=responses, **shown)
    return router


def _kept(evidence: Evidence) -> dict[str, Any]:
    return {"parts": evidence.parts, "digest": evidence.digest}
