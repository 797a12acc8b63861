"""What API tokens promise, over SQLite and PostgreSQL alike."""

import re

import pytest
from sqlalchemy import text

from mesh.errors import Forbidden, NotFound
from mesh.records.audit_log import AuditLog
from mesh.records.database import Database
from mesh.records.entry import Actor
from mesh.records.ports import AuditQuery
from mesh.records.token_table import TokenTable
from mesh.records.tokens import parts

ROOT = Actor("root", "admin", "cli")


@pytest.fixture
def log(database: Database) -> AuditLog:
    return AuditLog(database)


@pytest.fixture
def tokens(database: Database, log: AuditLog) -> TokenTable:
    times = iter(range(1_000, 100_000, 1_000))
    return TokenTable(database, log, lambda: next(times))


def test_a_token_is_found_by_its_id_and_its_secret_is_nowhere(database, tokens):
    minted = tokens.create(ROOT, "ann", "analyst", 90_000)
    assert tokens.find(minted.token.id) == minted.token
    assert tokens.find("0" * 12) is None
    _, secret = parts(minted.text)
    with database.read() as session:
        for table in ("api_tokens", "audit_entries"):
            rows = session.execute(text(f"SELECT * FROM {table}")).all()  # noqa: S608
            assert secret not in repr(rows)


def test_giving_and_taking_is_logged(tokens, log):
    token = tokens.create(ROOT, "ann", "analyst").token
    ended = tokens.revoke(ROOT, token.id)
    assert (ended.revoked_at, tokens.find(token.id)) == (2_000, ended)
    assert tokens.revoke(ROOT, token.id) == ended  # again: nothing changes, nothing is logged
    taken, given = log.page(AuditQuery())
    assert (given.action, taken.action) == ("tokens.create", "tokens.revoke")
    assert {given.target, taken.target} == {f"token:{token.id}"}
    assert given.detail == '{"expires_at":null,"name":"ann","role":"analyst"}'
    assert log.verify().whole


def test_the_newest_come_first(tokens):
    names = ["ann", "bob", "cleo"]
    for name in names:
        tokens.create(ROOT, name, "viewer")
    assert [token.actor for token in tokens.tokens()] == names[::-1]


def test_it_takes_an_admin(tokens, log):
    token = tokens.create(ROOT, "ann", "operator").token
    ann = Actor("ann", "operator", f"token:{token.id}")
    with pytest.raises(Forbidden, match="needs the role admin"):
        tokens.create(ann, "bob", "viewer")
    with pytest.raises(Forbidden, match="needs the role admin"):
        tokens.revoke(ann, token.id)
    assert log.head().seq == 1


def test_one_that_is_not_there_is_said(tokens):
    with pytest.raises(NotFound, match=re.escape("no token 'nope'; hyperstream token list")):
        tokens.revoke(ROOT, "nope")
