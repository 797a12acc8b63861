"""All that is kept, opened together: the one place that puts the database, the log, the tokens and the ledger together."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mesh.records.audit_log import AuditLog
from mesh.records.database import Database, database_url, late_database
from mesh.records.entry import Entry, Head
from mesh.records.ledger import AuditedLedger
from mesh.records.token_table import TokenTable
from mesh.records.tokens import Token
from mesh.records.transactions import Transactions
from mesh.settings import Settings


@dataclass(frozen=True, slots=True)
class Records:
    """The records of one process on an event loop. `close` finishes what waits."""

    database: Database
    transactions: Transactions
    audit: AuditLog
    tokens: TokenTable
    ledger: AuditedLedger

    async def token(self, identifier: str) -> Token | None:
        """The token of this id, valid or not. Raises `StoreAway`, `Overloaded`."""
        return await self.transactions.read(lambda: self.tokens.find(identifier))

    async def end(self) -> tuple[str, Head]:
        """The hash of the log's first entry, and where it ends. Raises `StoreAway`, `Overloaded`."""
        return await self.transactions.read(lambda: (self.audit.chain(), self.audit.head()))

    async def close(self) -> None:
        """Take no more changes, finish those that wait, close the database."""
        await self.transactions.close()


def records_of(settings: Settings, root: Path, counted: Callable[[Entry], None] = lambda _: None) -> Records:
    """The records that `settings` name, by default in the project's folder `root`; nothing connects before the first use.

    `counted` hears of every entry that this process adds. Raises `InvalidConfig` for a wrong `MESH_DATABASE_URL`.
    """
    database = late_database(database_url(settings.database_url, root))
    audit = AuditLog(database)
    transactions = Transactions(database)
    return Records(
        database,
        transactions,
        audit,
        TokenTable(database, audit),
        AuditedLedger(transactions, audit, counted),
    )
