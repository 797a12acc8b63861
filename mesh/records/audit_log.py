"""The audit log in the database: entries are added one after the other, each by the hash of the last."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields
from operator import attrgetter
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, Row, Select, String, Text, func, select
from sqlalchemy.orm import InstrumentedAttribute, Mapped, Session, mapped_column

from mesh.errors import InvalidInput
from mesh.records.chain import Verdict, verify
from mesh.records.database import Base, Database
from mesh.records.entry import GENESIS, Change, Entry, Head, following
from mesh.records.ports import MAX_PAGE, AuditQuery
from mesh.records.times import now_ms
from mesh.records.turns import take_turn

_PIECE: Final = 1_000
_values: Final = attrgetter(*(field.name for field in fields(Entry)))


class AuditRow(Base):
    """One entry. What is in it is described at `mesh.records.entry.Entry`."""

    __tablename__ = "audit_entries"

    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    at: Mapped[int] = mapped_column(BigInteger)
    actor: Mapped[str] = mapped_column(Text)
    role: Mapped[str] = mapped_column(Text)
    via: Mapped[str] = mapped_column(Text)
    action: Mapped[str] = mapped_column(Text)
    target: Mapped[str] = mapped_column(Text)
    detail: Mapped[str] = mapped_column(Text)
    prev: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))


_COLUMNS: Final = tuple(AuditRow.__table__.columns)
# As the driver takes them: compiling them through SQLAlchemy each time is half of what an entry costs.
_LAST: Final = "SELECT seq, hash FROM audit_entries ORDER BY seq DESC LIMIT 1"
_ADD: Final = {
    style: f"INSERT INTO audit_entries ({', '.join(column.name for column in _COLUMNS)})"  # noqa: S608 - our own names
    f" VALUES ({', '.join([mark] * len(_COLUMNS))})"
    for style, mark in (("qmark", "?"), ("pyformat", "%s"))
}


class AuditLog:
    """An `Audit`, an `AuditBook` and an `AuditExport` over one database."""

    def __init__(self, database: Database, now: Callable[[], int] = now_ms) -> None:
        """`now` gives milliseconds since 1970."""
        self._database = database
        self._now = now

    def append(self, session: Session, change: Change) -> Entry:
        """As `Audit.append`."""
        take_turn(session)
        last = session.connection().exec_driver_sql(_LAST).first()
        entry = following(_head_of(last), self._now(), change)
        session.connection().exec_driver_sql(_ADD[session.get_bind().dialect.paramstyle], _values(entry))
        return entry

    def page(self, query: AuditQuery) -> list[Entry]:
        """As `AuditBook.page`."""
        if not 1 <= query.limit <= MAX_PAGE:
            raise InvalidInput("limit", f"must be from 1 to {MAX_PAGE}")
        asked = select(*_COLUMNS).where(*_conditions(query)).order_by(AuditRow.seq.desc()).limit(query.limit)
        with self._database.read() as session:
            return _entries(session, asked)

    def head(self) -> Head:
        """As `AuditBook.head`."""
        with self._database.read() as session:
            return _head_of(session.connection().exec_driver_sql(_LAST).first())

    def chain(self) -> str:
        """The hash of the first entry, which tells this log from others; 64 zeros while there is none."""
        with self._database.read() as session:
            return session.scalar(select(AuditRow.hash).where(AuditRow.seq == 1)) or GENESIS

    def verify(self, known: Iterable[Head] = ()) -> Verdict:
        """As `AuditBook.verify`."""
        return verify(self.entries(), known=known)

    def entries(self, after: int = 0) -> Iterator[Entry]:
        """As `AuditExport.entries`."""
        asked = select(*_COLUMNS).order_by(AuditRow.seq).limit(_PIECE)
        while True:
            with self._database.read() as session:
                piece = _entries(session, asked.where(AuditRow.seq > after))
            yield from piece
            if len(piece) < _PIECE:
                return
            after = piece[-1].seq


def _head_of(last: Row[Any] | None) -> Head:
    return Head() if last is None else Head(last.seq, last.hash)


def _entries(session: Session, asked: Select[Any]) -> list[Entry]:
    return [Entry(*row) for row in session.connection().execute(asked)]


def _conditions(query: AuditQuery) -> list[ColumnElement[bool]]:
    found = [
        _fits(column, value)
        for column, value in ((AuditRow.action, query.action), (AuditRow.target, query.target))
        if value is not None
    ]
    if query.actor is not None:
        found.append(AuditRow.actor == query.actor)
    if query.since is not None:
        found.append(AuditRow.at >= query.since)
    if query.until is not None:
        found.append(AuditRow.at < query.until)
    if query.before is not None:
        found.append(AuditRow.seq < query.before)
    return found


def _fits(column: InstrumentedAttribute[str], value: str) -> ColumnElement[bool]:
    """Not by LIKE: SQLite's takes `Alerts.*` for `alerts.*`, PostgreSQL's does not."""
    if value.endswith("*"):
        return func.substr(column, 1, len(value) - 1) == value[:-1]
    return column == value
