"""`/review` and `/labels` over a database in a file, as its clients see them."""

import asyncio

import numpy as np
import pytest
from fastapi.testclient import TestClient

from mesh.records.audit_log import AuditLog
from mesh.records.database import open_database
from mesh.records.ledger import AuditedLedger
from mesh.records.times import WAIT_S
from mesh.records.transactions import Transactions
from mesh.review.reviewing import reviewing
from mesh.review.signals import RecentSignals
from mesh.stores.alerts import MemoryAlerts
from serve.api.review import ReviewRoutes, review_router
from serve.api.review_bodies import Decide, DecideBulk
from serve.api.review_case import Surroundings
from serve.http.api import build_api
from serve.oip.inference import Inference
from serve.oip.ports import ServerFacts
from serve.rollout_reviews import SETTLED_MS
from tests.fakes.callers import AsActor
from tests.fakes.echo_engine import EchoEngine
from tests.fakes.reviewing import ANN, NOW, candidate, key

NAMES = ("temp.mean", "temp.std", "flow.mean")


class Api:
    """The routes, asked by whoever a test names."""

    def __init__(self, folder, draw=lambda: 0.99) -> None:
        self.database = open_database(f"sqlite:///{folder}/records.db")
        self.log = AuditLog(self.database)
        self.signals = RecentSignals(NAMES)
        self.parts = reviewing(self.database, draw=draw)
        around = Surroundings(self.signals, MemoryAlerts(), {"hot": "score >= 0.8"}, self.parts.rules.urgency)
        transactions = Transactions(self.database)
        router = review_router(
            self.parts, around, AuditedLedger(transactions, self.log), transactions, lambda: NOW
        )
        inference = Inference(EchoEngine({}), ServerFacts("under-test", "9", {}), None, None)
        self.app = build_api(inference, [router])

    def by(self, name: str = "ann", role="analyst") -> TestClient:
        return TestClient(AsActor(self.app, name, role, "http"))

    def add(self, *candidates) -> None:
        with self.database.write() as session:
            self.parts.intake.add(session, candidates, NOW)

    def actions(self) -> list[str]:
        return [entry.action for entry in self.log.entries()]


@pytest.fixture
def api(tmp_path) -> Api:
    return Api(tmp_path)


def test_next_shows_all_that_is_needed_to_decide(api):
    for n in range(60):
        api.signals.add("pump-1", NOW - 60_000 + 1_000 * n, np.array([50 + n % 3, 1.0, 9.0]))
    api.signals.add("pump-1", NOW + 5_000, np.array([90.0, 1.0, np.nan]))
    api.add(
        candidate(
            1, row_time=NOW, names=NAMES, features=(80.0, 1.0, 9.0), alert="", alert_rule="hot", summary="hot"
        )
    )
    shown = api.by().post("/review/next").json()
    assert (shown["item"]["id"], shown["item"]["held_by"], shown["blind"]) == (key(1), "ann", False)
    assert shown["item"]["prediction"]["model"] == "anomaly"
    assert shown["explain"] == [
        "anomaly@3 answered on route 'hybrid' as primary under rules 5f1c9a",
        "its score is 0.9, the threshold is 0.8",
        "its confidence is 0.600",
        "alert rule 'hot' holds: score >= 0.8",
    ]
    assert (shown["moved"][0]["name"], shown["moved"][0]["value"]) == ("temp.mean", 80.0)
    assert set(shown["signal"]["series"]) == set(NAMES)
    assert (len(shown["signal"]["times"]), shown["signal"]["series"]["flow.mean"][-1]) == (61, None)
    assert set(shown["evidence"]["parts"]) >= {"signal", "moved", "explain", "prediction"}
    assert shown["missing"] == []


def test_a_decision_keeps_the_evidence_and_leaves_the_queue(api):
    api.add(candidate(1))
    client = api.by()
    shown = client.post("/review/next").json()
    said = {"action": "override", "reason": "sensor-fault", "evidence": shown["evidence"], "tags": ["probe"]}
    done = client.post(f"/review/items/{key(1)}/decide", json=said)
    assert done.status_code == 200
    assert (done.json()["decision"]["before"], done.json()["decision"]["after"]) == ("anomaly", "normal")
    (kept,) = api.parts.cases.get(key(1), ANN).decisions
    assert kept.evidence == shown["evidence"]
    assert client.post("/review/next").status_code == 204
    undone = client.post(f"/review/items/{key(1)}/undo").json()
    assert undone["decision"]["undo_of"] == done.json()["decision"]["id"]
    assert client.get("/review/queue").json()["waiting"] == 1
    assert api.actions() == ["review.lease", "review.override", "review.undo"]


def test_every_changing_call_is_in_the_audit_log(api):
    api.add(*(candidate(n) for n in range(3)), candidate(9, asset="pump-0"))
    client = api.by(role="operator")
    incident = client.get(f"/review/items/{key(0)}").json()["item"]["incident"]
    client.post(f"/review/items/{key(1)}/lease")
    client.post(f"/review/items/{key(1)}/release")
    client.post("/review/next")
    bulk = client.post("/review/bulk", json={"incident": incident, "action": "confirm"}).json()
    client.post(f"/review/bulk/{bulk['id']}/undo")
    assert len(bulk["decided"]) == 2
    assert api.actions() == [
        "review.lease", "review.release", "review.lease", "review.bulk", "review.undo_bulk",
    ]  # fmt: skip
    assert api.log.verify().whole


def test_nothing_of_the_prediction_reaches_who_must_judge_blind(tmp_path):
    api = Api(tmp_path, draw=lambda: 0.0)
    api.add(
        candidate(1, "audit", alert="a1", alert_rule="hot", summary="secret", severity="critical", twice=True)
    )
    client = api.by()
    listed = client.get("/review/queue").text
    shown = client.post("/review/next")
    for text in (listed, shown.text):
        for secret in ("secret", "hot", "0.9", "critical", "a1", "hybrid", "0.1"):
            assert f'"{secret}"' not in text
            assert f":{secret}," not in text
    assert (shown.json()["blind"], shown.json()["item"]["prediction"]) == (True, None)
    refused = client.post(f"/review/items/{key(1, 'audit')}/decide", json={"action": "confirm"})
    assert (refused.status_code, "use 'judge'" in refused.json()["error"]) == (400, True)
    tagged = client.post(f"/review/items/{key(1, 'audit')}/decide", json={"action": "tag", "tags": ["x"]})
    assert tagged.json()["item"]["prediction"] is None
    assert tagged.json()["decision"]["before"] is None
    judged = client.post(
        f"/review/items/{key(1, 'audit')}/decide", json={"action": "judge", "label": "normal"}
    ).json()
    assert (judged["decision"]["action"], judged["item"]["prediction"]["label"]) == ("override", "anomaly")
    assert api.by("ben").get(f"/review/items/{key(1, 'audit')}").json()["decisions"] == []


WRONG = [
    ({"action": "confirm", "label": "normal"}, "label: 'normal' is not what was predicted"),
    ({"action": "override"}, "reason: an override needs one"),
    ({"action": "override", "reason": "other"}, "note: say what it is"),
    ({"action": "judge"}, "label: say which: anomaly or normal"),
    ({"action": "tag"}, "tags: name at least one"),
    ({"action": "skip", "label": "normal"}, "label: leave it out"),
    ({"action": "dance"}, "action"),
    ({"action": "confirm", "actor": "ben"}, "actor: the token is of 'ann'"),
]


def test_a_wrong_decision_names_the_field_and_the_fix(api):
    api.add(candidate(1))
    client = api.by()
    client.post("/review/next")
    for body, words in WRONG:
        refused = client.post(f"/review/items/{key(1)}/decide", json=body)
        assert (refused.status_code, words in refused.json()["error"]) == (400, True), refused.text


def test_who_may_not_is_refused(api):
    api.add(candidate(1))
    assert api.by("vic", "viewer").post("/review/next").status_code == 403
    assert api.by("vic", "viewer").get("/review/queue").status_code == 200
    assert api.by(None).post("/review/next").status_code == 401
    assert api.by().post("/review/items/none/lease").status_code == 404
    api.by("ben").post("/review/next")
    held = api.by().post(f"/review/items/{key(1)}/lease")
    assert (held.status_code, "held by ben" in held.json()["error"]) == (409, True)


def test_labels_and_figures(api):
    api.add(*(candidate(n) for n in range(3)))
    client = api.by("olu", "operator")
    for _ in range(3):
        item = client.post("/review/next").json()["item"]["id"]
        client.post(f"/review/items/{item}/decide", json={"action": "confirm"})
    first = client.get("/labels", params={"limit": 2}).json()
    rest = client.get("/labels", params={"limit": 2, "cursor": first["cursor"]}).json()
    assert [one["label"] for one in first["labels"] + rest["labels"]] == ["anomaly"] * 3
    assert first["labels"][0]["actors"] == ["olu"]
    figures = client.get("/review/quality").json()["figures"]
    assert figures["overrides_by_person"]["olu"]["value"] == 0.0
    assert figures["rates"]["tpr"]["value"] is None
    refused = client.get("/review/quality", params={"since": "2030-01-01T00:00:00Z"})
    assert (refused.status_code, refused.json()["error"]) == (400, "since: is not before until")
    for until in ("0001-01-02T00:00:00Z", "9999-12-31T23:59:59.9999Z"):
        assert client.get("/review/quality", params={"until": until}).status_code == 200
    assert client.get("/labels", params={"since": "1764000000"}).status_code == 400
    assert client.get("/labels", params={"cursor": "x"}).status_code == 400


def test_the_openapi_document_names_every_route(api):
    paths = api.app.openapi()["paths"]
    for path, status in (
        ("/review/next", "204"),
        ("/review/items/{item}/decide", "409"),
        ("/review/bulk", "404"),
    ):
        assert status in paths[path]["post"]["responses"]
    assert "/review/queue" in paths
    assert "/labels" in paths


def test_the_rules_tell_what_may_be_said(api):
    rules = api.by(role="viewer").get("/review/rules").json()
    assert [one["code"] for one in rules["reasons"]][:2] == ["sensor-fault", "maintenance"]
    assert rules["reasons"][-1] == {"code": "other", "meaning": "Other", "note": True}
    assert (rules["lease_seconds"], rules["audit_share"], rules["bulk"]) == (300.0, 0.08, 500)


def test_a_row_whose_past_is_not_known_shows_its_own_numbers(api):
    api.add(candidate(1, alert="", names=("x.0", "x.1"), features=(1.5, -2.0)))
    shown = api.by().post("/review/next").json()
    assert (shown["signal"], shown["moved"], shown["values"]) == (None, [], {"x.0": 1.5, "x.1": -2.0})
    assert "values" in shown["evidence"]["parts"]


class LateLedger(AuditedLedger):
    """Writes a while after it was asked, as one does whose queue is long."""

    async def change(self, work):
        CLOCK.append(CLOCK[-1] + 5_000)
        return await super().change(work)


CLOCK = [NOW]


def test_a_decision_says_when_it_was_written_not_when_it_was_asked(api):
    transactions = Transactions(api.database)
    ledger = LateLedger(transactions, api.log)
    routes = ReviewRoutes(api.parts, None, ledger, transactions, lambda: CLOCK[-1], None)
    api.add(candidate(1))

    async def times():
        await routes.lease(key(1), ANN)
        made = await routes.decide(key(1), Decide("confirm"), ANN)
        undone = await routes.undo(key(1), ANN)
        bulk = await routes.bulk(DecideBulk(made.item.incident, "confirm"), ANN)
        again = await routes.undo_bulk(bulk.id, ANN)
        views = [made, undone, *bulk.decided, *again.decided]
        return [view.decision.at.timestamp() * 1_000 - NOW for view in views]

    assert asyncio.run(times()) == [10_000, 15_000, 20_000, 25_000]


def test_decisions_settle_for_longer_than_a_change_may_wait():
    assert SETTLED_MS > WAIT_S * 1_000


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/review/items/a%00b", None),
        ("GET", "/review/queue?asset=a%00b", None),
        ("GET", "/labels?cursor=1:%00", None),
        ("POST", "/review/items/x/lease", {"actor": "a\0b"}),
        ("POST", "/review/items/x/decide", {"action": "tag", "tags": ["\0"]}),
        ("POST", "/review/items/x/decide", {"action": "confirm", "note": "a\0b"}),
        ("POST", "/review/items/x/undo", {"decision": "\0"}),
        ("POST", "/review/bulk", {"incident": "\0", "action": "confirm"}),
        ("POST", "/review/bulk/%00/undo", {}),
    ],
)
def test_what_postgresql_takes_in_no_text_is_refused_by_name(api, method, path, body):
    refused = api.by().request(method, path, json=body)
    assert (refused.status_code, "NUL" in refused.json()["error"]) == (400, True)
