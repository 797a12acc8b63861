"""The sides of the audit log: changes are added in their own transaction, people read and check."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from sqlalchemy.orm import Session

from mesh.records.chain import Verdict
from mesh.records.entry import Change, Entry, Head
from mesh.records.tokens import Token

MAX_PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """Entries that fit all that is given, newest first. Times are milliseconds since 1970, `until` excluded.

    `action` and `target` may end in `*`: all that begin so. `before` is the number of an entry: only older ones.
    """

    actor: str | None = None
    action: str | None = None
    target: str | None = None
    since: int | None = None
    until: int | None = None
    before: int | None = None
    limit: int = 50


class Audit(Protocol):
    """Where changes are logged."""

    def append(self, session: Session, change: Change) -> Entry:
        """Log `change` in the transaction of `session`, so that both stand or neither does.

        The last step of a transaction: it keeps other writers of the log waiting until the commit. Raises `InvalidInput`,
        `StoreAway`.
        """
        ...


class AuditBook(Protocol):
    """What people read of the log. All raise `StoreAway`."""

    def page(self, query: AuditQuery) -> list[Entry]:
        """At most `limit` entries that fit, newest first. Raises `InvalidInput`."""
        ...

    def head(self) -> Head:
        """Where the chain ends."""
        ...

    def verify(self, known: Iterable[Head] = ()) -> Verdict:
        """Check every entry, against heads `known` from elsewhere too; as `mesh.records.chain.verify`."""
        ...


class AuditExport(Protocol):
    """All of the log, in order."""

    def entries(self, after: int = 0) -> Iterator[Entry]:
        """Every entry after the number `after`, oldest first, read piece by piece. Raises `StoreAway`."""
        ...


class TokenBook(Protocol):
    """Where tokens are looked up."""

    def find(self, identifier: str) -> Token | None:
        """The token of this id, valid or not; None where there is none. Raises `StoreAway`."""
        ...
