"""The audit log and its ledger without a database: for tests, and for who tries the mesh out. Nothing outlives the process."""

from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any, TypeVar, cast

from sqlalchemy.orm import Session

from mesh.records.chain import Verdict, verify
from mesh.records.entry import Change, Entry, Head, following
from mesh.records.ports import AuditQuery
from mesh.records.times import now_ms

Result = TypeVar("Result")


class MemoryAudit:
    """An `Audit`, `AuditBook` and `AuditExport` of one thread; a session given to it is not looked at."""

    def __init__(self, now: Callable[[], int] = now_ms) -> None:
        """`now` gives milliseconds since 1970."""
        self._now = now
        self._entries: list[Entry] = []

    def append(self, session: Session | None, change: Change) -> Entry:
        """As `Audit.append`; there is no transaction to roll it back."""
        del session
        entry = following(self.head(), self._now(), change)
        self._entries.append(entry)
        return entry

    def page(self, query: AuditQuery) -> list[Entry]:
        """As `AuditBook.page`."""
        fitting = (entry for entry in reversed(self._entries) if _fits(entry, query))
        return [entry for entry, _ in zip(fitting, range(query.limit), strict=False)]

    def head(self) -> Head:
        """As `AuditBook.head`."""
        return Head(self._entries[-1].seq, self._entries[-1].hash) if self._entries else Head()

    def verify(self, known: Iterable[Head] = ()) -> Verdict:
        """As `AuditBook.verify`."""
        return verify(self._entries, known=known)

    def entries(self, after: int = 0) -> Iterator[Entry]:
        """As `AuditExport.entries`."""
        return iter(self._entries[after:])


class MemoryLedger:
    """A `Ledger` over a `MemoryAudit`; `change` gives its work no session that it could use."""

    def __init__(self, audit: MemoryAudit | None = None) -> None:
        self.audit = audit or MemoryAudit()

    async def change(self, work: Callable[[Session], tuple[Result, Change]]) -> Result:
        """As `Ledger.change`, for work that needs no database."""
        result, change = work(cast("Any", None))
        self.audit.append(None, change)
        return result

    async def outside(self, change: Change, act: Callable[[], Awaitable[Result]]) -> Result:
        """As `Ledger.outside`."""
        entry = self.audit.append(None, change)
        try:
            return await act()
        except Exception as error:
            detail = {"entry": entry.seq, "reason": str(error)}
            self.audit.append(None, Change(change.actor, f"{change.action}.failed", change.target, detail))
            raise


def _fits(entry: Entry, query: AuditQuery) -> bool:
    return (
        query.actor in (None, entry.actor)
        and _matches(entry.action, query.action)
        and _matches(entry.target, query.target)
        and (query.since is None or entry.at >= query.since)
        and (query.until is None or entry.at < query.until)
        and (query.before is None or entry.seq < query.before)
    )


def _matches(value: str, wanted: str | None) -> bool:
    if wanted is None:
        return True
    return value.startswith(wanted[:-1]) if wanted.endswith("*") else value == wanted
