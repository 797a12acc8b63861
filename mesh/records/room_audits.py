"""What rules and rollouts write down, in the one audit log; they know it only by their own narrow ports."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from mesh.records.entry import Actor, Change
from mesh.records.ledger import Ledger
from mesh.records.roles import Role

ROLE: Final[Role] = "operator"
"""What changes rules, models and rollouts takes this role; who asked over the API stands in the entry of that call."""


class RoomAudit:
    """The `Audit` of `mesh.rules` and of `mesh.rollouts`."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def record(
        self,
        action: str,
        subject: str,
        before: str | Mapping[str, Any],
        after: str | Mapping[str, Any],
        actor: str,
    ) -> None:
        """Log a change that is about to be made. Raises `StoreAway`, `Overloaded`: it must not be made then."""
        change = _change(action, subject, before, after, actor)
        await self._ledger.change(lambda _session: (None, change))

    async def change_rules(
        self, before: str, after: str, actor: str, make: Callable[[], Awaitable[None]]
    ) -> None:
        """Log a change of the rules, then `make` it; where that raises, the log says so.

        Raises what `make` raises, and as `record`.
        """
        await self._ledger.outside(_change("rules.change", "rules", before, after, actor), make)


def _change(
    action: str, subject: str, before: str | Mapping[str, Any], after: str | Mapping[str, Any], actor: str
) -> Change:
    detail = {"before": _plain(before), "after": _plain(after)}
    return Change(Actor(actor, ROLE, "mesh"), action, subject, detail)


def _plain(state: str | Mapping[str, Any]) -> object:
    return state if isinstance(state, str) else dict(state)
