"""The database of records: SQLite by default, PostgreSQL by URL. Opening one brings its tables up to date.

SQLite runs in WAL mode with `synchronous=FULL`: readers never wait for a writer, and what was committed survives a power cut
(https://www.sqlite.org/wal.html, https://www.sqlite.org/pragma.html#pragma_synchronous). A writing transaction begins with
BEGIN IMMEDIATE, because one that starts by reading cannot wait for another writer: it fails at once instead.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, MetaData, create_engine, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import (
    ArgumentError,
    DatabaseError,
    InterfaceError,
    InternalError,
    NoSuchModuleError,
    OperationalError,
    ProgrammingError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import DeclarativeBase, Session

from mesh.errors import InvalidConfig, MeshError, StoreAway
from mesh.records.times import WAIT_S

VARIABLE: Final = "MESH_DATABASE_URL"
FILE: Final = "store/records.db"
"""Where the default database lies, from the project's folder."""

CONNECTIONS: Final = 8
CONNECT_S: Final = 5
STATEMENT_S: Final = 30
_CONNECTED: Final = {
    "tcp_user_timeout": int(WAIT_S * 1000), "keepalives": 1, "keepalives_idle": 5, "keepalives_interval": 3,
    "keepalives_count": 3,
}  # fmt: skip
"""A server that vanished without a word is noticed: else TCP itself waits for a quarter of an hour. Names as libpq's."""

_WRITES: Final = "records_writes"
_PRAGMAS: Final = (
    "journal_mode=WAL", "synchronous=FULL", f"busy_timeout={WAIT_S * 1000:.0f}", "foreign_keys=ON",
    "recursive_triggers=ON",
)  # fmt: skip
"""`recursive_triggers`: without it, REPLACE deletes a row past its DELETE trigger."""

_AWAY: Final = (OperationalError, InterfaceError, InternalError, PoolTimeout)
_NO_TABLES: Final = ("42P01", "42703", "3F000")
"""PostgreSQL lacks a table, a column or the schema: it was set back, or is another one. SQLite's word is `OperationalError`."""


class Base(DeclarativeBase):
    """The tables of all rooms. Constraints have names, so that migrations can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class Database:
    """One database. Sessions are for one thread each; the object itself is for all threads of a process."""

    def __init__(self, engine: Engine) -> None:
        """`open_database` and `late_database` make one."""
        self.engine = engine
        self._writing = engine.execution_options(**{_WRITES: True})
        self._preparing = threading.Lock()
        self._prepared = False

    @property
    def shown(self) -> str:
        """Its URL, without the password, and without those that libpq takes behind the `?`."""
        secret = [name for name in self.engine.url.query if "password" in name.lower()]
        return self.engine.url.difference_update_query(secret).render_as_string(hide_password=True)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session that sees one state of the database and changes nothing. Raises `StoreAway`."""
        self.prepare()
        with _away(self), Session(self.engine, expire_on_commit=False) as session:
            yield session
            session.rollback()

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session in one transaction: committed at the end, rolled back where anything raises. Raises `StoreAway`.

        Waits at most `WAIT_S` for other writers. Hold it briefly: in SQLite nobody else writes meanwhile.
        """
        self.prepare()
        with _away(self), Session(self._writing, expire_on_commit=False) as session, session.begin():
            session.connection()  # begin now, so that whoever must wait waits here
            yield session

    def prepare(self) -> None:
        """Bring the tables up to date, once. Raises `StoreAway`, `InvalidConfig` for a database of a newer version."""
        if self._prepared:
            return
        from mesh.records.migrate import upgrade  # noqa: PLC0415 - Alembic takes a while to import

        with self._preparing:
            if not self._prepared:
                _make_folder(self)
                upgrade(self)
                self._prepared = True

    @contextmanager
    def connection(self, *, writes: bool) -> Iterator[Connection]:
        """A bare connection in one transaction, for migrations: the tables may not be there. Raises `StoreAway`."""
        with _away(self), (self._writing if writes else self.engine).begin() as connection:
            yield connection

    def close(self) -> None:
        """Let go of all connections."""
        self.engine.dispose()


def database_url(configured: str | None, root: Path) -> str:
    """`MESH_DATABASE_URL`, else SQLite in `store/records.db` under the project's folder."""
    return configured or f"sqlite:///{(root / FILE).resolve()}"


def check_url(url: str | None) -> None:
    """Raises `InvalidConfig` where `MESH_DATABASE_URL` is set and is no URL of ours."""
    if url is not None:
        _checked(url)


def late_database(url: str) -> Database:
    """The database at `url`, which nothing connects to before its first use. Raises `InvalidConfig` for a wrong URL."""
    return Database(_engine(_checked(url)))


def open_database(url: str) -> Database:
    """The database at `url`, with all its tables.

    Raises `InvalidConfig` for a URL that is none of ours or a database of a newer version, `StoreAway` where none answers.
    """
    database = late_database(url)
    try:
        database.prepare()
    except BaseException:
        database.close()
        raise
    return database


def _checked(text: str) -> URL:
    try:
        url = make_url(text)
    except ArgumentError:
        raise _wrong("is no database URL") from None
    if url.drivername in ("postgres", "postgresql"):
        url = url.set(drivername="postgresql+psycopg")
    if url.drivername not in ("sqlite", "postgresql+psycopg"):
        raise _wrong(f"'{url.drivername}' is not known")
    if url.drivername == "sqlite" and not url.database:
        raise _wrong("names no file; a database in memory would be another one in each process")
    return url


def _wrong(reason: str) -> InvalidConfig:
    known = "write sqlite:////FOLDER/records.db or postgresql://USER:PASSWORD@HOST/NAME"
    return InvalidConfig("environment", 0, VARIABLE, f"{reason}; {known}")


def _engine(url: URL) -> Engine:
    options: dict[str, Any] = {"pool_size": CONNECTIONS, "max_overflow": 0, "pool_timeout": WAIT_S}
    if url.drivername == "sqlite":
        engine = create_engine(url, connect_args={"timeout": WAIT_S}, **options)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    connect: dict[str, Any] = {"connect_timeout": CONNECT_S}
    connect |= {name: value for name, value in _CONNECTED.items() if name not in url.query}
    if "options" not in url.query:
        milliseconds = f"-c lock_timeout={WAIT_S * 1000:.0f} -c statement_timeout={STATEMENT_S * 1000}"
        connect["options"] = milliseconds
    try:
        return create_engine(url, connect_args=connect, pool_pre_ping=True, **options)
    except (ImportError, NoSuchModuleError) as error:
        name = getattr(error, "name", None) or "psycopg"
        raise MeshError(f"{name} is not installed: pip install 'hyperstream-mesh[postgres]'") from None


def _make_folder(database: Database) -> None:
    """The folder of a SQLite file; one that cannot be made may be mended while the mesh runs."""
    if database.engine.dialect.name != "sqlite":
        return
    folder = Path(str(database.engine.url.database)).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = f"the folder {folder} cannot be made ({error.strerror}); {VARIABLE} names another place"
        raise StoreAway("the database of records", reason) from None


def _prepare_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = None  # we begin transactions, not Python's module
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def _away(database: Database) -> Iterator[None]:
    """A database that does not answer, not in time, or not as one of ours is `StoreAway`; what it refuses stays what it is."""
    try:
        yield
    except (DatabaseError, InterfaceError, PoolTimeout) as error:
        if not _is_away(error):
            raise
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise StoreAway("the database of records", f"{database.shown} ({VARIABLE}): {reason}") from error


def _is_away(error: Exception) -> bool:
    if isinstance(error, ProgrammingError):  # a trigger's "no" and a missing right are such, too
        return getattr(error.orig, "sqlstate", None) in _NO_TABLES
    # Of the others of its kind, what is nothing narrower: SQLite's "file is not a database".
    return isinstance(error, _AWAY) or type(error) is DatabaseError
