"""The one way to change something: the change and its entry in the audit log stand together or not at all."""

import logging
from collections.abc import Awaitable, Callable
from typing import Final, Protocol, TypeVar

from sqlalchemy.orm import Session

from mesh.errors import MeshError
from mesh.records.entry import Change, Entry
from mesh.records.ports import Audit
from mesh.records.transactions import Transactions

Result = TypeVar("Result")

_LOG: Final = logging.getLogger(__name__)
_SAID: Final = 1_000


class Ledger(Protocol):
    """What rooms that change something are given. Whether somebody may is decided before."""

    async def change(self, work: Callable[[Session], tuple[Result, Change]]) -> Result:
        """Change records: `work` does it and says what it did, and both are committed together.

        Raises what `work` raises, `StoreAway`, `Overloaded`; then nothing is changed.
        """
        ...

    async def outside(self, change: Change, act: Callable[[], Awaitable[Result]]) -> Result:
        """Change something that the database does not hold: the entry is committed first, then `act` runs.

        So nothing is ever changed without an entry. Where `act` raises, a second entry, ACTION.failed, says why. Raises what
        `act` raises, `StoreAway`, `Overloaded`.
        """
        ...


class AuditedLedger:
    """A `Ledger` over the database. `counted` hears of every entry, on the event loop."""

    def __init__(
        self,
        transactions: Transactions,
        audit: Audit,
        counted: Callable[[Entry], None] = lambda _: None,
    ) -> None:
        self._transactions, self._audit, self._counted = transactions, audit, counted

    async def change(self, work: Callable[[Session], tuple[Result, Change]]) -> Result:
        """As `Ledger.change`."""

        def both(session: Session) -> tuple[Result, Entry]:
            result, change = work(session)
            return result, self._audit.append(session, change)

        result, entry = await self._transactions.write(both)
        self._counted(entry)
        return result

    async def outside(self, change: Change, act: Callable[[], Awaitable[Result]]) -> Result:
        """As `Ledger.outside`."""
        entry = await self._append(change)
        try:
            return await act()
        except Exception as error:
            await self._failed(change, entry, error)
            raise

    async def _append(self, change: Change) -> Entry:
        entry = await self._transactions.write(lambda session: self._audit.append(session, change))
        self._counted(entry)
        return entry

    async def _failed(self, change: Change, entry: Entry, error: Exception) -> None:
        reason = str(error) or type(error).__name__
        detail = {"entry": entry.seq, "reason": reason[:_SAID].encode("utf-8", "replace").decode()}
        try:
            await self._append(Change(change.actor, f"{change.action}.failed", change.target, detail))
        except MeshError as again:
            _LOG.warning("entry %d failed (%s), and the log could not say so: %s", entry.seq, error, again)
