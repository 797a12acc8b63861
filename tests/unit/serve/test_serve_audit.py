"""`/audit` over a log in SQLite."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from mesh.records.audit_log import AuditLog
from mesh.records.database import late_database, open_database
from mesh.records.entry import Actor, Change
from mesh.records.transactions import Transactions
from serve.api.audit import audit_router
from serve.http.api import build_api
from serve.oip.inference import Inference
from serve.oip.ports import ServerFacts
from tests.fakes.callers import AsActor
from tests.fakes.echo_engine import EchoEngine


def api(log: AuditLog, transactions: Transactions, name: str | None = "vera") -> TestClient:
    inference = Inference(EchoEngine({}), ServerFacts("t", "9", {}))
    app = build_api(inference, [audit_router(log, transactions)])
    return TestClient(AsActor(app, name, "viewer", "token:5f1c"))


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[tuple[AuditLog, Transactions]]:
    database = open_database(f"sqlite:///{tmp_path}/records.db")
    times = iter(range(1_764_000_000_000, 1_764_000_100_000, 1_000))
    log = AuditLog(database, lambda: next(times))
    with database.write() as session:
        for number in range(7):
            who = Actor(("ann", "bob")[number % 2], "analyst", "token:5f1c")
            log.append(session, Change(who, "alerts.resolve", f"alert:{number}", {"note": f"n{number}"}))
    transactions = Transactions(database)
    yield log, transactions
    asyncio.run(transactions.close())


def test_pages_are_newest_first_and_follow_the_cursor(parts):
    client = api(*parts)
    seen, cursor = [], None
    while True:
        page = client.get("/audit", params={"limit": 3, **({"cursor": cursor} if cursor else {})}).json()
        seen += [entry["seq"] for entry in page["entries"]]
        cursor = page["cursor"]
        if cursor is None:
            break
    assert seen == [7, 6, 5, 4, 3, 2, 1]


def test_an_entry_is_shown_whole_and_not_kept_by_caches(parts):
    reply = api(*parts).get("/audit", params={"target": "alert:1"})
    (entry,) = reply.json()["entries"]
    stored = next(one for one in parts[0].entries() if one.seq == 2)
    assert entry == {
        "seq": 2, "at": "2025-11-24T16:00:01Z", "actor": "bob", "role": "analyst", "via": "token:5f1c",
        "action": "alerts.resolve", "target": "alert:1", "detail": {"note": "n1"},
        "prev": stored.prev, "hash": stored.hash,
    }  # fmt: skip
    assert reply.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("filters", "found"),
    [({"actor": "ann"}, 4), ({"action": "alerts.*"}, 7), ({"action": "rules.*"}, 0), ({"since": "2025-11-24T16:00:05Z"}, 2),
     ({"until": "2025-11-24T16:00:02Z", "actor": "bob"}, 1), ({"since": "2025-11-24T16:00:05.0001Z"}, 1),
     ({"until": "2025-11-24T16:00:02.0001Z"}, 3), ({"since": "2025-11-24T17:00:05+01:00"}, 2), ({"since": "2025-11-24"}, 7)],
)  # fmt: skip
def test_filters(parts, filters, found):
    assert len(api(*parts).get("/audit", params=filters).json()["entries"]) == found


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("cursor=x", "cursor"),
        ("since=soon", "since"),
        ("actor=a%00b", "actor"),
        ("target=%00*", "target"),
        ("since=1764000005", "since"),
        ("until=1764000005000", "until"),
        ("actor=", "actor"),
    ],
)
def test_a_wrong_parameter_is_named(parts, query, named):
    reply = api(*parts).get(f"/audit?{query}")
    assert (reply.status_code, named in reply.json()["error"]) == (400, True)


def test_whether_it_is_whole(parts):
    verdict = api(*parts).get("/audit/verify").json()
    head = parts[0].head()
    assert verdict == {
        "whole": True, "entries": 7, "head_seq": 7, "head_hash": head.hash, "fault": None, "at_seq": None,
    }  # fmt: skip


@pytest.mark.parametrize("path", ["/audit", "/audit/verify"])
def test_nobody_reads_it_without_a_name(parts, path):
    assert api(*parts, name=None).get(path).status_code == 401


def test_a_database_that_is_away_asks_to_try_again(tmp_path):
    (tmp_path / "file").write_text("")
    database = late_database(f"sqlite:///{tmp_path}/file/records.db")
    transactions = Transactions(database)
    reply = api(AuditLog(database), transactions).get("/audit")
    assert (reply.status_code, reply.headers["retry-after"]) == (503, "1")
    assert "MESH_DATABASE_URL names another place" in reply.json()["error"]
    asyncio.run(transactions.close())
