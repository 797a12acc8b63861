"""The one OpenAPI document of a router against what it does, by schemathesis: statuses, types and schemas, on a real socket."""

import asyncio
import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from graphql_server import document

from mesh.cluster.connect import policy_of
from mesh.engine.engine import Engine
from mesh.engine.ports import EngineConfig
from mesh.errors import StoreAway
from mesh.records.memory_audit import MemoryLedger
from mesh.rules.memory import memory_book
from mesh.settings import Settings
from mesh.stores.alerts import MemoryAlerts
from mesh.stores.online import MemoryOnlineStore
from mesh.stores.predictions import MemoryLog
from serve.api.alerts import alerts_router
from serve.api.features import features_router
from serve.api.predictions import predictions_router
from serve.status import Status, status_router
from tests.fakes.alert_events import opened
from tests.fakes.echo_engine import EchoEngine, signature
from tests.fakes.edge_server import EdgeServer
from tests.fakes.feature_rows import a_batch, a_view

CONFIG = Path(__file__).with_name("schemathesis.toml")
ROOT = Path(__file__).resolve().parents[2]


async def no_figures():
    raise StoreAway("the scoreboard", "nothing within 5 s")


def status() -> Status:
    settings = Settings()
    book = memory_book(ROOT / "config", settings)
    rules, config = SimpleNamespace(config=book.config, revision=book.kept.current), book.config
    models = {name: policy_of(spec) for name, spec in config.models.items()}
    engine = Engine(
        EngineConfig(config.tables, config.facts, models, config.rules_hash), node="here", handles={}
    )
    return Status(rules, settings, engine, no_figures)


@pytest.fixture(scope="module")
def server():
    log, alerts, features, view = MemoryLog(), MemoryAlerts(), MemoryOnlineStore(), a_view()
    for number in range(120):
        log.add(document("default", number))
    asyncio.run(alerts.write([opened(1), opened(2)]))
    asyncio.run(features.write(view, a_batch([("pump-7", 1000)])))
    routers = [
        predictions_router(log, {"default": "tenant"}),
        alerts_router(alerts, MemoryLedger()),
        features_router({view.name: view}, features),
    ]
    engine = EchoEngine({"default": signature(("x", "FP32", (-1, 3)))})
    running = EdgeServer(engine, routers=[*routers, status_router(asyncio.run(_made(status)))])
    yield running
    running.close()


async def _made(make):
    return make()


def test_the_document_and_the_server_agree(server, tmp_path):
    found = subprocess.run(
        [
            str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(CONFIG), "run", f"http://{server.http}/openapi.json",
            "--max-examples", "12", "--phases", "examples,coverage,fuzzing", "--seed", "1", "--no-color",
            "--request-timeout", "60", "--generation-deterministic",
        ],
        cwd=tmp_path, capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stdout[-4000:] + found.stderr[-500:]
    selected, of_all, tested = re.search(r"Selected: (\d+)/(\d+)\s+Tested: (\d+)", found.stdout).groups()
    assert selected == of_all == tested


def test_every_route_of_reading_is_in_the_document(server):
    paths = httpx.get(f"http://{server.http}/openapi.json", timeout=60).json()["paths"]
    reading = {"/predictions", "/alerts", "/alerts/{alert}", "/features/{entity}", "/mesh/status"}
    assert reading <= paths.keys()
    for path in reading:
        assert json.dumps(paths[path]["get"]["responses"]["200"]).count("schema")


def test_predictions_are_paged_by_cursor_and_filtered(server):
    def get(**asked):
        return httpx.get(f"http://{server.http}/predictions", params=asked, timeout=60).json()

    first = get(limit=50)
    second = get(limit=50, cursor=first["cursor"])
    third = get(limit=50, cursor=second["cursor"])
    ids = [one["inference_id"] for page in (first, second, third) for one in page["predictions"]]
    assert ids == [f"ml.inference-0-{number}" for number in reversed(range(120))]
    assert third["cursor"] is None
    assert [one["input_id"] for one in get(key="event-7")["predictions"]] == ["event-7"]
    assert len(get(key="blue-team", limit=200)["predictions"]) == 120  # the endpoint's sticky key
    assert get(model="other")["predictions"] == []
    assert get(since="2099-01-01T00:00:00Z")["predictions"] == []
    refused = httpx.get(f"http://{server.http}/predictions", params={"cursor": "x"}, timeout=60)
    assert (refused.status_code, "cursor" in refused.json()["error"]) == (400, True)
