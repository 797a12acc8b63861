"""A token that was valid passes while the database is away, hangs or is too busy; one that nobody knows does not."""

import asyncio
from unittest.mock import Mock

import pytest

from mesh.errors import Overloaded, StoreAway, Unavailable
from mesh.records import bearer
from mesh.records.bearer import KEPT_S, STALE_S, Bearers
from mesh.records.database import late_database
from mesh.records.tokens import Token, mint


class Book:
    """One token, in a database that may hang or refuse."""

    def __init__(self) -> None:
        minted = mint("ann", "operator", "root", 0, None)
        self.token, self.text, self.clock = minted.token, f"Bearer {minted.text}", 100.0
        self.fails: Unavailable | None = None
        self.hangs = False
        self.asked = 0

    async def find(self, identifier: str) -> Token | None:
        self.asked += 1
        if self.hangs:
            await asyncio.sleep(3_600)
        if self.fails is not None:
            raise self.fails
        return self.token

    def bearers(self) -> Bearers:
        return Bearers(self.find, clock=lambda: self.clock, now=lambda: int(self.clock * 1_000))


def be_impatient(monkeypatch):
    """Only where a look-up hangs: a busy machine is late with one that does not."""
    monkeypatch.setattr(bearer, "ANSWER_S", 0.05)
    monkeypatch.setattr(bearer, "WAIT_S", 0.2)


async def test_a_look_up_that_hangs_lets_a_known_token_pass(monkeypatch):
    book = Book()
    bearers = book.bearers()
    await bearers.actor(book.text)
    book.hangs = True
    be_impatient(monkeypatch)
    for _ in range(3):
        book.clock += KEPT_S
        async with asyncio.timeout(20):
            assert (await bearers.actor(book.text)).name == "ann"
    assert book.asked == 2  # the one that hangs is shared, not begun again
    book.clock += STALE_S
    with pytest.raises(StoreAway, match="within"):
        await bearers.actor(book.text)


async def test_a_look_up_that_hangs_is_given_up_for_a_token_that_is_not_known(monkeypatch):
    be_impatient(monkeypatch)
    book = Book()
    book.hangs = True
    async with asyncio.timeout(20):
        with pytest.raises(StoreAway, match="within"):
            await book.bearers().actor(book.text)


async def test_a_database_that_is_too_busy_lets_a_known_token_pass_and_no_other():
    book = Book()
    bearers = book.bearers()
    await bearers.actor(book.text)
    book.clock, book.fails = book.clock + KEPT_S, Overloaded("the database of records", "1024 reads wait")
    assert (await bearers.actor(book.text)).name == "ann"
    with pytest.raises(Overloaded):
        await book.bearers().actor(book.text)


def test_a_server_that_vanished_is_noticed_unless_the_url_says_otherwise(monkeypatch):
    given = []

    def engine(*_, connect_args, **__):
        given.append(connect_args)
        return Mock()

    monkeypatch.setattr("mesh.records.database.create_engine", engine)
    late_database("postgresql://mesh@db/records")
    late_database("postgresql://mesh@db/records?tcp_user_timeout=60000")
    ours, theirs = given
    assert (ours["tcp_user_timeout"], ours["keepalives"], ours["keepalives_idle"]) == (10_000, 1, 5)
    assert "tcp_user_timeout" not in theirs
