"""The queue: most urgent first, one holder an item. Two people who ask at once are told apart by a compare-and-set."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, exists, func, or_, select, update
from sqlalchemy.orm import Session

from mesh.errors import InvalidInput, NotFound, WrongState
from mesh.records.database import Database
from mesh.records.entry import Actor, Change
from mesh.records.ports import Audit
from mesh.records.roles import NotAllowed, Role, includes
from mesh.review.items import Item, item_of
from mesh.review.rules import Draw, QueueRules, chance
from mesh.review.tables import ItemRow, PassedRow
from mesh.review.values import QUEUED, Source, State

MAX_LIMIT: Final = 200
_TRIED: Final = 25
"""Items that one call tries to take; each lost one means that another person has just taken it."""


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


class Queue:
    """Reads and leases. Blocks: call it from a thread."""

    def __init__(
        self, database: Database, audit: Audit, rules: QueueRules | None = None, draw: Draw = chance
    ) -> None:
        """`draw` decides when the next item is one that chance drew."""
        self._database, self._audit, self._rules = database, audit, rules or QueueRules()
        self._draw = draw

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

    def next(self, person: Actor, now: int) -> Item | None:
        """Lease the most urgent item that nobody holds and this person has not passed; None where there is none.

        Who holds an item already gets that one again. Now and then it is one of the audit, in the order of chance. Raises
        `NotAllowed` for viewers, `StoreAway`.
        """
        require(person, "analyst")
        with self._database.write() as session:
            held = session.scalar(
                select(ItemRow)
                .where(ItemRow.lease_by == person.name, ItemRow.lease_until > now)
                .where(ItemRow.state.in_(QUEUED))
                .order_by(ItemRow.lease_from)
                .limit(1)
            )
            if held is not None:
                return item_of(held)
            for key in self._offered(session, person, now):
                item = self._take(session, key, person, now)
                if item is not None:
                    return item_of(item)
        return None

    def lease(self, key: str, person: Actor, now: int) -> Item:
        """Take or keep one item.

        Raises `NotFound`, `NotAllowed`, `StoreAway`, and `WrongState` for an item that another holds, that has left the queue,
        that this person has judged, or that only chance may choose.
        """
        require(person, "analyst")
        with self._database.write() as session:
            item = existing(session, key)
            held = item.lease_by == person.name and item.lease_until > now
            if not held:
                self._check_free(session, item, person, now)
            taken = self._take(session, key, person, now)
            if taken is None:
                raise WrongState(f"item '{key}'", "held by another person", "lease")
            return item_of(taken)

    def release(self, key: str, person: Actor, now: int) -> Item:
        """Give an item back undecided. Raises `NotFound`, `WrongState` where this person does not hold it, `StoreAway`."""
        with self._database.write() as session:
            item = existing(session, key)
            if item.lease_by != person.name or item.lease_until <= now:
                raise WrongState(f"item '{key}'", "not yours", "release")
            item.lease_by, item.lease_until = None, 0
            session.flush()
            self._audit.append(session, Change(person, "review.release", target(key)))
            return item_of(item)

    def _check_free(self, session: Session, item: ItemRow, person: Actor, now: int) -> None:
        thing = f"item '{item.id}'"
        if item.state not in QUEUED:
            raise WrongState(thing, item.state, "lease")
        if item.state != "open":
            require(person, "operator")
        if item.lease_until > now:
            raise WrongState(thing, f"held by {item.lease_by}", "lease")
        if item.source == "audit":
            raise WrongState(
                thing, "part of the random audit, which nobody picks (POST /review/next)", "lease"
            )
        passed = session.get(PassedRow, (item.id, person.name))
        if passed is not None and passed.until > now:
            raise WrongState(thing, "judged or skipped by you (undo that first)", "lease")

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

    def _offered(self, session: Session, person: Actor, now: int) -> Iterator[str]:
        """The ids to try, in their order; chance decides whether the audit comes first."""
        lanes = [self._urgent(person, now, capped=True), self._urgent(person, now, capped=False)]
        lanes.insert(0 if self._draw() < self._rules.audit_share else 2, self._drawn(person, now))
        for lane in lanes:
            yield from session.scalars(lane.limit(_TRIED)).all()

    def _urgent(self, person: Actor, now: int, *, capped: bool) -> Select[str]:
        """By urgency; `capped`: without assets of which people hold as many items as one may."""
        free = select(ItemRow.id).where(*self._free(person, now), ItemRow.source != "audit")
        if capped:
            crowded = (
                select(ItemRow.asset)
                .where(ItemRow.lease_until > now)
                .group_by(ItemRow.asset)
                .having(func.count() >= self._rules.per_asset)
            )
            free = free.where(ItemRow.asset.not_in(crowded))
        return free.order_by(ItemRow.rank.desc(), ItemRow.id)

    def _drawn(self, person: Actor, now: int) -> Select[str]:
        """The random audit, by the hash of its rows: in an order that tells nothing."""
        free = select(ItemRow.id).where(*self._free(person, now), ItemRow.source == "audit")
        return free.order_by(ItemRow.id)

    def _free(self, person: Actor, now: int) -> list[ColumnElement[bool]]:
        passed = exists().where(
            PassedRow.item == ItemRow.id, PassedRow.actor == person.name, PassedRow.until > now
        )
        kept = [ItemRow.head.is_(True), ItemRow.lease_until <= now, ~passed]
        return kept if includes(person.role, "operator") else [*kept, ItemRow.state == "open"]

    def _take(self, session: Session, key: str, person: Actor, now: int) -> ItemRow | None:
        """The compare-and-set: a lease that is over, or one's own."""
        free = or_(ItemRow.lease_until <= now, ItemRow.lease_by == person.name)
        item = existing(session, key)
        begun = item.lease_from if item.lease_by == person.name and item.lease_until > now else now
        values = {"lease_by": person.name, "lease_from": begun, "lease_until": now + self._rules.lease_ms}
        done: Any = session.execute(
            update(ItemRow).where(ItemRow.id == key, free, ItemRow.state.in_(QUEUED)).values(values)
        )
        if done.rowcount != 1:
            return None
        session.refresh(item)
        self._audit.append(session, Change(person, "review.lease", target(key), {"until": item.lease_until}))
        return item


def require(person: Actor, needed: Role) -> None:
    """Raises `NotAllowed` where the role is too small."""
    if not includes(person.role, needed):
        raise NotAllowed(person.name, person.role, needed)


def target(key: str) -> str:
    """An item as the audit log names it."""
    return f"review:{key}"


def existing(session: Session, key: str) -> ItemRow:
    """The item, locked where the database can; `NotFound` names it."""
    item = session.get(ItemRow, key, with_for_update=True)
    if item is None:
        raise NotFound(f"there is no item '{key[:80]}'; GET /review/queue lists those that wait")
    return item


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
