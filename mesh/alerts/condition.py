"""The condition of one rule and key over time: pending, open, clearing, quiet. Time is always that of the rows."""

from dataclasses import dataclass
from typing import Literal

from mesh.alerts.events import Place
from mesh.alerts.rules import Rule

Change = Literal["opened", "updated", "cleared", "held_off"]


@dataclass(slots=True)
class Condition:
    """What is remembered of one key. Times are milliseconds; None says that it is not so.

    `since`, `first`, `rows`: the condition holds since then, began with this record, and held for so many rows. `opened`: an
    alert is open since then, last told at `told`. `clearing`: what clears it holds since then. `quiet_until`: no other opens
    before; `held_off` says that one would have. `last`: the time of the latest row. `again`: alerts that opened before and began
    with the record `first` too.
    """

    since: int | None = None
    first: Place | None = None
    rows: int = 0
    opened: int | None = None
    told: int = 0
    clearing: int | None = None
    quiet_until: int | None = None
    held_off: bool = False
    last: int = 0
    again: int = 0

    @property
    def idle(self) -> bool:
        """Nothing that has to be remembered."""
        return self.since is None and (self.quiet_until is None or self.quiet_until <= self.last)

    def see(self, rule: Rule, time: int, *, holds: bool, clears: bool) -> Change | None:
        """One row, and what it changes. Where the condition begins to hold, the caller sets `first`."""
        if time < self.last:
            self._set_back(rule, time)
        self.last = time
        if holds:
            self.rows += 1
            if self.since is None:
                self.since = time
        return (
            self._while_closed(rule, time, holds)
            if self.opened is None
            else self._while_open(rule, time, holds, clears)
        )

    def _while_closed(self, rule: Rule, time: int, holds: bool) -> Change | None:
        if not holds:
            self._end()
            return None
        if self.since is None or time - self.since < rule.hold_ms:
            return None
        if self.quiet_until is not None and time < self.quiet_until:
            told, self.held_off = self.held_off, True
            return None if told else "held_off"
        self.opened = self.told = time
        self.quiet_until = time + rule.hold_off_ms
        return "opened"

    def _while_open(self, rule: Rule, time: int, holds: bool, clears: bool) -> Change | None:
        if holds:  # a row that would open it never counts towards clearing, whatever `clear_when` says
            self.clearing = None
            if time - self.told < rule.dedup_ms:
                return None
            self.told = time
            return "updated"
        if not clears:
            self.clearing = None
            return None
        if self.clearing is None:
            self.clearing = time
        return "cleared" if time - self.clearing >= rule.clear_hold_ms else None

    def end(self) -> None:
        """Forget the alert that cleared, but not how long its key stays quiet."""
        self.opened = self.clearing = None
        self._end()

    def _end(self) -> None:
        self.since = self.first = None
        self.rows = self.again = 0
        self.held_off = False

    def _set_back(self, rule: Rule, time: int) -> None:
        """The asset's clock was set back: no wait may take longer than it was declared to."""
        if self.since is not None:
            self.since = min(self.since, time)
        if self.opened is not None:
            self.opened = min(self.opened, time)
        if self.clearing is not None:
            self.clearing = min(self.clearing, time)
        if self.quiet_until is not None:
            self.quiet_until = min(self.quiet_until, time + rule.hold_off_ms)
        self.told = min(self.told, time)
