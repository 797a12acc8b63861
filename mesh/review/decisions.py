"""What people do with items: a decision or its undo, what it comes to, and its entry in the audit log, in one transaction."""

import itertools
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from mesh.errors import NotFound, WrongState
from mesh.records.entry import Actor, Change
from mesh.records.roles import includes, require
from mesh.records.turns import take_turn
from mesh.review.interpret import Meaning, meaning_of
from mesh.review.items import Decision, Item, decision_of, item_of
from mesh.review.queue import existing, target
from mesh.review.rules import FOREVER, QueueRules
from mesh.review.settle import settle, standing
from mesh.review.tables import DecisionRow, ItemRow, PassedRow
from mesh.review.undo import standing_of_bulk, undoable
from mesh.review.values import QUEUED, Label, Said

_COUNTED: Final = itertools.count()


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision as it was kept, and the item after it."""

    decision: Decision
    item: Item


@dataclass(frozen=True, slots=True)
class Bulk:
    """What a bulk decision came to: what was decided, and why each other item of the incident was left out."""

    id: str
    decided: tuple[Decided, ...]
    left_out: Mapping[str, str]


class Decisions:
    """Writes decisions, in the session of its caller; each comes with its entry for the audit log."""

    def __init__(self, rules: QueueRules | None = None) -> None:
        self._rules = rules or QueueRules()

    def decide(
        self, session: Session, key: str, person: Actor, said: Said, evidence: Mapping[str, Any], now: int
    ) -> tuple[Decided, Change]:
        """Do as was said with an item that this person holds; `evidence` is what was in view.

        Raises `InvalidInput` naming what is missing, `Forbidden`, `NotFound`, and `WrongState` where the person does not hold
        the item or has judged it.
        """
        require(person.name, person.role, "analyst")
        item = existing(session, key)
        if item.lease_by != person.name or item.lease_until <= now:
            held = "held by nobody" if item.lease_until <= now else f"held by {item.lease_by}"
            raise WrongState(f"item '{key}'", f"{held} (lease it first)", said.action)
        return _told(self._kept(session, item, person, said, evidence, now), person)

    def undo(
        self, session: Session, key: str, person: Actor, now: int, decision: str | None = None, note: str = ""
    ) -> tuple[Decided, Change]:
        """Take back one's own last decision on an item, or, as operator, the decision that is named.

        The decision stays in the records, and the label that rested on it is excluded. Raises `Forbidden`, `NotFound`,
        `WrongState` where there is nothing to undo.
        """
        require(person.name, person.role, "analyst")
        item = existing(session, key)
        undone = undoable(session, item, person, decision)
        return _told(self._undone(session, item, undone, person, note, now), person)

    def bulk(
        self,
        session: Session,
        incident: str,
        person: Actor,
        said: Said,
        evidence: Mapping[str, Any],
        now: int,
    ) -> tuple[Bulk, Change]:
        """Decide all open items of an incident at once; those of the random audit, and what others hold, are left out.

        Raises as `decide`; `NotFound` where the incident has no open item.
        """
        require(person.name, person.role, "analyst")
        take_turn(session)
        items = session.scalars(
            select(ItemRow)
            .where(ItemRow.incident == incident, ItemRow.state.in_(QUEUED), ItemRow.source != "audit")
            .order_by(ItemRow.rank.desc(), ItemRow.id)
            .limit(self._rules.bulk)
            .with_for_update()
        ).all()
        if not items:
            raise NotFound(f"incident '{incident[:80]}' has no open item")
        key, decided, left_out = _new_id(now), [], {}
        for item in items:
            reason = _why_not(session, item, person, now)
            if reason:
                left_out[item.id] = reason
            else:
                decided.append(self._kept(session, item, person, said, evidence, now, key))
        told = {
            "bulk": key, "action": said.action, "label": said.label, "reason": said.reason, "note": said.note,
            "items": [one.item.id for one in decided], "left_out": left_out,
        }  # fmt: skip
        return Bulk(key, tuple(decided), left_out), Change(
            person, "review.bulk", f"incident:{incident}", told
        )

    def undo_bulk(
        self, session: Session, key: str, person: Actor, now: int, note: str = ""
    ) -> tuple[Bulk, Change]:
        """Take back all that stands of a bulk decision: one's own, or, as operator, anybody's. Raises as `undo`."""
        require(person.name, person.role, "analyst")
        take_turn(session)
        found = standing_of_bulk(session, key)
        if not found:
            raise NotFound(f"there is no bulk decision '{key[:80]}' that stands")
        if any(row.actor != person.name for row in found):
            require(person.name, person.role, "operator")
        undone = [self._undone(session, existing(session, row.item), row, person, note, now) for row in found]
        told = {"bulk": key, "note": note, "items": [one.item.id for one in undone]}
        return Bulk(key, tuple(undone), {}), Change(person, "review.undo_bulk", f"bulk:{key}", told)

    def _kept(
        self,
        session: Session,
        item: ItemRow,
        person: Actor,
        said: Said,
        evidence: Mapping[str, Any],
        now: int,
        bulk: str | None = None,
    ) -> Decided:
        """Keep one decision and what follows from it."""
        if item.state != "open" and said.action != "tag":
            require(person.name, person.role, "operator")
        if _spoken(session, item, person.name) and said.action not in ("tag", "escalate"):
            raise WrongState(f"item '{item.id}'", "judged by you already (undo that first)", said.action)
        blind = is_blind(session, item, person.name)
        before: Label = "anomaly" if item.flagged else "normal"
        meaning = meaning_of(said, before, hidden=blind, reasons=self._rules.reasons)
        row = _row(item, person, meaning, said, now)
        row.blind, row.evidence, row.bulk, row.before = blind, dict(evidence), bulk, before
        row.seconds = round(max(0, now - item.lease_from) / 1000, 3) if item.lease_by == person.name else 0.0
        session.add(row)
        session.flush()
        self._follow(session, item, row, now)
        return Decided(decision_of(row), item_of(item))

    def _follow(self, session: Session, item: ItemRow, row: DecisionRow, now: int) -> None:
        if row.action == "tag":
            return
        until = now + self._rules.skip_ms if row.action == "skip" else FOREVER
        session.merge(PassedRow(item=item.id, actor=row.actor, until=until))
        item.lease_by, item.lease_until = None, 0
        if row.action != "skip":
            settle(session, item, row, now, _new_id)
        session.flush()

    def _undone(
        self, session: Session, item: ItemRow, undone: DecisionRow, person: Actor, note: str, now: int
    ) -> Decided:
        row = _row(item, person, Meaning("undo", None), Said("undo", note=note), now)
        row.before, row.undo_of = undone.after or undone.before, undone.id
        session.add(row)
        session.flush()
        # Who judged is not asked again
        if undone.action != "tag" and not _spoken(session, item, undone.actor):
            session.merge(PassedRow(item=item.id, actor=undone.actor, until=0))
        settle(session, item, row, now, _new_id)
        session.flush()
        return Decided(decision_of(row), item_of(item))


def _spoken(session: Session, item: ItemRow, actor: str) -> bool:
    """Whether a judgement of this person stands on the item."""
    return any(row.actor == actor for row in standing(session, item.id))


def _why_not(session: Session, item: ItemRow, person: Actor, now: int) -> str:
    if item.lease_until > now and item.lease_by != person.name:
        return f"held by {item.lease_by}"
    if item.state != "open" and not includes(person.role, "operator"):
        return f"{item.state}: it waits for an operator"
    if _spoken(session, item, person.name):
        return "judged by you before"
    return ""


def _told(done: Decided, person: Actor) -> tuple[Decided, Change]:
    """With the entry for the audit log."""
    one = done.decision
    detail = {
        "decision": one.id, "before": one.before, "after": one.after, "reason": one.reason, "note": one.note,
        "tags": one.tags, "undo_of": one.undo_of, "model": one.model, "version": one.version,
        "rules": one.rules, "blind": one.blind, "seconds": one.seconds, "state": done.item.state,
    }  # fmt: skip
    return done, Change(person, f"review.{one.action}", target(one.item), detail)


def is_blind(session: Session, item: ItemRow, actor: str) -> bool:
    """Whether the prediction is hidden from a person: of an audit item that they never judged, undone or not."""
    if item.source != "audit":
        return False
    judged = select(DecisionRow.id).where(
        DecisionRow.item == item.id, DecisionRow.actor == actor, DecisionRow.after.is_not(None)
    )
    return session.scalar(judged.limit(1)) is None


def _row(item: ItemRow, person: Actor, meaning: Meaning, said: Said, now: int) -> DecisionRow:
    return DecisionRow(
        id=_new_id(now),
        item=item.id,
        actor=person.name,
        role=person.role,
        action=meaning.action,
        after=meaning.label,
        reason=said.reason,
        note=said.note,
        tags=list(said.tags),
        onset=said.onset,
        model=item.model,
        version=item.version,
        rules=item.rules,
        blind=False,
        evidence={},
        seconds=0.0,
        at=now,
    )


def _new_id(now: int) -> str:
    """32 hexadecimal digits that sort by time, and within a millisecond of this process by their order."""
    return f"{now:012x}{next(_COUNTED) % 2**24:06x}{secrets.token_hex(7)}"
