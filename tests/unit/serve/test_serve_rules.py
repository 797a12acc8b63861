"""`/mesh/rules` over a book in memory."""

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from mesh.errors import StoreAway
from mesh.records.memory_audit import MemoryLedger
from mesh.records.ports import AuditQuery
from mesh.rules.memory import memory_book
from serve.api.rules import rules_router
from serve.http.api import build_api
from serve.oip.inference import Inference
from serve.oip.ports import EndpointFacts, ServerFacts
from tests.fakes.callers import AsActor
from tests.fakes.echo_engine import EchoEngine

MODELS = "models:\n  a: {runtime: identity}\n  b: {runtime: identity}\n"
ROUTING = "routes:\n  - {name: r, when: always, send: [a]}\n"
OTHER = {"routes": [{"name": "r", "when": "always", "split": {"a": 99.99999, "b": 1e-05}}]}


LEDGER = MemoryLedger()


class Away:
    """A desk that does not answer."""

    async def current(self):
        raise StoreAway("the desk of rules", "gone")

    state = current

    async def propose(self, table, expected_version, actor):
        raise StoreAway("the desk of rules", "gone")


def client_of(book, role="operator") -> TestClient:
    inference = Inference(EchoEngine({}), ServerFacts("under-test", "9", {}), None, None)
    return TestClient(AsActor(build_api(inference, [rules_router(book, book, LEDGER)]), role=role))


@pytest.fixture
def client(tmp_path: Path) -> TestClient:
    (tmp_path / "models.yaml").write_text(MODELS)
    (tmp_path / "routing.yaml").write_text(ROUTING)
    return client_of(memory_book(tmp_path))


def test_the_rules_in_force_are_shown_with_their_texts(client):
    found = client.get("/mesh/rules").json()
    assert (found["routing"], found["models"], found["refused"]) == (ROUTING, MODELS, None)
    assert found["revision"]["version"] == 1


def test_a_change_may_be_text_or_an_object_and_can_be_gone_back_on(client):
    changed = client.put("/mesh/rules", json={"actor": "ann", "routing": OTHER, "expected_version": 1})
    assert changed.status_code == 200
    assert changed.json()["changed"]
    assert (changed.json()["revision"]["actor"], changed.json()["revision"]["source"]) == ("ann", "api")
    assert [one["version"] for one in client.get("/mesh/rules/history").json()] == [2, 1]
    first = client.get("/mesh/rules/1").json()
    back = client.put("/mesh/rules", json={"actor": "ann", "routing": first["routing"]}).json()
    assert back["revision"]["version"] == 3
    assert back["revision"]["tables"] == first["revision"]["tables"]


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ({}, 400, "give routing, models, or both"),
        ({"actor": "ann"}, 400, "give routing, models, or both"),
        ({"actor": "ann", "routing": "routes: ["}, 400, "not valid YAML"),
        ({"actor": "ann", "routing": {"routes": []}}, 400, "must not be empty"),
        ({"actor": "ann", "routing": ROUTING, "expected_version": 9}, 409, "expected version 9"),
        (
            {"actor": "ann", "models": MODELS + "  c: {runtime: onnx, path: no.onnx}\n"},
            400,
            "no.onnx does not",
        ),
    ],
)
def test_a_refusal_names_what_is_wrong_and_nothing_changes(client, change, status, said):
    reply = client.put("/mesh/rules", json=change)
    assert reply.status_code == status
    assert said in reply.json()["error"]
    assert client.get("/mesh/rules").json()["revision"]["version"] == 1


def test_a_version_that_is_not_kept_is_not_found(client):
    assert "there are: 1 to 1" in client.get("/mesh/rules/7").json()["error"]
    assert client.get("/mesh/rules/7").status_code == 404


def test_a_desk_that_is_away_is_503_with_a_time(client):
    away = client_of(Away())
    for reply in (away.get("/mesh/rules"), away.put("/mesh/rules", json={"actor": "a", "routing": ROUTING})):
        assert reply.status_code == 503
        assert int(reply.headers["retry-after"]) >= 1


def test_a_version_beside_others_is_reached_by_its_name_and_its_number():
    signatures = {"a": None, "a@2": None}
    facts = {"a": EndpointFacts("1"), "a@2": EndpointFacts("2")}
    inference = Inference(EchoEngine(signatures), ServerFacts("t", "9", facts))
    assert inference.ask("a", "2", default_id="i").endpoint == "a@2"
    assert inference.ask("a", "1", default_id="i").endpoint == "a"
    assert inference.ask("a@2", "", default_id="i").version == "2"
    metadata = TestClient(build_api(inference)).get("/v2/models/a/versions/2").json()
    assert (metadata["name"], metadata["versions"]) == ("a@2", ["2"])


def test_whoever_asks_is_logged_and_needs_the_role(tmp_path):
    (tmp_path / "models.yaml").write_text(MODELS)
    (tmp_path / "routing.yaml").write_text(ROUTING)
    book = memory_book(tmp_path)
    refused = client_of(book, role="analyst").put("/mesh/rules", json={"routing": OTHER})
    assert (refused.status_code, "operator" in refused.json()["error"]) == (403, True)
    assert client_of(book).put("/mesh/rules", json={"routing": OTHER}).json()["revision"]["actor"] == "ann"
    newest = LEDGER.audit.page(AuditQuery(limit=1))[0]
    assert (newest.actor, newest.role, newest.action, newest.target) == (
        "ann",
        "operator",
        "rules.propose",
        "rules",
    )
