"""Who is not let in over GraphQL, and what it is told: over HTTP, and on a WebSocket."""

import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from mesh.errors import RateLimited, StoreAway
from mesh.stores.alerts import MemoryAlerts
from mesh.stores.predictions import MemoryBeats, MemoryLog
from serve.graphql.access import Denied
from serve.graphql.alert_feed import AlertFeed
from serve.graphql.app import GraphqlApp
from serve.graphql.feed import PredictionFeed
from serve.graphql.schema import Reading
from serve.graphql.status import StreamStatus

QUERY = {"query": '{ mlStreamingStatus(modelId: "m") { connected } }'}
LIMITED = RateLimited("more than 2 requests a second by one token (MESH_RATE_LIMIT); slow down", 2.4)
AWAY = StoreAway("the database of records", "gone: " + "é" * 200)


class Doorman:
    """Lets nobody in."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def admit(self, headers, presented):
        raise self.error


def client(error: Exception) -> TestClient:
    log, alerts = MemoryLog(), MemoryAlerts()
    reading = Reading(
        PredictionFeed(log, log, 10), AlertFeed(alerts, alerts, 10), StreamStatus(MemoryBeats())
    )
    return TestClient(GraphqlApp(reading, access=Doorman(error)))


@pytest.mark.parametrize(
    ("error", "status", "code", "wait"),
    [
        (Denied("a token is needed"), 401, "UNAUTHENTICATED", None),
        (LIMITED, 429, "RATE_LIMITED", "2"),
        (AWAY, 503, "UNAVAILABLE", "1"),
    ],
)
def test_over_http_each_refusal_has_its_own_status(error, status, code, wait):
    reply = client(error).post("/graphql", json=QUERY)
    (told,) = reply.json()["errors"]
    assert (reply.status_code, told["extensions"]["code"]) == (status, code)
    assert told["message"] == str(error)
    assert reply.headers.get("retry-after") == wait


@pytest.mark.parametrize(("error", "code"), [(Denied("no"), 4403), (LIMITED, 1013), (AWAY, 1013)])
def test_a_connection_that_may_come_again_is_told_so(error, code):
    with client(error).websocket_connect("/graphql", subprotocols=["graphql-transport-ws"]) as connection:
        connection.send_json({"type": "connection_init"})
        with pytest.raises(WebSocketDisconnect) as told:
            connection.receive_text()
    assert told.value.code == code
    if code != 4403:
        assert str(error).startswith(told.value.reason)
        assert 60 < len(told.value.reason.encode()) <= 123
