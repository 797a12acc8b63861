"""`hyperstream alerts` against the mesh's own listener, over alerts in memory."""

import json
import threading
import time
import urllib.request
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

from mesh.alerts import Budget, Policy
from mesh.cli.app import app
from mesh.cli.watched_assets import WatchedAssets
from mesh.errors import MeshError
from mesh.records.bearer import Bearers
from mesh.records.memory_audit import MemoryLedger
from mesh.records.tokens import Token, mint
from mesh.stores.alerts import AlertPage, AlertQuery, MemoryAlerts, RedisAlerts
from serve.access.gate import Gate
from serve.access.guard import App, Guard
from serve.api.alerts import alerts_router
from tests.fakes.alert_events import opened
from tests.fakes.echo_engine import EchoEngine
from tests.fakes.edge_server import EdgeServer


class Looked(MemoryAlerts):
    """Tells that somebody has read a page of it."""

    def __init__(self, policy: Policy) -> None:
        super().__init__(policy)
        self.looked = threading.Event()

    async def page(self, query: AlertQuery) -> AlertPage:
        found = await super().page(query)
        self.looked.set()
        return found


class Mesh:
    """The edges on ports of their own, with six alerts."""

    def __init__(self) -> None:
        self.store = Looked(Policy(budget=Budget(600_000, 100)))
        self.ledger = MemoryLedger()
        self.minted = mint("ann", "analyst", "root", 0)
        routers = [alerts_router(self.store, self.ledger)]
        self._edge = EdgeServer(EchoEngine({}), routers=routers, guarded=self._guarded)
        self._edge.run(self.store.write([opened(n, at=1_000 * n) for n in range(6)]))
        self.url = f"http://{self._edge.http}"

    def _guarded(self, app: App) -> Guard:
        async def find(identifier: str) -> Token | None:
            return self.minted.token if identifier == self.minted.token.id else None

        return Guard(app, Gate(Bearers(find), "local", "dana"), listener_local=True)

    def __call__(self, *words: str) -> str:
        done = CliRunner().invoke(app, ["alerts", *words, "--url", self.url], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.stdout

    def acknowledge(self, alert: str) -> None:
        self._edge.run(self.store.act(alert, "acknowledge", "ann", 0))

    def close(self) -> None:
        self._edge.close()


@pytest.fixture
def mesh() -> Iterator[Mesh]:
    mesh = Mesh()
    yield mesh
    mesh.close()


def test_a_list_is_newest_first_and_goes_on_at_its_cursor(mesh):
    lines = [json.loads(line) for line in mesh("list", "--json", "--limit", "4").splitlines()]
    assert [line["asset"] for line in lines] == ["pump-5", "pump-4", "pump-3", "pump-2"]
    done = CliRunner().invoke(app, ["alerts", "list", "--limit", "4", "--url", mesh.url])
    cursor = done.stderr.split()[-1]
    rest = mesh("list", "--json", "--cursor", cursor).splitlines()
    assert [json.loads(line)["asset"] for line in rest] == ["pump-1", "pump-0"]


def test_filters_reach_the_api(mesh):
    assert "pump-3 is hot" in mesh("list", "--asset", "pump-3", "--state", "open", "--rule", "hot")
    assert mesh("list", "--severity", "critical") == ""
    assert len(mesh("list", "--since", "2025-11-24T16:00:04Z").splitlines()) == 2


def test_acknowledge_and_resolve(mesh):
    alert = opened(2, at=2_000).id
    assert "acknowledged by ann" in mesh("ack", alert, "--as", "ann", "--note", "looking")
    done = json.loads(mesh("resolve", alert, "--as", "bob", "--json"))
    assert (done["state"], done["acknowledged"]["note"]) == ("resolved", "looking")
    with pytest.raises(MeshError, match="is resolved: it takes no 'acknowledge'"):
        mesh("ack", alert, "--as", "cleo")
    with pytest.raises(MeshError, match="there is no alert 'nope'"):
        mesh("ack", "nope")


def test_a_token_says_who_acts(mesh, monkeypatch):
    alert = opened(3, at=3_000).id
    monkeypatch.setenv("MESH_TOKEN", mesh.minted.text)
    assert "acknowledged by ann" in mesh("ack", alert)
    with pytest.raises(MeshError, match="the token is of 'ann'"):
        mesh("resolve", alert, "--as", "bob")
    monkeypatch.setenv("MESH_TOKEN", "hsm_0123456789ab_" + "x" * 43)
    with pytest.raises(MeshError, match="the token is not known here"):
        mesh("resolve", alert)
    assert [entry.via for entry in mesh.ledger.audit.entries()] == [f"token:{mesh.minted.token.id}"]


def test_watch_shows_what_is_there_and_then_what_changes(mesh):
    def change() -> None:
        if mesh.store.looked.wait(120):
            time.sleep(0.5)  # what was read is on its way
            mesh.acknowledge(opened(0).id)

    changing = threading.Thread(target=change)
    changing.start()
    lines = mesh("watch", "--limit", "7").splitlines()
    changing.join()
    assert [line.split("  ")[2] for line in lines] == ["open"] * 6 + ["acknowledged by ann"]


def test_a_store_that_is_away_is_said_and_takes_nothing_else_with_it():
    away = RedisAlerts("redis://127.0.0.1:9/0")
    edge = EdgeServer(EchoEngine({}), routers=[alerts_router(away, MemoryLedger())])
    began = time.monotonic()
    words = ["alerts", "list", "--url", f"http://{edge.http}"]
    with pytest.raises(MeshError, match="the alert store does not answer: Redis at REDIS_URL"):
        CliRunner().invoke(app, words, catch_exceptions=False)
    assert time.monotonic() - began < 5
    with urllib.request.urlopen(f"http://{edge.http}/healthz", timeout=60) as reply:
        assert reply.status == 200
    edge.run(away.close())
    edge.close()


def test_a_mesh_that_is_not_there_is_said():
    with pytest.raises(MeshError, match=r"nothing answers at http://127\.0\.0\.1:9"):
        CliRunner().invoke(app, ["alerts", "list", "--url", "http://127.0.0.1:9"], catch_exceptions=False)


def test_machines_with_alerts_that_are_not_over_are_watched_also_while_nobody_answers(mesh, monkeypatch):
    told, now = [], [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    watched = WatchedAssets(mesh.url, told.append)
    assert watched() == {f"pump-{n}" for n in range(6)}
    mesh("resolve", json.loads(mesh("list", "--json", "--asset", "pump-3"))["id"])
    assert "pump-3" in watched()  # at most one look a second
    now[0] = 1.5
    assert watched() == {f"pump-{n}" for n in (0, 1, 2, 4, 5)}
    nobody = WatchedAssets("http://127.0.0.1:1", told.append)
    for now[0] in (3.0, 20.0):
        assert nobody() == frozenset()
    assert len(told) == 1
    assert "which alerts are open is not known" in told[0]
