"""The three sides of the alert store: the stream writes, people read and act, views follow."""

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

from mesh.alerts import Action, Alert, AlertEvent
from mesh.stores.alerts.query import AlertPage, AlertQuery, Change
from mesh.stores.alerts.written import Written


class AlertWriter(Protocol):
    """Where the stream's events go."""

    async def write(self, events: Sequence[AlertEvent]) -> Written:
        """Keep these events, in their order; those that are known change nothing. Raises `StoreAway`."""
        ...

    async def budget_left(self, at: int) -> int:
        """Alerts that may still stand alone in the window of this time in milliseconds. Raises `StoreAway`."""
        ...


class AlertBook(Protocol):
    """What people see and do."""

    async def get(self, alert: str) -> Alert:
        """One alert by its id. Raises `NotFound`, `StoreAway`."""
        ...

    async def page(self, query: AlertQuery) -> AlertPage:
        """Alerts that fit, newest first. Raises `InvalidInput` for a cursor that is none, `StoreAway`."""
        ...

    async def act(self, alert: str, action: Action, actor: str, at: int, note: str = "") -> Alert:
        """Change an alert's state; the same act of the same actor again changes nothing.

        Raises `NotFound`, `WrongState` where the state does not allow it, `StoreAway`.
        """
        ...


class AlertChanges(Protocol):
    """What happens to alerts, as it happens."""

    def changes(self) -> AsyncGenerator[Change, None]:
        """Every change from now on, at most once: whoever is slow or away misses some, and reads a page. Raises `StoreAway`."""
        ...
