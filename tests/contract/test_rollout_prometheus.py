"""What fires in Prometheus as guards: its own answers over HTTP, and whatever else may come from an address."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from mesh.errors import InvalidConfig, StoreAway
from mesh.rollouts.plan import AlertRule, Plan, Step
from mesh.settings import Settings
from serve.rollout_guards import NoPrometheus, PrometheusGuards

PLAN = Plan(
    "try", "default", "old", "new", AlertRule(0.8), (Step("promote"),), (), freeze_when=("alerts", "slo_burn")
)


def alert(name: str, state: str = "firing", severity: str = "page") -> dict:
    """As `/api/v1/alerts` of Prometheus 2 and 3 gives it."""
    return {
        "labels": {"alertname": name, "severity": severity},
        "annotations": {"summary": f"{name} says so"},
        "state": state,
        "activeAt": "2026-11-27T08:00:00Z",
        "value": "1e+00",
    }


class Answers(BaseHTTPRequestHandler):
    body: bytes = b""
    status = 200

    def do_GET(self) -> None:
        assert self.path == "/api/v1/alerts"
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def server() -> Iterator[tuple[str, type[Answers]]]:
    class Mine(Answers):
        pass

    made = HTTPServer(("127.0.0.1", 0), Mine)
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{made.server_port}", Mine
    made.shutdown()
    thread.join()
    made.server_close()


async def test_only_what_fires_of_our_own_and_asks_for_somebody_now_holds(server) -> None:
    url, answers = server
    alerts = [
        alert("MeshBreakerOpen"),
        alert("MeshSloBurnPage"),
        alert("MeshLagGrows", state="pending"),
        alert("MeshDeadLetters", severity="ticket"),
        alert("SomebodyElsesDisk"),
        {"labels": {}, "state": "firing"},
    ]
    answers.body = json.dumps({"status": "success", "data": {"alerts": alerts}}).encode()
    assert await PrometheusGuards(url).holding(PLAN) == {
        "alerts": "MeshBreakerOpen: MeshBreakerOpen says so",
        "slo_burn": "MeshSloBurnPage: MeshSloBurnPage says so",
    }
    answers.body = json.dumps({"status": "success", "data": {"alerts": []}}).encode()
    assert await PrometheusGuards(url).holding(PLAN) == {}


@pytest.mark.parametrize(
    ("status", "body"), [(200, b"<html>"), (200, b'{"data": {"alerts": 1}}'), (503, b"{}")]
)
async def test_what_is_no_answer_of_prometheus_is_a_store_that_is_away(
    server, status: int, body: bytes
) -> None:
    url, answers = server
    answers.status, answers.body = status, body
    with pytest.raises(StoreAway, match="MESH_PROMETHEUS_URL"):
        await PrometheusGuards(url).holding(PLAN)


async def test_without_an_address_both_hold_and_say_what_to_do() -> None:
    assert set(held := await NoPrometheus().holding(PLAN)) == {"alerts", "slo_burn"}
    assert "set MESH_PROMETHEUS_URL, or leave it out of freeze_when" in held["alerts"]


async def test_nobody_at_the_address_is_told_and_no_address_is_refused() -> None:
    with pytest.raises(StoreAway, match="MESH_PROMETHEUS_URL"):
        await PrometheusGuards("http://127.0.0.1:9").holding(PLAN)
    with pytest.raises(InvalidConfig, match="MESH_PROMETHEUS_URL: 'prometheus:9090' is no http"):
        Settings.from_environ({"MESH_PROMETHEUS_URL": "prometheus:9090"})
    assert (
        Settings.from_environ({"MESH_PROMETHEUS_URL": "http://prometheus:9090/"}).prometheus_url
        == "http://prometheus:9090"
    )
