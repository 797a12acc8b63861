"""The database of records, for commands that work on it without the API."""

import getpass
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from mesh.cli import environment
from mesh.records.audit_log import AuditLog
from mesh.records.database import Database, database_url, open_database
from mesh.records.entry import Actor, Change
from mesh.records.token_table import TokenTable


@dataclass(frozen=True, slots=True)
class LocalRecords:
    """The records, and who sits here: whoever reaches the database itself may do everything, and is logged all the same."""

    database: Database
    audit: AuditLog
    tokens: TokenTable
    user: Actor

    def log(self, action: str, target: str, **detail: object) -> None:
        """Log what a command is about to do outside the database."""
        with self.database.write() as session:
            self.audit.append(session, Change(self.user, action, target, detail))


@contextmanager
def local_records() -> Iterator[LocalRecords]:
    """The database of `MESH_DATABASE_URL`, else of the project's folder. Raises `InvalidConfig`, `StoreAway`."""
    settings = environment.settings()
    root = environment.project_root(settings.config_dir)
    database = open_database(database_url(settings.database_url, root))
    try:
        audit = AuditLog(database)
        yield LocalRecords(database, audit, TokenTable(database, audit), Actor(_user(), "admin", "cli"))
    finally:
        database.close()


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return f"uid-{os.getuid()}"
