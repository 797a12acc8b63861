"""`/rollouts` over rollouts in memory."""

import asyncio
from collections.abc import Sequence

import pytest
from fastapi.testclient import TestClient

from mesh.cli.api import Api
from mesh.cli.rollout import line, page
from mesh.cli.rollout_client import RolloutClient, ShownDetail, _decoded
from mesh.errors import InvalidInput, NotFound
from mesh.records.memory_audit import MemoryAudit, MemoryLedger
from mesh.records.ports import AuditQuery
from mesh.rollouts.desk import Desk
from mesh.rollouts.memory import MemoryRollouts, MemoryRoutes
from mesh.rollouts.plan import AlertRule, Metric, Plan, Step
from mesh.rollouts.record import Evidence, looked
from mesh.rollouts.states import moved
from mesh.rollouts.tally import Observations, PairSeen
from serve.api.rollouts import rollouts_router
from serve.http.api import build_api
from serve.oip.inference import Inference
from serve.oip.ports import ServerFacts
from tests.fakes.callers import AsActor
from tests.fakes.echo_engine import EchoEngine

PLAN = Plan(
    "pump", "default", "old", "new", AlertRule(0.8),
    (Step("shadow", min_pairs=10), Step("approval", roles=("analyst",)), Step("promote")),
    (Metric("apart", "discordance", margin=0.1, due="shadow"),),
)  # fmt: skip
RULES = {"routes": [{"name": "main", "when": "always", "send": ["old"]}]}


class OnePlan:
    async def names(self) -> Sequence[str]:
        return ["other", "pump"]

    async def plan(self, name: str) -> Plan:
        if name != "pump":
            raise NotFound(f"no rollout '{name}'")
        return PLAN


class Mesh:
    def __init__(self) -> None:
        self.book = MemoryRollouts()
        desk = Desk(self.book, self.book, MemoryRoutes(RULES), lambda: 1_764_000_000_000)
        inference = Inference(EchoEngine({}), ServerFacts("under-test", "9", {}), None, None)
        self.audit = MemoryAudit()
        api = build_api(inference, [rollouts_router(desk, OnePlan(), MemoryLedger(self.audit))])
        self.http, self.as_analyst, self.as_viewer = (
            TestClient(AsActor(api, role=role)) for role in ("operator", "analyst", "viewer")
        )

    def start(self) -> None:
        assert self.http.post("/rollouts", json={"name": "pump", "actor": "bob"}).status_code == 201

    def wait_for_approval(self) -> None:
        async def step() -> None:
            one = await self.book.get("pump")
            two = moved(one, "shadow", now_ms=1_764_000_000_001)
            three = moved(
                two, "pause", now_ms=1_764_000_001_000, reason="done; waits", step=1, pause="approval"
            )
            await self.book.write(two, one)
            await self.book.write(three, two)
            pairs = tuple(PairSeen(f"u{n}", 1, n == 0, n == 0) for n in range(300))
            await self.book.keep(
                three, looked(PLAN, Evidence(), [Observations(pairs=pairs)], {}, 1_764_000_001_000)
            )

        asyncio.run(step())


@pytest.fixture
def mesh() -> Mesh:
    return Mesh()


def test_nothing_yet_shows_what_could_be_started(mesh: Mesh) -> None:
    assert mesh.http.get("/rollouts").json() == {"rollouts": [], "plans": ["other", "pump"]}
    assert mesh.http.get("/rollouts/pump").status_code == 404


def test_a_rollout_is_started_once(mesh: Mesh) -> None:
    mesh.start()
    shown = mesh.http.get("/rollouts").json()["rollouts"]
    assert [(one["name"], one["state"], one["started_by"], one["candidate_percent"]) for one in shown] == [
        ("pump", "Pending", "bob", 0.0)
    ]
    again = mesh.http.post("/rollouts", json={"name": "pump", "actor": "bob"})
    assert again.status_code == 409
    assert "takes no 'start'" in again.json()["error"]
    assert mesh.http.post("/rollouts", json={"name": "nope", "actor": "bob"}).status_code == 404


def test_evidence_is_shown_with_its_boundary_and_its_past(mesh: Mesh) -> None:
    mesh.start()
    mesh.wait_for_approval()
    detail = mesh.http.get("/rollouts/pump").json()
    assert detail["evidence"]["windows"] == {
        "both": 1,
        "only_primary": 0,
        "only_candidate": 0,
        "neither": 299,
    }
    (metric,) = detail["evidence"]["metrics"]
    assert metric["verdict"] == "success"
    assert metric["success_evidence"] > metric["success_boundary"] == pytest.approx(2.9957, abs=1e-4)
    assert metric["trace"][0]["samples"] == 300
    assert [move["action"] for move in detail["history"]] == ["start", "shadow", "pause"]
    assert detail["rollout"]["pause"] == "approval"


def test_approval_is_by_role(mesh: Mesh) -> None:
    mesh.start()
    assert mesh.http.post("/rollouts/pump/approve", json={"actor": "ann"}).status_code == 409
    mesh.wait_for_approval()
    refused = mesh.as_viewer.post("/rollouts/pump/approve", json={})
    assert refused.status_code == 403
    assert "analyst" in refused.json()["error"]
    done = mesh.as_analyst.post("/rollouts/pump/approve", json={"note": "fine"})
    assert (done.status_code, done.json()["state"]) == (200, "Promoting")


def test_who_looked_at_another_step_changes_nothing(mesh: Mesh) -> None:
    mesh.start()
    seen = mesh.http.get("/rollouts/pump").json()["rollout"]["step"]
    mesh.wait_for_approval()
    late = mesh.as_analyst.post("/rollouts/pump/approve", json={"step": seen})
    assert late.status_code == 409
    assert f"not {seen + 1}" in late.json()["error"]
    now = mesh.http.get("/rollouts/pump").json()["rollout"]
    assert now["pause"] == "approval"
    done = mesh.as_analyst.post("/rollouts/pump/approve", json={"step": now["step"]})
    assert done.json()["state"] == "Promoting"


@pytest.mark.parametrize("wish", ["pause", "resume", "abort"])
def test_wishes_answer_with_the_state_or_say_why_not(mesh: Mesh, wish: str) -> None:
    mesh.start()
    status = mesh.http.post(f"/rollouts/pump/{wish}", json={"actor": "ann"})
    assert status.status_code == (200 if wish == "abort" else 409), status.text
    assert mesh.as_analyst.post(f"/rollouts/pump/{wish}", json={}).status_code == 403
    logged = mesh.audit.page(AuditQuery(action=f"rollouts.{wish}*"))
    assert logged[-1].action == f"rollouts.{wish}"
    assert {(one.actor, one.target) for one in logged} == {("ann", "rollout:pump")}


def test_a_page_of_text_says_where_it_is_and_what_it_lacks(mesh: Mesh) -> None:
    mesh.start()
    mesh.wait_for_approval()
    detail = _decoded(mesh.http.get("/rollouts/pump").content, ShownDetail)
    assert line(detail.rollout) == (
        "pump: Paused (approval), step 2 of 3 (approval), new answers 0% of default instead of old; done; waits"
    )
    assert page(detail).splitlines()[1:] == [
        "  300 windows compared, 0 rows answered by the candidate",
        "  apart (discordance, critical): success; 0.00% of 300 windows, 10.00% allowed",
    ]


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidInput, match="http://HOST:PORT"):
        RolloutClient(Api("localhost:8080"))
