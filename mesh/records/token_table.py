"""API tokens in the database. Giving and taking one is logged in the same transaction."""

from collections.abc import Callable
from typing import Any, Final, cast

from sqlalchemy import BigInteger, String, Text, insert, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from mesh.errors import NotFound
from mesh.records.database import Base, Database
from mesh.records.entry import Actor, Change
from mesh.records.ports import Audit
from mesh.records.roles import Role, require
from mesh.records.times import now_ms
from mesh.records.tokens import Minted, Token, mint, revoked

MAX_TOKENS: Final = 10_000
"""Tokens that a list shows, the newest."""


class TokenRow(Base):
    """One token. What is in it is described at `mesh.records.tokens.Token`."""

    __tablename__ = "api_tokens"

    id: Mapped[str] = mapped_column(String(12), primary_key=True)
    actor: Mapped[str] = mapped_column(Text)
    role: Mapped[str] = mapped_column(Text)
    hashed: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[int] = mapped_column(BigInteger)
    created_by: Mapped[str] = mapped_column(Text)
    expires_at: Mapped[int | None] = mapped_column(BigInteger)
    revoked_at: Mapped[int | None] = mapped_column(BigInteger)


_COLUMNS: Final = tuple(TokenRow.__table__.columns)


class TokenTable:
    """A `TokenBook` over one database. All raise `StoreAway`."""

    def __init__(self, database: Database, audit: Audit, now: Callable[[], int] = now_ms) -> None:
        """`now` gives milliseconds since 1970."""
        self._database, self._audit, self._now = database, audit, now

    def find(self, identifier: str) -> Token | None:
        """The token of this id, valid or not; None where there is none."""
        with self._database.read() as session:
            return _found(session, identifier)

    def tokens(self) -> list[Token]:
        """All tokens, newest first."""
        asked = select(*_COLUMNS).order_by(TokenRow.created_at.desc(), TokenRow.id).limit(MAX_TOKENS)
        with self._database.read() as session:
            return [_token(row) for row in session.connection().execute(asked)]

    def create(self, by: Actor, name: str, role: Role, expires_at: int | None = None) -> Minted:
        """A new token for `name`. Raises `InvalidInput`, and `Forbidden` where `by` is no admin."""
        require(by.name, by.role, "admin")
        minted = mint(name, role, by.name, self._now(), expires_at)
        token = minted.token
        detail = {"name": name, "role": role, "expires_at": expires_at}
        with self._database.write() as session:
            values = {column.name: getattr(token, column.name) for column in _COLUMNS}
            session.execute(insert(TokenRow).values(values))
            self._audit.append(session, Change(by, "tokens.create", f"token:{token.id}", detail))
        return minted

    def revoke(self, by: Actor, identifier: str) -> Token:
        """End a token, for good; one that has ended already stays as it is. Raises `NotFound`, `Forbidden`."""
        require(by.name, by.role, "admin")
        with self._database.write() as session:
            token = _found(session, identifier)
            if token is None:
                raise NotFound(f"there is no token '{identifier[:80]}'; hyperstream token list shows them")
            if token.revoked_at is not None:
                return token
            ended = revoked(token, self._now())
            session.execute(
                update(TokenRow).where(TokenRow.id == identifier).values(revoked_at=ended.revoked_at)
            )
            detail = {"name": token.actor, "role": token.role}
            self._audit.append(session, Change(by, "tokens.revoke", f"token:{identifier}", detail))
            return ended


def _found(session: Session, identifier: str) -> Token | None:
    row = session.connection().execute(select(*_COLUMNS).where(TokenRow.id == identifier)).first()
    return None if row is None else _token(row)


def _token(row: Any) -> Token:
    return Token(row.id, row.actor, cast("Role", row.role), *row[3:])
