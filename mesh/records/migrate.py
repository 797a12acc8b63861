"""Bringing the tables of a database up to date, by Alembic, whenever one is opened.

A room that keeps records adds revisions to `migrations/versions/`: a file `v0002_NAME.py` with the revision id `0002_NAME`.
Its first revision hangs under `0001_audit`; several branches may stand side by side, and all are applied.
"""

from functools import cache
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, text

from mesh.errors import InvalidConfig

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    from mesh.records.database import Database

_LOCK: Final = 0x68797065_72737472
"""The advisory lock of PostgreSQL under which migrations run: "hyperstr" in ASCII."""


def upgrade(database: "Database") -> None:
    """Apply what is missing; one process does it while others wait. Raises `InvalidConfig` for a newer database."""
    from alembic import command  # noqa: PLC0415 - takes a tenth of a second, and only who opens a database needs it

    if _is_current(database):
        return
    with database.connection(writes=True) as connection:  # in SQLite this alone keeps others out
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        if _applied(connection, database.shown) != heads():
            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, "heads")


def heads() -> frozenset[str]:
    """The revisions that an up-to-date database stands at."""
    return frozenset(_scripts().get_heads())


def _is_current(database: "Database") -> bool:
    with database.connection(writes=False) as connection:
        return _applied(connection, database.shown) == heads()


def _applied(connection: Connection, shown: str) -> frozenset[str]:
    from alembic.migration import MigrationContext  # noqa: PLC0415

    found = frozenset(MigrationContext.configure(connection).get_current_heads())
    known = {script.revision for script in _scripts().walk_revisions()}
    if found - known:
        reason = f"{shown} was made by a newer version ({', '.join(sorted(found - known))}): update this one"
        raise InvalidConfig("environment", 0, "MESH_DATABASE_URL", reason)
    return found


@cache
def _scripts() -> "ScriptDirectory":
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    return ScriptDirectory.from_config(_config())


def _config() -> "Config":
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", "mesh.records:migrations")
    return config
