"""The queue as people see it: most urgent first, one item an incident, few an asset."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import aliased

from mesh.errors import InvalidInput
from mesh.records.database import Database
from mesh.review.items import Item, item_of
from mesh.review.rules import QueueRules
from mesh.review.tables import ItemRow
from mesh.review.values import QUEUED, Source, State

MAX_LIMIT: Final = 200


@dataclass(frozen=True, slots=True)
class QueueQuery:
    """Filters, all of which must fit. With an `asset` the limit of items an asset does not count."""

    state: State | None = None
    source: Source | None = None
    asset: str | None = None
    limit: int = 50
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class QueuePage:
    """Items, most urgent first; `cursor` None after the last. `waiting` are all that are in the queue, heads or not."""

    items: tuple[Item, ...]
    cursor: str | None
    waiting: int


class QueueView:
    """Reads the queue. Blocks: call it from a thread."""

    def __init__(self, database: Database, rules: QueueRules | None = None) -> None:
        self.database, self._rules = database, rules or QueueRules()

    def page(self, query: QueueQuery) -> QueuePage:
        """Items in the queue. Raises `InvalidInput` for a cursor that is none, `StoreAway`."""
        wanted = select(ItemRow).where(*_kept(query, ItemRow))
        if query.asset is None:
            wanted = wanted.where(~self._outdone(query))
        if query.cursor is not None:
            wanted = wanted.where(_after(ItemRow, *_read_cursor(query.cursor)))
        wanted = wanted.order_by(ItemRow.rank.desc(), ItemRow.id).limit(query.limit + 1)
        counted = select(func.count()).select_from(ItemRow).where(ItemRow.state.in_(QUEUED))
        with self.database.read() as session:
            waiting = session.scalar(counted)
            rows = [item_of(row) for row in session.scalars(wanted)]
        shown = tuple(rows[: query.limit])
        return QueuePage(shown, _cursor(shown[-1]) if len(rows) > query.limit else None, waiting or 0)

    def _outdone(self, query: QueueQuery) -> ColumnElement[bool]:
        """Whether as many items of the asset as may be in view come before this one.

        Asked row by row down the queue, each time a few steps in an index, it costs what the page holds; numbering all rows
        of all assets would cost what the queue holds.
        """
        better = aliased(ItemRow)
        enough = select(better.id).where(*_kept(query, better), better.asset == ItemRow.asset)
        enough = enough.where(_before(better)).limit(1).offset(self._rules.per_asset - 1)
        return enough.correlate(ItemRow).exists()


def _kept(query: QueueQuery, item: type[ItemRow]) -> list[ColumnElement[bool]]:
    """What is in view of what the query asks for."""
    kept: list[ColumnElement[bool]] = [item.head.is_(True)]
    if query.state is not None:
        kept.append(item.state == query.state)
    if query.source is not None:
        kept.append(item.source == query.source)
    if query.asset is not None:
        kept.append(item.asset == query.asset)
    return kept


def _after(item: type[ItemRow], rank: float, key: str) -> ColumnElement[bool]:
    return or_(item.rank < rank, and_(item.rank == rank, item.id > key))


def _before(better: type[ItemRow]) -> ColumnElement[bool]:
    """Whether it comes before the item of the outer query."""
    return or_(better.rank > ItemRow.rank, and_(better.rank == ItemRow.rank, better.id < ItemRow.id))


def _cursor(item: Item) -> str:
    return f"{item.rank.hex()}:{item.id}"


def _read_cursor(text: str) -> tuple[float, str]:
    rank, colon, key = text.partition(":")
    try:
        value = float.fromhex(rank)
    except (ValueError, OverflowError):
        value = float("nan")
    if not colon or not key or value != value:  # noqa: PLR0124 - NaN is what no page gives
        raise InvalidInput("cursor", f"'{text[:60]}' is none; take the cursor of the page before")
    return value, key
