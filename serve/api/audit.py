"""`/audit`: the log of every change, and whether it is whole."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Response

from mesh.errors import InvalidInput
from mesh.records.chain import Verdict
from mesh.records.entry import Entry
from mesh.records.ports import MAX_PAGE, AuditBook, AuditQuery
from mesh.records.transactions import Transactions
from serve.access.needs import REFUSALS, needs
from serve.access.views import ApiError
from serve.api.alert_views import milliseconds, moment
from serve.api.texts import Text
from serve.api.times import Time

_AWAY: Final[dict[int | str, dict[str, Any]]] = {
    503: {"model": ApiError, "description": "The database does not answer; see Retry-After"},
    **REFUSALS,
}
_Text = Annotated[Text | None, Query(min_length=1, max_length=512)]


@dataclass(frozen=True, slots=True)
class EntryView:
    """One entry: its place, what it says, and the hashes that chain it. docs/audit.md says how to check them."""

    seq: int
    at: datetime
    actor: str
    role: str
    via: str
    action: str
    target: str
    detail: dict[str, Any]
    prev: str
    hash: str


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Entries, newest first; `cursor` asks for older ones and is null after the last."""

    entries: list[EntryView]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class VerdictView:
    """`whole` where every entry follows from the one before; else `fault` says what is wrong with the entry `at_seq`."""

    whole: bool
    entries: int
    head_seq: int
    head_hash: str
    fault: str | None
    at_seq: int | None


def audit_router(book: AuditBook, transactions: Transactions) -> APIRouter:
    """The routes over `book`, which is read in the threads of `transactions`."""
    router = APIRouter(prefix="/audit", tags=["audit"], dependencies=[Depends(needs("viewer"))])
    check = _Shared(lambda: transactions.read(book.verify))

    @router.get("", summary="Every change, newest first", responses=_AWAY)
    async def entries(
        *,
        response: Response,
        actor: _Text = None,
        action: Annotated[_Text, Query(description="ROOM.VERB; an ending * stands for anything")] = None,
        target: Annotated[_Text, Query(description="KIND:ID; an ending * stands for anything")] = None,
        since: Annotated[Time | None, Query(description="At or after this time, RFC 3339")] = None,
        until: Annotated[Time | None, Query(description="Before this time, RFC 3339")] = None,
        limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 50,
        cursor: Annotated[str | None, Query(description="The cursor of the page before")] = None,
    ) -> AuditPage:
        """Entries that fit all filters."""
        response.headers["cache-control"] = "no-store"
        query = AuditQuery(actor, action, target, _ms(since), _ms(until), _before(cursor), limit)
        found = await transactions.read(lambda: book.page(query))
        return AuditPage(
            [_shown(entry) for entry in found], str(found[-1].seq) if len(found) == limit else None
        )

    @router.get("/verify", summary="Is the log whole?", responses=_AWAY)
    async def verify(response: Response) -> VerdictView:
        """Every entry is read and its hash computed again: seconds for a long log. Who asks meanwhile gets the same answer."""
        response.headers["cache-control"] = "no-store"
        verdict: Verdict = await check()
        head = verdict.head
        return VerdictView(verdict.whole, verdict.entries, head.seq, head.hash, verdict.fault, verdict.at_seq)

    return router


class _Shared:
    """One run at a time of something costly: who asks while it runs waits for the same result."""

    def __init__(self, run: Callable[[], Any]) -> None:
        self._run = run
        self._task: asyncio.Task[Any] | None = None

    async def __call__(self) -> Any:
        if self._task is None or self._task.done():
            self._task = asyncio.ensure_future(self._run())
        return await asyncio.shield(self._task)


def _ms(time: datetime | None) -> int | None:
    return None if time is None else milliseconds(time)


def _before(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    if not (cursor.isascii() and cursor.isdigit()) or len(cursor) > 18:
        raise InvalidInput("cursor", "is none of /audit's; take the one of the page before")
    return int(cursor)


def _shown(entry: Entry) -> EntryView:
    return EntryView(
        entry.seq, moment(entry.at), entry.actor, entry.role, entry.via, entry.action, entry.target,
        json.loads(entry.detail), entry.prev, entry.hash,
    )  # fmt: skip
