"""`GET /features/{entity}` in the mesh's own application, over a store in memory and one that is away."""

import json

import pytest

from mesh.stores.errors import OnlineAway
from mesh.stores.online import MemoryOnlineStore
from serve.api.features import features_router
from serve.http.app import MeshApp
from serve.oip.inference import Inference
from serve.oip.ports import ServerFacts
from tests.fakes.echo_engine import EchoEngine
from tests.fakes.feature_rows import a_batch, a_view

VIEW = a_view()


class AwayStore:
    async def write(self, view, batch):
        raise OnlineAway("Connection refused", 2.0)

    async def read(self, view, entities):
        raise OnlineAway("Connection refused", 2.0)


async def get(store, path, query=""):
    routers = [features_router({"telemetry": VIEW}, store)]
    app = MeshApp(Inference(EchoEngine({}), ServerFacts("under-test", "9", {}))).open(routers)
    sent = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "headers": []}
    await app(
        {**scope, "query_string": query.encode(), "http_version": "1.1", "scheme": "http"}, receive, send
    )
    body = b"".join(message.get("body", b"") for message in sent[1:])
    return sent[0]["status"], dict(sent[0]["headers"]), json.loads(body)


@pytest.fixture
async def store():
    made = MemoryOnlineStore()
    await made.write(VIEW, a_batch([("pump-7", 1000), ("site/pump 8", 0)]))
    return made


async def test_the_newest_features_of_an_entity(store):
    status, _, found = await get(store, "/features/pump-7")
    assert status == 200
    assert found.pop("age_ms") > 0
    assert found == {
        "entity": "pump-7",
        "view": "telemetry",
        "transform": VIEW.transform,
        "event_time": "2026-01-02T03:04:06.678Z",
        "created_time": "2026-01-02T03:04:06.728Z",
        "features": {"temp.mean": 1.0, "temp.std": 2.1, "flow.mean": 3.0},
        "stale": True,
    }


async def test_an_entity_may_hold_a_slash(store):
    assert (await get(store, "/features/site/pump 8"))[2]["entity"] == "site/pump 8"


async def test_an_unknown_entity_is_named(store):
    status, _, found = await get(store, "/features/pump-9")
    assert status == 404
    assert found["error"] == "no features of 'pump-9' in view 'telemetry': none came within its ttl of 3600 s"


async def test_an_unknown_view_is_named_with_the_nearest(store):
    status, _, found = await get(store, "/features/pump-7", "view=telemetri")
    assert (status, "did you mean 'telemetry'" in found["error"]) == (404, True)


async def test_a_row_of_another_transform_is_none_of_this_view(store):
    await store.write(a_view(transform="0" * 16), a_batch([("pump-7", 2000)]))
    status, _, found = await get(store, "/features/pump-7")
    assert status == 404
    assert "the newest were computed by 0000000000000000" in found["error"]


async def test_a_store_that_is_away_says_when_to_come_again():
    status, headers, found = await get(AwayStore(), "/features/pump-7")
    assert (status, headers[b"retry-after"]) == (503, b"2")
    assert found["error"].startswith("the online feature store does not answer: Connection refused")
