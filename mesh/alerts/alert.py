"""An alert as it is kept: what opened it, what became of it, and who did what."""

from collections.abc import Mapping
from dataclasses import dataclass

from mesh.alerts.events import AlertEvent
from mesh.alerts.lifecycle import State


@dataclass(frozen=True, slots=True)
class Mark:
    """Who changed the state, when (milliseconds since 1970), and what they said about it."""

    actor: str
    at: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Alerts of one rule inside a digest: how many, and by key. Past a limit keys are counted but not named."""

    rule: str
    count: int
    keys: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert with its state. `opened` is the event that opened it; `last_at` and `count` are the latest.

    `cleared_at` is when the condition ended, which an alert that a person resolved before may still tell. `groups` are what a
    digest stands for, `cleared` how many of them have ended; both are empty otherwise.
    """

    opened: AlertEvent
    state: State
    last_at: int
    count: int
    acknowledged: Mark | None = None
    resolved: Mark | None = None
    cleared_at: int | None = None
    groups: tuple[Group, ...] = ()
    cleared: int = 0

    @property
    def id(self) -> str:
        """Its id."""
        return self.opened.id
