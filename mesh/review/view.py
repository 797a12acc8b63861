"""The queue as people see it: most urgent first, one item an incident, few an asset."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Subquery, and_, func, or_, select

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
        placed = self._placed(query)
        wanted = select(placed.c.id)
        if query.asset is None:
            wanted = wanted.where(placed.c.place <= self._rules.per_asset)
        if query.cursor is not None:
            rank, key = _read_cursor(query.cursor)
            wanted = wanted.where(or_(placed.c.rank < rank, and_(placed.c.rank == rank, placed.c.id > key)))
        wanted = wanted.order_by(placed.c.rank.desc(), placed.c.id).limit(query.limit + 1)
        counted = select(func.count()).select_from(ItemRow).where(ItemRow.state.in_(QUEUED))
        with self._database.read() as session:
            waiting = session.scalar(counted)
            ids = session.scalars(wanted).all()
            rows = {
                row.id: item_of(row) for row in session.scalars(select(ItemRow).where(ItemRow.id.in_(ids)))
            }
        shown = tuple(rows[key] for key in ids[: query.limit])
        return QueuePage(shown, _cursor(shown[-1]) if len(ids) > query.limit else None, waiting or 0)

    def _placed(self, query: QueueQuery) -> Subquery:
        """The ids and ranks of what is in view, each with its place among the items of its asset."""
        kept: list[ColumnElement[bool]] = [ItemRow.head.is_(True)]
        if query.state is not None:
            kept.append(ItemRow.state == query.state)
        if query.source is not None:
            kept.append(ItemRow.source == query.source)
        if query.asset is not None:
            kept.append(ItemRow.asset == query.asset)
        place = func.row_number().over(partition_by=ItemRow.asset, order_by=(ItemRow.rank.desc(), ItemRow.id))
        return select(ItemRow.id, ItemRow.rank, place.label("place")).where(*kept).subquery()


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
