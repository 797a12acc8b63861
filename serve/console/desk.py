"""The item in a person's hands: what the buttons and keys of the triage page do. Kept for the visit."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import streamlit as st

from serve.console import actions
from serve.console.api import Json, Mesh, Refused
from serve.console.look import tell, trouble

_CASE: Final = "triage.case"
_DONE: Final = "triage.done"
_OVERRIDING: Final = "triage.overriding"
_TAKEN: Final = "triage.taken"
_UNDONE: Final = "triage.undone"
_UNDOABLE: Final = 20
READ_S: Final = 0.8
"""Sooner nobody has read an item: what is pressed is the second of two quick presses, or a key that is held down."""
_DECIDED: Final = ("confirm", "override", "judge", "cannot_say", "skip", "escalate")
_WORDS: Final = {
    "confirm": "Confirmed", "override": "Overridden", "judge": "Judged", "cannot_say": "Left to somebody else", "skip": "Skipped",
    "escalate": "Escalated", "tag": "Tagged",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Done:
    """What can be undone: a decision on an item, or on many at once (`bulk`)."""

    kind: str
    id: str
    words: str


class Desk:
    """One person's item."""

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh

    @property
    def case(self) -> Json:
        """The case that is held; None where there is none."""
        return st.session_state.get(_CASE)

    @property
    def overriding(self) -> bool:
        """Whether they are asked for a reason."""
        return bool(st.session_state.get(_OVERRIDING))

    def fill(self) -> None:
        """Take the next item where none is held. After a reload it is the one that was held before."""
        if self.case is None and self._mesh.may(actions.NEXT):
            st.session_state[_CASE] = self._mesh.act(actions.NEXT)
        if _DONE not in st.session_state:
            st.session_state[_DONE] = self._last()

    def last(self) -> Done | None:
        """What undo would take back."""
        done: list[Done] = st.session_state.get(_DONE) or []
        return done[-1] if done else None

    def ask_reason(self) -> None:
        """Begin to override, or think better of it."""
        st.session_state[_OVERRIDING] = not self.overriding

    def decide(self, item: str, action: str, **said: Any) -> None:
        """Say it of `item`, and take the next. What the API refuses is shown, and the item stays.

        The second of two quick presses says nothing: neither of an item that is no longer in hand, nor of the next, unread.
        """
        if not self._has_read(item):
            return
        case = self.case
        typed = self._typed(case)

        def act() -> None:
            words = {key: value for key, value in {**typed, **said}.items() if value}
            self._mesh.act(actions.DECIDE, item, action=action, evidence=case["evidence"], **words)
            tell(f"{_WORDS[action]}: {case['item']['asset']}")
            if action == "tag":
                return
            self._remember(Done("item", item, f"{_WORDS[action]} {case['item']['asset']}"))
            self._next()

        self._try(act)

    def decide_incident(self, item: str, action: str, **said: Any) -> None:
        """Say it of all open items of the incident of `item`, as `decide`."""
        if not self._has_read(item):
            return
        case = self.case
        words = {key: value for key, value in {**self._typed(case), **said}.items() if value}

        def act() -> None:
            incident = case["item"]["incident"]
            found = self._mesh.act(
                actions.BULK, incident=incident, action=action, evidence=case["evidence"], **words
            )
            count, left = len(found["decided"]), len(found["left_out"])
            tell(f"{_WORDS[action]} {count} items" + (f"; {left} left out" if left else ""))
            self._remember(Done("bulk", found["id"], f"{_WORDS[action]} {count} items"))
            self._next()

        self._try(act)

    def undo(self, last: Done) -> None:
        """Take back `last`, where that still is what was done last, and hold that item again where that is possible."""
        if self.last() != last or _just(_UNDONE):
            return

        def act() -> None:
            if last.kind == "bulk":
                self._mesh.act(actions.UNDO_BULK, last.id)
            else:
                self._mesh.act(actions.UNDO, last.id)
            st.session_state[_DONE].pop()
            st.session_state[_UNDONE] = time.monotonic()
            tell(f"Undone: {last.words}")
            if last.kind == "item":
                self._hold_again(last.id)
            st.session_state[_OVERRIDING] = False

        self._try(act)

    def hold(self) -> None:
        """Hold the item for longer."""
        item = self.case["item"]["id"]

        def act() -> None:
            held = self._mesh.act(actions.LEASE, item)
            self.case["item"].update(held_by=held["held_by"], held_until=held["held_until"])

        self._try(act)

    def take(self, item: str) -> None:
        """Take an item of the queue instead of the one that is held, which goes back."""

        def act() -> None:
            self._mesh.act(actions.LEASE, item)
            if self.case is not None:
                self._mesh.act(actions.RELEASE, self.case["item"]["id"])
            self._show(item)

        self._try(act)

    def look_again(self) -> None:
        """Ask for the next item."""
        self._try(self._next)

    def _has_read(self, item: str) -> bool:
        return self.case is not None and self.case["item"]["id"] == item and not _just(_TAKEN)

    def _hold_again(self, item: str) -> None:
        try:
            self._mesh.act(actions.LEASE, item)
        except Refused:  # chance picks items of the random audit, people do not: the next one comes instead
            return
        if self.case is not None:
            self._mesh.act(actions.RELEASE, self.case["item"]["id"])
        self._show(item)

    def _show(self, item: str) -> None:
        self._hand(self._mesh.get("/review/items/{}", item, actor=self._mesh.caller.name))

    def _next(self) -> None:
        self._hand(self._mesh.act(actions.NEXT))

    def _hand(self, case: Json) -> None:
        st.session_state[_CASE], st.session_state[_TAKEN] = case, time.monotonic()
        st.session_state[_OVERRIDING] = False

    def _remember(self, done: Done) -> None:
        kept: list[Done] = st.session_state.setdefault(_DONE, [])
        kept.append(done)
        del kept[:-_UNDOABLE]

    def _last(self) -> list[Done]:
        """What this person did last, from the audit log, so that a reload of the page does not take undo away."""
        try:
            page = self._mesh.get("/audit", actor=self._mesh.caller.name, action="review.*", limit=5)
        except Refused:
            return []
        for entry in page["entries"]:
            verb, (_, _, target) = entry["action"].removeprefix("review."), entry["target"].partition(":")
            if verb in ("lease", "release", "tag"):
                continue
            return [Done("item", target, f"{_WORDS[verb]} an item")] if verb in _DECIDED else []
        return []

    def _typed(self, case: Json) -> dict[str, Any]:
        item = case["item"]["id"]
        tags = [one.strip() for one in str(st.session_state.get(f"tags-{item}", "")).split(",")]
        return {"note": st.session_state.get(f"note-{item}", ""), "tags": [one for one in tags if one]}

    def _try(self, act: Callable[[], None]) -> None:
        trouble(None)
        try:
            act()
        except Refused as refused:
            trouble(refused.message)


def _just(what: str) -> bool:
    """Whether that was so short a time ago that nobody can have looked at what came of it."""
    return time.monotonic() - float(st.session_state.get(what, float("-inf"))) < READ_S
