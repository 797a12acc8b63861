"""Writers of the records take turns where what they write depends on what others write at the same time."""

from typing import Final

from sqlalchemy import text
from sqlalchemy.orm import Session

_LOCK: Final = 0x68797065_61756474
"""The advisory lock of PostgreSQL that who has the turn holds until the commit."""
_TAKE: Final = text("SELECT pg_advisory_xact_lock(:lock)")


def take_turn(session: Session) -> None:
    """Wait for whoever has the turn, and keep it to the end of this transaction; in SQLite who writes has it anyway.

    It is one turn for everything, and it is taken before rows are locked: with a second one, or with rows first, two
    transactions could wait for each other. A repeat in one transaction is free.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(_TAKE, {"lock": _LOCK})
