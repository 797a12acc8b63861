"""What the audit log promises, over SQLite and PostgreSQL alike."""

import hashlib
import itertools
import json
import subprocess
import sys

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from mesh.errors import InvalidConfig, InvalidInput
from mesh.records.audit_log import AuditLog
from mesh.records.database import Database, open_database
from mesh.records.entry import GENESIS, Actor, Change, Head, digest, document_of
from mesh.records.ports import AuditQuery
from mesh.records.token_table import TokenTable

ANN = Actor("ann", "analyst", "token:5f1c")
OTHERS = "at, actor, role, via, action, target, detail, prev, hash FROM audit_entries WHERE seq = 3"
OPERATOR = Actor("olu", "operator", "cli")


def log_of(database: Database, start: int = 1_000) -> AuditLog:
    times = itertools.count(start, 1_000)
    return AuditLog(database, lambda: next(times))


def add(database: Database, log: AuditLog, count: int) -> None:
    for number in range(count):
        who = ANN if number % 2 == 0 else OPERATOR
        with database.write() as session:
            log.append(
                session, Change(who, f"alerts.{('acknowledge', 'resolve')[number % 2]}", f"alert:{number}")
            )


def test_entries_are_chained_by_hash(database):
    log = log_of(database)
    with database.write() as session:
        first = log.append(
            session, Change(ANN, "alerts.acknowledge", "alert:5f1c", {"note": "größer", "n": 1.5})
        )
        second = log.append(session, Change(OPERATOR, "rules.apply", "rules:default"))
    assert (first.seq, first.prev, second.seq, second.prev) == (1, GENESIS, 2, first.hash)
    written = (
        '{"action":"alerts.acknowledge","actor":"ann","at":1000,"detail":{"n":1.5,"note":"größer"},'
        '"role":"analyst","seq":1,"target":"alert:5f1c","via":"token:5f1c"}'
    )
    assert document_of(first) == written
    assert first.hash == hashlib.sha256((GENESIS + written).encode()).hexdigest()
    assert log.head() == Head(2, second.hash)
    assert list(log.entries()) == [first, second]
    assert log.verify().whole


def test_a_change_that_fails_leaves_no_entry(database):
    log = log_of(database)

    def change() -> None:
        with database.write() as session:
            log.append(session, Change(ANN, "alerts.acknowledge", "alert:1"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        change()
    assert log.head() == Head()
    add(database, log, 1)
    assert log.head().seq == 1


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_entries SET actor = 'mallory' WHERE seq = 2",
        "DELETE FROM audit_entries WHERE seq = 3",
        "DELETE FROM audit_entries",
        f"INSERT INTO audit_entries SELECT 9, {OTHERS}",
        f"INSERT INTO audit_entries SELECT 4, {OTHERS}",
    ],
)
def test_the_database_refuses_what_is_no_addition(database, statement):
    log = log_of(database)
    add(database, log, 3)
    with pytest.raises(DBAPIError, match=r"append-only|does not follow"), database.write() as session:
        session.execute(text(statement))
    assert log.verify().whole
    assert log.verify().entries == 3


def test_replace_and_truncate_are_refused(database):
    log = log_of(database)
    add(database, log, 2)
    sqlite = database.engine.dialect.name == "sqlite"
    statement = (
        "INSERT OR REPLACE INTO audit_entries SELECT * FROM audit_entries WHERE seq = 1"
        if sqlite
        else "TRUNCATE audit_entries"
    )
    with pytest.raises(DBAPIError, match=r"append-only|does not follow"), database.write() as session:
        session.execute(text(statement))
    assert log.verify().entries == 2


def tampered(database: Database, *statements: str) -> None:
    """What somebody with all rights over the database can do: take the triggers away, write, put nothing back."""
    with database.write() as session:
        if database.engine.dialect.name == "sqlite":
            for name in ("no_update", "no_delete", "next"):
                session.execute(text(f"DROP TRIGGER audit_entries_{name}"))
        else:
            session.execute(text("ALTER TABLE audit_entries DISABLE TRIGGER ALL"))
        for statement in statements:
            session.execute(text(statement))


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE audit_entries SET actor = 'mallory' WHERE seq = 2", "entry 2 was changed"),
        ("UPDATE audit_entries SET at = at + 1 WHERE seq = 4", "entry 4 was changed"),
        ("UPDATE audit_entries SET hash = prev WHERE seq = 3", "entry 3 was changed"),
        ("DELETE FROM audit_entries WHERE seq = 3", "entry 4 stands where entry 3 belongs"),
        ("DELETE FROM audit_entries WHERE seq = 1", "entry 2 stands where entry 1 belongs"),
    ],
)
def test_verify_finds_what_got_past_the_triggers(database, statement, said):
    log = log_of(database)
    add(database, log, 5)
    tampered(database, statement)
    verdict = log.verify()
    assert not verdict.whole
    assert said in str(verdict.fault)


def test_a_rewrite_of_the_whole_chain_shows_only_against_a_published_head(database):
    log = log_of(database)
    add(database, log, 5)
    published = log.head()
    entries = [*log.entries()]
    rewritten, prev = [], GENESIS
    for entry in entries:
        name = "mallory" if entry.seq == 2 else entry.actor
        new = type(entry)(
            **{**{k: getattr(entry, k) for k in entry.__slots__}, "actor": name, "prev": prev, "hash": ""}
        )
        prev = digest(prev, document_of(new))
        rewritten.append((new.seq, name, new.prev, prev))
    update = "UPDATE audit_entries SET actor='{}', prev='{}', hash='{}' WHERE seq={}"
    tampered(database, *(update.format(*values, seq) for seq, *values in rewritten))
    assert log.verify().whole
    verdict = log.verify([published])
    assert verdict.at_seq == 5
    assert "rewritten" in str(verdict.fault)


def test_an_end_that_was_cut_off_shows_only_against_a_published_head(database):
    log = log_of(database)
    add(database, log, 5)
    published = log.head()
    tampered(database, "DELETE FROM audit_entries WHERE seq > 3")
    assert log.verify().whole
    assert "entries were cut off" in str(log.verify([published]).fault)


def test_pages_filter_and_go_on(database):
    log = log_of(database)
    add(database, log, 6)
    seqs = lambda **asked: [entry.seq for entry in log.page(AuditQuery(**asked))]  # noqa: E731
    assert seqs() == [6, 5, 4, 3, 2, 1]
    assert seqs(limit=2) == [6, 5]
    assert seqs(limit=2, before=5) == [4, 3]
    assert seqs(actor="ann") == [5, 3, 1]
    assert seqs(action="alerts.resolve") == [6, 4, 2]
    assert seqs(action="alerts.*", target="alert:2") == [3]
    assert seqs(action="al_rts.*") == []
    assert seqs(action="Alerts.*") == seqs(action="Alerts.resolve") == []
    assert seqs(action="*", target="alert:*") == seqs()
    assert seqs(since=2_000, until=4_000) == [3, 2]
    for limit in (0, 501):
        with pytest.raises(InvalidInput, match="limit"):
            log.page(AuditQuery(limit=limit))


def test_export_reads_in_pieces_and_from_a_place(database):
    log = log_of(database)
    with database.write() as session:
        for number in range(2_345):
            log.append(session, Change(ANN, "a.b", f"c:{number}"))
    assert [entry.seq for entry in log.entries()] == list(range(1, 2_346))
    assert [entry.seq for entry in log.entries(after=2_300)] == list(range(2_301, 2_346))


_WRITER = """
import sys
from mesh.records.audit_log import AuditLog
from mesh.records.database import open_database
from mesh.records.entry import Actor, Change
url, name, count = sys.argv[1:]
database = open_database(url)
log = AuditLog(database)
for number in range(int(count)):
    with database.write() as session:
        log.append(session, Change(Actor(name, "analyst", "cli"), "test.write", f"row:{number}"))
database.close()
"""


def test_processes_that_open_and_write_at_once_make_one_chain(database_url):
    """The first to come makes the tables; nobody's entry is lost and no two take one place."""
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", _WRITER, database_url, f"writer-{n}", "60"], stderr=subprocess.PIPE
        )
        for n in range(4)
    ]
    for writer in writers:
        _, said = writer.communicate(timeout=60)
        assert writer.returncode == 0, said.decode()[-2000:]
    database = open_database(database_url)
    log = AuditLog(database)
    verdict = log.verify()
    assert (verdict.whole, verdict.entries) == (True, 240)
    for n in range(4):
        mine = [entry.target for entry in log.entries() if entry.actor == f"writer-{n}"]
        assert mine == [f"row:{number}" for number in range(60)]
    database.close()


def test_a_database_of_a_newer_version_is_refused(database, database_url):
    with database.write() as session:
        session.execute(text("INSERT INTO alembic_version VALUES ('9999_later')"))
    with pytest.raises(InvalidConfig, match=r"newer version .9999_later.: update this one"):
        open_database(database_url)


def test_opening_again_changes_nothing(database, database_url):
    log = log_of(database)
    add(database, log, 2)
    again = open_database(database_url)
    assert AuditLog(again).head() == log.head()
    again.close()


def test_detail_comes_back_as_it_was(database):
    log = log_of(database)
    detail = {"b": [1, 2.5, None, True], "a": {"é": "\u2028 \x7f 😀 ' \" \\ \n"}, "big": 1e21}
    with database.write() as session:
        log.append(session, Change(ANN, "a.b", "c:d", detail))
    assert json.loads(log.page(AuditQuery())[0].detail) == detail
    assert log.verify().whole


@pytest.mark.postgres
def test_a_user_who_owns_nothing_can_only_add(postgres):
    """The rights that docs/audit.md recommends are enough, and keep the triggers from being taken away."""
    with postgres.database() as url:
        owner = open_database(url)
        name = f"writer_{url.rsplit('_', 1)[1]}"
        with owner.write() as session:
            session.execute(text(f"CREATE ROLE {name} LOGIN"))
            session.execute(text(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {name}"))
            session.execute(text(f"GRANT INSERT ON audit_entries TO {name}"))
            session.execute(text(f"GRANT INSERT, UPDATE ON api_tokens TO {name}"))
        written = open_database(url.replace("mesh@", f"{name}@"))
        log = log_of(written)
        add(written, log, 2)
        TokenTable(written, log).create(Actor("root", "admin", "cli"), "ann", "viewer")
        for statement in (
            "ALTER TABLE audit_entries DISABLE TRIGGER ALL",
            "DROP TRIGGER audit_entries_next ON audit_entries",
            "DELETE FROM audit_entries",
            "TRUNCATE audit_entries",
        ):
            with (
                pytest.raises(DBAPIError, match=r"must be owner|permission denied"),
                written.write() as session,
            ):
                session.execute(text(statement))
        assert log.verify().entries == 3
        written.close()
        with owner.write() as session:
            session.execute(text(f"DROP OWNED BY {name}"))
            session.execute(text(f"DROP ROLE {name}"))
        owner.close()
