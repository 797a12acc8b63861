"""`/alerts` over alerts in memory."""

import asyncio
from datetime import UTC, datetime

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from mesh.alerts import Budget, Policy
from mesh.errors import StoreAway
from mesh.records.memory_audit import MemoryAudit, MemoryLedger
from mesh.records.ports import AuditQuery
from mesh.stores.alerts import MemoryAlerts
from serve.api.alert_views import milliseconds, moment
from serve.api.alerts import alerts_router
from serve.http.api import build_api
from serve.oip.inference import Inference
from serve.oip.ports import ServerFacts
from tests.fakes.alert_events import BEGAN, opened
from tests.fakes.callers import AsActor
from tests.fakes.echo_engine import EchoEngine

NOW = BEGAN + 60_000


class AwayAlerts(MemoryAlerts):
    """A store that does not answer."""

    async def page(self, query):
        raise StoreAway("the alert store", "Redis at REDIS_URL: refused", 2.0)


def api(store: MemoryAlerts, ledger: MemoryLedger | None = None) -> FastAPI:
    inference = Inference(EchoEngine({}), ServerFacts("under-test", "9", {}), None, None)
    return build_api(inference, [alerts_router(store, ledger or MemoryLedger(), lambda: NOW)])


@pytest.fixture
def ledger() -> MemoryLedger:
    return MemoryLedger(MemoryAudit(lambda: NOW))


@pytest.fixture
def client(ledger: MemoryLedger) -> TestClient:
    store = MemoryAlerts(Policy(budget=Budget(600_000, 3)))
    asyncio.run(store.write([opened(n, "critical" if n == 1 else "warning", at=1_000 * n) for n in range(6)]))
    return TestClient(AsActor(api(store, ledger), "dana"))


def test_the_newest_come_first_and_pages_follow_the_cursor(client):
    first = client.get("/alerts", params={"limit": 3}).json()
    second = client.get("/alerts", params={"limit": 3, "cursor": first["cursor"]}).json()
    times = [alert["opened_at"] for alert in first["alerts"] + second["alerts"]]
    assert times == sorted(times, reverse=True)
    assert len(times) == 4  # three that stand alone, one digest
    assert second["cursor"] is None


def test_an_alert_is_shown_whole(client):
    (shown,) = client.get("/alerts", params={"severity": "critical"}).json()["alerts"]
    assert shown == client.get(f"/alerts/{shown['id']}").json()
    assert shown == {
        "id": opened(1).id,
        "state": "open",
        "severity": "critical",
        "rule": "hot",
        "asset": "pump-1",
        "key": "pump-1",
        "summary": "pump-1 is hot",
        "runbook": "docs/alerts.md",
        "since": "2025-11-24T16:00:01Z",
        "opened_at": "2025-11-24T16:00:01Z",
        "last_at": "2025-11-24T16:00:01Z",
        "cleared_at": None,
        "count": 1,
        "values": {"score": 0.9, "site": "north", "rul": None},
        "first_record": "raw-1-1",
        "acknowledged": None,
        "resolved": None,
        "groups": [],
        "cleared": 0,
    }


def test_a_digest_names_rules_keys_and_counts(client):
    (digest,) = client.get("/alerts", params={"rule": "digest"}).json()["alerts"]
    assert digest["groups"] == [{"rule": "hot", "count": 3, "keys": {"pump-3": 1, "pump-4": 1, "pump-5": 1}}]
    assert "past the budget of 3 in 10m" in digest["summary"]


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"asset": "pump-2"}, 1),
        ({"state": "resolved"}, 0),
        ({"since": "2025-11-24T16:00:02Z"}, 2),
        ({"since": "2025-11-24T17:00:02+01:00"}, 2),
        ({"since": "2025-11-24T16:00:02"}, 2),
        ({"state": "open", "rule": "hot", "severity": "warning"}, 2),
    ],
)
def test_filters(client, filters, found):
    assert len(client.get("/alerts", params=filters).json()["alerts"]) == found


def test_people_acknowledge_and_then_resolve(client):
    path = f"/alerts/{opened(1).id}"
    seen = client.post(f"{path}/ack", json={"actor": "ann", "note": "looking"}).json()
    assert seen["acknowledged"] == {"actor": "ann", "at": "2025-11-24T16:01:00Z", "note": "looking"}
    done = client.post(f"{path}/resolve", json={"actor": "bob"}).json()
    assert (done["state"], done["resolved"]["actor"], done["acknowledged"]["actor"]) == (
        "resolved",
        "bob",
        "ann",
    )
    again = client.post(f"{path}/resolve", json={"actor": "bob"})
    assert (again.status_code, again.json()) == (200, done)


def test_each_act_is_logged_before_it_is_done_and_so_is_its_failure(client, ledger):
    path = f"/alerts/{opened(1).id}"
    client.post(f"{path}/resolve", json={"actor": "bob", "note": "valve"})
    client.post(f"{path}/ack", json={})
    client.post("/alerts/nope/ack", json={})
    entries = ledger.audit.page(AuditQuery())[::-1]
    assert [(entry.actor, entry.via, entry.action, entry.target) for entry in entries] == [
        ("bob", "local", "alerts.resolve", f"alert:{opened(1).id}"),
        ("dana", "local", "alerts.acknowledge", f"alert:{opened(1).id}"),
        ("dana", "local", "alerts.acknowledge.failed", f"alert:{opened(1).id}"),
    ]
    assert entries[0].detail == '{"note":"valve"}'
    assert '"entry":2,"reason":"alert' in entries[2].detail


def test_a_token_speaks_for_its_own_name_only(ledger):
    store = MemoryAlerts(Policy(budget=Budget(600_000, 3)))
    asyncio.run(store.write([opened(1)]))
    client = TestClient(AsActor(api(store, ledger), "ann", "analyst", "token:5f1c"))
    path = f"/alerts/{opened(1).id}/ack"
    reply = client.post(path, json={"actor": "bob"})
    assert (reply.status_code, reply.json()["error"][:32]) == (400, "actor: the token is of 'ann'; le")
    assert client.post(path, json={"actor": "ann"}).json()["acknowledged"]["actor"] == "ann"
    assert client.post(path, json={}).status_code == 200


@pytest.mark.parametrize(("role", "status"), [(None, 401), ("viewer", 403), ("analyst", 200), ("admin", 200)])
def test_acting_takes_an_analyst(role, status):
    store = MemoryAlerts(Policy(budget=Budget(600_000, 3)))
    asyncio.run(store.write([opened(1)]))
    client = TestClient(AsActor(api(store), role and "ann", role or "viewer", "token:5f1c"))
    reply = client.post(f"/alerts/{opened(1).id}/ack", json={})
    assert reply.status_code == status
    if status == 401:
        assert "Authorization: Bearer TOKEN" in reply.json()["error"]
        assert reply.headers["www-authenticate"].startswith("Bearer")


def test_a_step_that_the_state_does_not_allow_says_the_state(client):
    path = f"/alerts/{opened(1).id}"
    client.post(f"{path}/resolve", json={"actor": "ann"})
    reply = client.post(f"{path}/ack", json={"actor": "bob"})
    assert reply.status_code == 409
    assert reply.json() == {"error": f"alert '{opened(1).id}' is resolved: it takes no 'acknowledge'"}


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("POST", "/ack"), ("POST", "/resolve")])
def test_an_alert_that_is_not_there_is_named(client, method, path):
    reply = client.request(method, f"/alerts/nope{path}", json={"actor": "ann"})
    assert reply.status_code == 404
    assert "'nope'" in reply.json()["error"]


@pytest.mark.parametrize(
    ("query", "named"),
    [("limit=0", "limit"), ("limit=201", "limit"), ("state=closed", "state"), ("severity=high", "severity"),
     ("since=soon", "since"), ("cursor=x", "cursor")],
)  # fmt: skip
def test_a_wrong_parameter_is_named(client, query, named):
    reply = client.get(f"/alerts?{query}")
    assert reply.status_code == 400
    assert named in reply.json()["error"]


@pytest.mark.parametrize(
    "body", [{"actor": ""}, {"actor": 5}, {"actor": "a" * 129}, {"actor": "a", "note": "n" * 2_001}, []]
)
def test_an_act_without_a_proper_actor_is_refused(client, body):
    reply = client.post(f"/alerts/{opened(1).id}/ack", json=body)
    assert reply.status_code == 400
    assert client.get(f"/alerts/{opened(1).id}").json()["state"] == "open"


def test_a_store_that_is_away_asks_to_try_again():
    reply = TestClient(api(AwayAlerts())).get("/alerts")
    assert (reply.status_code, reply.headers["retry-after"]) == (503, "2")
    assert reply.json() == {"error": "the alert store does not answer: Redis at REDIS_URL: refused"}


def test_the_routes_are_documented(client):
    paths = client.get("/openapi.json").json()["paths"]
    assert {"/alerts", "/alerts/{alert}", "/alerts/{alert}/ack", "/alerts/{alert}/resolve"} <= paths.keys()
    assert set(paths["/alerts/{alert}/ack"]["post"]["responses"]) == {
        "200",
        "400",
        "401",
        "403",
        "404",
        "408",
        "409",
        "411",
        "413",
        "503",
    }


@pytest.mark.parametrize("ms", [0, 1, 1_764_000_000_123, 4_102_444_800_999])
def test_times_keep_their_milliseconds(ms):
    assert milliseconds(moment(ms)) == ms
    assert milliseconds(datetime.fromtimestamp(ms // 1_000, UTC).replace(tzinfo=None)) == ms // 1_000 * 1_000
