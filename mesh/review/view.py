"""The queue as people see it: most urgent first, one item an incident, few an asset."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Select, and_, func, or_, select

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
        self._database, self._rules = database, rules or QueueRules()

    def page(self, query: QueueQuery) -> QueuePage:
        """Items in the queue. Raises `InvalidInput` for a cursor that is none, `StoreAway`."""
        ids = self._ids(query)
        after = None if query.cursor is None else _read_cursor(query.cursor)
        with self._database.read() as session:
            waiting = session.scalar(
                select(func.count()).select_from(ItemRow).where(ItemRow.state.in_(QUEUED))
            )
            wanted = select(ItemRow).where(ItemRow.id.in_(ids))
            if after is not None:
                rank, key = after
                wanted = wanted.where(or_(ItemRow.rank < rank, and_(ItemRow.rank == rank, ItemRow.id > key)))
            wanted = wanted.order_by(ItemRow.rank.desc(), ItemRow.id).limit(query.limit + 1)
            rows = session.scalars(wanted)
            found = tuple(item_of(row) for row in rows)
        more = len(found) > query.limit
        shown = found[: query.limit]
        return QueuePage(shown, _cursor(shown[-1]) if more else None, waiting or 0)

    def _ids(self, query: QueueQuery) -> Select[str]:
        """The ids of what is in view: heads of incidents, at most so many of an asset."""
        kept: list[ColumnElement[bool]] = [ItemRow.head.is_(True)]
        if query.state is not None:
            kept.append(ItemRow.state == query.state)
        if query.source is not None:
            kept.append(ItemRow.source == query.source)
        if query.asset is not None:
            return select(ItemRow.id).where(*kept, ItemRow.asset == query.asset)
        place = func.row_number().over(partition_by=ItemRow.asset, order_by=(ItemRow.rank.desc(), ItemRow.id))
        placed = select(ItemRow.id, place.label("place")).where(*kept).subquery()
        return select(placed.c.id).where(placed.c.place <= self._rules.per_asset)


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
