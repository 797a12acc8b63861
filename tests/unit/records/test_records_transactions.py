"""Changes that wait share a commit, fail alone, and are bounded."""

import asyncio
import threading
import time
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from sqlalchemy import text

from mesh.errors import InvalidInput, Overloaded, StoreAway
from mesh.records.audit_log import AuditLog
from mesh.records.database import Database, open_database
from mesh.records.entry import Actor, Change
from mesh.records.ledger import AuditedLedger
from mesh.records.ports import AuditQuery
from mesh.records.transactions import Transactions
from tests.fakes.waiting import eventually

ANN = Actor("ann", "analyst", "cli")


@pytest.fixture
def database(tmp_path) -> Database:
    return open_database(f"sqlite:///{tmp_path}/records.db")


class Gate:
    """The work of a change that is at it until it is let go on."""

    def __init__(self, first=lambda _session: None) -> None:
        self._first, self._begun, self._opened = first, threading.Event(), threading.Event()

    def __call__(self, session):
        self._first(session)
        self._begun.set()
        return self._opened.wait(60)

    async def begun(self) -> None:
        await eventually(self._begun.is_set)

    def open(self) -> None:
        self._opened.set()


def rows(session, n):
    session.execute(text("CREATE TABLE IF NOT EXISTS things (n INTEGER)"))
    session.execute(text("INSERT INTO things VALUES (:n)"), {"n": n})
    return n


async def test_one_that_fails_takes_no_neighbour_with_it(database):
    transactions = Transactions(database)
    ledger = AuditedLedger(transactions, AuditLog(database))
    gate = Gate()
    blocking = asyncio.ensure_future(transactions.write(gate))  # so that the others wait together
    await gate.begun()

    def change(n):
        def work(session):
            rows(session, n)
            if n == 2:
                raise InvalidInput("n", "is two")
            return n, Change(ANN, "things.add", f"thing:{n}")

        return ledger.change(work)

    changes = [asyncio.ensure_future(change(n)) for n in range(5)]
    await asyncio.sleep(0)
    gate.open()
    await blocking
    found = await asyncio.gather(*changes, return_exceptions=True)
    assert [one for one in found if isinstance(one, int)] == [0, 1, 3, 4]
    assert isinstance(found[2], InvalidInput)
    with database.read() as session:
        assert session.scalars(text("SELECT n FROM things ORDER BY n")).all() == [0, 1, 3, 4]
    log = AuditLog(database)
    assert [entry.target for entry in log.page(AuditQuery())] == ["thing:4", "thing:3", "thing:1", "thing:0"]
    assert log.verify().whole
    await transactions.close()


async def test_what_is_outside_is_logged_first_and_its_failure_after(database):
    log = AuditLog(database)
    counted = []
    transactions = Transactions(database)
    ledger = AuditedLedger(transactions, log, counted.append)

    async def act():
        assert log.head().seq == 1
        raise InvalidInput("alert", "is gone")

    with pytest.raises(InvalidInput):
        await ledger.outside(Change(ANN, "alerts.resolve", "alert:1"), act)
    failed, asked = log.page(AuditQuery())
    assert (asked.action, failed.action) == ("alerts.resolve", "alerts.resolve.failed")
    assert failed.detail == '{"entry":1,"reason":"alert: is gone"}'
    assert counted == [asked, failed]
    await transactions.close()


async def test_one_too_many_is_refused_and_what_waits_is_finished_at_the_end(database):
    transactions = Transactions(database, waiting=2)
    gate = Gate()
    first = asyncio.ensure_future(transactions.write(gate))
    await gate.begun()
    waiting = [asyncio.ensure_future(transactions.write(lambda s, n=n: rows(s, n))) for n in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded, match="2 changes wait"):
        await transactions.write(lambda s: rows(s, 9))
    waiting[0].cancel()
    gate.open()
    await transactions.close()
    assert await first
    assert await waiting[1] == 1
    with pytest.raises(Overloaded, match="being closed"):
        await transactions.write(lambda s: rows(s, 9))
    with pytest.raises(Overloaded, match="being closed"):
        await transactions.read(lambda: 1)


async def test_reads_run_beside_writes(database):
    log = AuditLog(database)
    transactions = Transactions(database)
    gate = Gate(lambda session: log.append(session, Change(ANN, "a.b", "c:1")))
    writing = asyncio.ensure_future(transactions.write(gate))
    await gate.begun()
    assert await asyncio.wait_for(transactions.read(log.head), 20) == log.head()
    assert log.head().seq == 0  # not committed
    gate.open()
    await writing
    assert log.head().seq == 1
    await transactions.close()


async def together(transactions, works):
    """What comes of changes that waited together behind another one."""
    gate = Gate()
    blocking = asyncio.ensure_future(transactions.write(gate))
    await gate.begun()
    waiting = [asyncio.ensure_future(transactions.write(work)) for work in works]
    await asyncio.sleep(0)
    gate.open()
    await blocking
    return await asyncio.gather(*waiting, return_exceptions=True)


async def test_a_database_that_is_away_is_asked_once_for_all_that_wait(database, monkeypatch):
    transactions = Transactions(database)
    begun, begin = [], database.write

    @contextmanager
    def away():
        begun.append(1)
        if len(begun) > 1:
            raise StoreAway("the database of records", "database is locked")
        with begin() as session:
            yield session

    monkeypatch.setattr(database, "write", away)
    found = await together(transactions, [lambda _: 1] * 16)
    assert {type(one) for one in found} == {StoreAway}
    assert len(begun) == 2
    await transactions.close()


async def test_a_commit_whose_answer_is_lost_is_not_done_again(database, monkeypatch):
    transactions = Transactions(database)
    begun, begin = [], database.write

    @contextmanager
    def lossy():
        begun.append(1)
        with begin() as session:
            yield session
        if len(begun) > 1:
            raise StoreAway("the database of records", "the connection broke during COMMIT")

    monkeypatch.setattr(database, "write", lossy)
    found = await together(transactions, [lambda session, n=n: rows(session, n) for n in range(4)])
    assert {type(one) for one in found} == {StoreAway}
    with database.read() as session:
        assert session.scalars(text("SELECT n FROM things ORDER BY n")).all() == [0, 1, 2, 3]
    await transactions.close()


async def test_one_that_waited_too_long_is_refused_and_not_done(database, monkeypatch):
    later_s, done, gate = [0.0], [], Gate()
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + later_s[0])
    monkeypatch.setattr("mesh.records.transactions.time", clock)
    transactions = Transactions(database, wait_s=60)
    first = asyncio.ensure_future(transactions.write(gate))
    await gate.begun()
    late = asyncio.ensure_future(transactions.write(lambda _: done.append(1)))
    await asyncio.sleep(0)
    later_s[0] = 61.0
    gate.open()
    with pytest.raises(StoreAway, match="the changes before this one took 60 s"):
        await late
    await first
    later_s[0] = 0.0
    assert await transactions.write(lambda _: 7) == 7
    assert done == []
    await transactions.close()


def test_a_file_that_is_no_database_is_away(tmp_path):
    (tmp_path / "records.db").write_bytes(b"garbage" * 2_000)
    with pytest.raises(StoreAway, match="not a database"):
        open_database(f"sqlite:///{tmp_path}/records.db")
