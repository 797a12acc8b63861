"""`hyperstream review` against the mesh's own listener, over a database in a file."""

import asyncio
import json

import pytest
from typer.testing import CliRunner

from mesh.cli.app import app
from mesh.records.audit_log import AuditLog
from mesh.records.database import open_database
from mesh.records.ledger import AuditedLedger
from mesh.records.transactions import Transactions
from mesh.review.reviewing import reviewing
from mesh.review.signals import RecentSignals
from serve.api.review import review_router
from serve.api.review_case import Surroundings
from tests.fakes.callers import AsActor
from tests.fakes.echo_engine import EchoEngine
from tests.fakes.edge_server import EdgeServer
from tests.fakes.reviewing import NOW, candidate, key


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.delenv("MESH_TOKEN", raising=False)
    database = open_database(f"sqlite:///{tmp_path}/records.db")
    parts = reviewing(database, draw=lambda: 0.99)
    with database.write() as session:
        parts.intake.add(
            session, [candidate(1), candidate(2, severity="critical"), candidate(3, "audit")], NOW
        )

    async def routes():
        transactions = Transactions(database)
        ledger = AuditedLedger(transactions, AuditLog(database))
        around = Surroundings(RecentSignals(()), None, {}, parts.rules.urgency)
        return review_router(parts, around, ledger, transactions, lambda: NOW)

    edge = EdgeServer(
        EchoEngine({}),
        routers=[asyncio.run(routes())],
        guarded=lambda asked: AsActor(asked, "local", "operator", "local"),
    )

    def invoke(*words: str, fails: bool = False) -> str:
        done = CliRunner().invoke(app, ["review", *words, "--url", f"http://{edge.http}"])
        assert (done.exit_code == 0) is not fails, done.output
        return str(done.exception) if fails else done.stdout

    yield invoke
    edge.close()
    database.close()


def test_the_queue_a_decision_its_undo_and_the_figures(run):
    lines = run("queue").splitlines()
    assert [line.split()[0] for line in lines] == [key(2), key(1), key(3, "audit")]
    assert "audit/hidden" in lines[2]
    shown = run("next", "--as", "ann")
    assert key(2) in shown
    assert "held by ann" in shown
    assert "anomaly@3 answered" in shown
    assert "override normal" in run("decide", key(2), "override", "--reason", "sensor-fault", "--as", "ann")
    assert "needs one" in run("decide", key(1), "override", "--as", "ben", fails=True)
    assert "confirm anomaly" in run("decide", key(1), "confirm", "--as", "ben")
    assert "undo" in run("undo", key(1), "--as", "ben")
    assert "nobody picks" in run("decide", key(3, "audit"), "judge", "--label", "normal", fails=True)
    assert "override rate: " in run("stats")
    assert json.loads(run("stats", "--json"))["figures"]["waiting"] >= 2
