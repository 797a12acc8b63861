"""The queue: most urgent first, one holder an item. Two people who ask at once are told apart by a compare-and-set."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, exists, or_, select, update
from sqlalchemy.orm import Session

from mesh.errors import MeshError, NotFound, WrongState
from mesh.records.entry import Actor, Change
from mesh.records.roles import includes, require
from mesh.records.turns import take_turn
from mesh.review.items import Item, item_of
from mesh.review.rules import Draw, QueueRules, chance
from mesh.review.tables import ItemRow, PassedRow
from mesh.review.values import QUEUED

_TRIED: Final = 25
"""Items that one call tries to take; each lost one means that another person has just taken it."""


class Queue:
    """Leases items, in the session of its caller; each change comes with its entry for the audit log."""

    def __init__(self, rules: QueueRules | None = None, draw: Draw = chance) -> None:
        """`draw` decides when the next item is one that chance drew."""
        self._rules, self._draw = rules or QueueRules(), draw

    def next(self, session: Session, person: Actor, now: int) -> tuple[Item, Change]:
        """Lease the most urgent item that nobody holds and this person has not passed.

        Who holds an item already gets that one again. Now and then it is one of the audit, in the order of chance. Raises
        `NothingWaits`, and `Forbidden` for viewers.
        """
        require(person.name, person.role, "analyst")
        take_turn(session)
        held = session.scalar(
            select(ItemRow.id)
            .where(ItemRow.lease_by == person.name, ItemRow.lease_until > now, ItemRow.state.in_(QUEUED))
            .order_by(ItemRow.lease_from)
            .limit(1)
        )
        if held is not None:
            return self._told(self._take(session, held, person, now), person)
        for key in self._offered(session, person, now):
            item = self._take(session, key, person, now, skip_locked=True)
            if item is not None:
                return self._told(item, person)
        raise NothingWaits("nothing waits for you: the queue is empty, held by others, or judged by you")

    def lease(self, session: Session, key: str, person: Actor, now: int) -> tuple[Item, Change]:
        """Take one item, or keep it longer.

        Raises `NotFound`, `Forbidden`, and `WrongState` for an item that another holds, that has left the queue, that this person
        has judged, or that only chance may choose.
        """
        require(person.name, person.role, "analyst")
        item = existing(session, key)
        if item.lease_by != person.name or item.lease_until <= now:
            self._check_free(session, item, person, now)
        return self._told(self._take(session, key, person, now), person)

    def release(self, session: Session, key: str, person: Actor, now: int) -> tuple[Item, Change]:
        """Give an item back undecided. Raises `NotFound`, `WrongState` where this person does not hold it."""
        item = existing(session, key)
        if item.lease_by != person.name or item.lease_until <= now:
            raise WrongState(f"item '{key}'", "not held by you", "release")
        item.lease_by, item.lease_until = None, 0
        session.flush()
        return item_of(item), Change(person, "review.release", target(key))

    def _told(self, item: ItemRow | None, person: Actor) -> tuple[Item, Change]:
        if item is None:
            raise WrongState("the item", "held by another person", "lease")
        return item_of(item), Change(person, "review.lease", target(item.id), {"until": item.lease_until})

    def _check_free(self, session: Session, item: ItemRow, person: Actor, now: int) -> None:
        thing = f"item '{item.id}'"
        if item.state not in QUEUED:
            raise WrongState(thing, item.state, "lease")
        if item.state != "open":
            require(person.name, person.role, "operator")
        if item.lease_until > now:
            raise WrongState(thing, f"held by {item.lease_by}", "lease")
        if item.source == "audit":
            raise WrongState(
                thing, "part of the random audit, which nobody picks (POST /review/next)", "lease"
            )
        passed = session.get(PassedRow, (item.id, person.name))
        if passed is not None and passed.until > now:
            raise WrongState(thing, "judged or skipped by you (undo that first)", "lease")

    def _offered(self, session: Session, person: Actor, now: int) -> Iterator[str]:
        """The ids to try, in their order; chance decides whether the audit comes first."""
        crowded = self._crowded(session, now)
        lanes = [self._urgent(person, now, crowded), self._urgent(person, now, ())]
        lanes.insert(0 if self._draw() < self._rules.audit_share else 2, self._drawn(person, now))
        for lane in lanes:
            yield from session.scalars(lane.limit(_TRIED)).all()

    def _crowded(self, session: Session, now: int) -> list[str]:
        """Assets of which people hold as many items as one may. Counted here: few are held, and the index finds them."""
        held = Counter(session.scalars(select(ItemRow.asset).where(ItemRow.lease_until > now)))
        return [asset for asset, count in held.items() if count >= self._rules.per_asset]

    def _urgent(self, person: Actor, now: int, without: Sequence[str]) -> Select[str]:
        """By urgency, `without` these assets."""
        free = select(ItemRow.id).where(*self._free(person, now), ItemRow.source != "audit")
        if without:
            free = free.where(ItemRow.asset.not_in(without))
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

    def _take(
        self, session: Session, key: str, person: Actor, now: int, *, skip_locked: bool = False
    ) -> ItemRow | None:
        """The compare-and-set: of a lease that is over, or one's own. None where another was quicker."""
        item = session.get(ItemRow, key, with_for_update={"skip_locked": skip_locked})
        if item is None:
            return None
        mine = item.lease_by == person.name and item.lease_until > now
        values = {
            "lease_by": person.name,
            "lease_from": item.lease_from if mine else now,
            "lease_until": now + self._rules.lease_ms,
        }
        free = or_(ItemRow.lease_until <= now, ItemRow.lease_by == person.name)
        done: Any = session.execute(
            update(ItemRow).where(ItemRow.id == key, free, ItemRow.state.in_(QUEUED)).values(values)
        )
        if done.rowcount != 1:
            return None
        session.refresh(item)
        return item


class NothingWaits(MeshError):
    """There is no item for whoever asked."""


def target(key: str) -> str:
    """An item as the audit log names it."""
    return f"review:{key}"


def existing(session: Session, key: str) -> ItemRow:
    """The item, to be written in this turn, and locked where the database can; `NotFound` names it."""
    take_turn(session)
    item = session.get(ItemRow, key, with_for_update=True)
    if item is None:
        raise NotFound(f"there is no item '{key[:80]}'; GET /review/queue lists those that wait")
    return item
