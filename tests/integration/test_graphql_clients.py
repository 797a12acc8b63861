"""`/graphql` on a real Redis with unmodified clients: npm's graphql-ws, Python's gql, and a browser."""

import asyncio
import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import httpx
import pytest
from gql import Client, gql
from gql.transport.exceptions import TransportQueryError
from gql.transport.websockets import WebsocketsTransport
from graphql_server import LOG, GraphqlServer, document
from stream_servers import RealRedis

from mesh.stores.predictions import Beat, ModelWindow
from tests.fakes.alert_events import opened
from tests.fakes.machine import missing

PORT = 21441
HERE = Path(__file__).resolve().parent
BUILD = HERE.parents[1] / "build" / "graphql-ws"
STREAM = """subscription ($model: String!, $after: ID) {
  mlInferenceStream(modelId: $model, after: $after) {
    inferenceId latencyMs receivedAt predictions metadata cursor inputId confidence rulesVersion degraded
    answeredBy { model version route role }
  }
}"""
STATUS = """query ($model: String!) {
  mlStreamingStatus(modelId: $model) {
    connected lastHeartbeatAt averageLatencyMs predictionsPerSecond errorRate lagRecords replicas
  }
}"""


@pytest.fixture(scope="module")
def redis(tmp_path_factory):
    running = RealRedis(tmp_path_factory.mktemp("redis"), PORT)
    running.start()
    yield running
    running.kill()


@pytest.fixture(scope="module")
def server(redis):
    running = GraphqlServer(redis.url)
    yield running
    running.close()


@pytest.fixture(scope="module")
def graphql_ws():
    """Runs the npm client and gives the lines that it printed."""
    if not shutil.which("node") or not shutil.which("npm"):
        missing("no node and npm on the PATH (Debian: apt-get install nodejs npm)")
    BUILD.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "read.mjs"):
        shutil.copy(HERE / "graphql_ws" / name, BUILD / name)
    if not (BUILD / "node_modules" / "graphql-ws").exists():
        words = ["npm", "install", "--no-audit", "--no-fund", "--silent"]
        made = subprocess.run(words, cwd=BUILD, capture_output=True, text=True, timeout=400, check=False)
        if made.returncode:
            missing(f"npm cannot install graphql-ws: {made.stderr[-300:]}")

    def run(address, query, variables, wanted=1):
        words = ["node", "read.mjs", f"ws://{address}", query, json.dumps(variables), str(wanted)]
        return subprocess.Popen(words, cwd=BUILD, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    return run


def lines_of(process):
    said, wrong = process.communicate(timeout=120)
    assert not wrong, wrong
    return [json.loads(line) for line in said.splitlines()]


def listeners(server):
    async def count():
        return server.feed.listeners

    return server.run(count())


def add(redis, model, *numbers):
    for number in numbers:
        redis.client.xadd(LOG, {"data": document(model, number)})


def until_listening(server, n):
    ends = time.monotonic() + 60
    while listeners(server) != n:
        assert time.monotonic() < ends
        time.sleep(0.02)


def listening(server, graphql_ws, model, wanted):
    """A client that is given what comes from now on. One that a busy machine kept from it, which it says, begins again."""
    until_listening(server, 0)  # those of the tests before
    for _ in range(3):
        reading = graphql_ws(server.address, STREAM, {"model": model}, wanted)
        ends = time.monotonic() + 60
        while reading.poll() is None and time.monotonic() < ends:
            if listeners(server) == 1:
                return reading
            time.sleep(0.02)
        reading.kill()
        print("the client did not listen:", *reading.communicate())
    raise AssertionError("no client listens")


def test_graphql_ws_gets_the_stream_and_resumes(server, redis, graphql_ws):
    reading = listening(server, graphql_ws, "npm", 3)
    add(redis, "npm", 1, 2)
    add(redis, "other", 1)
    add(redis, "npm", 3, 4)
    lines = lines_of(reading)
    found = [line["next"]["data"]["mlInferenceStream"] for line in lines if "next" in line]
    assert [one["inferenceId"] for one in found] == [f"ml.inference-0-{n}" for n in (1, 2, 3)]
    cursor = found[1].pop("cursor")
    assert found[1] == {
        "inferenceId": "ml.inference-0-2",
        "latencyMs": 4.125,
        "receivedAt": "2026-11-23T23:14:03.120000+00:00",
        "predictions": [[0.25, 0.75]],
        "metadata": {"tenant": "blue-team", "n": 2},
        "inputId": "event-2",
        "confidence": [0.75],
        "rulesVersion": "5f1c9a0b77aa",
        "degraded": False,
        "answeredBy": [{"model": "anomaly", "version": "2", "route": "hybrid", "role": "primary"}],
    }
    for after in (cursor, "ml.inference-0-2"):
        again = lines_of(graphql_ws(server.address, STREAM, {"model": "npm", "after": after}, 2))
        ids = [line["next"]["data"]["mlInferenceStream"]["inferenceId"] for line in again if "next" in line]
        assert ids == ["ml.inference-0-3", "ml.inference-0-4"]


def test_graphql_ws_asks_queries_and_is_told_of_mistakes(server, graphql_ws):
    asked = lines_of(graphql_ws(server.address, STATUS, {"model": "m"}))
    state = next(line["next"] for line in asked if "next" in line)["data"]["mlStreamingStatus"]
    assert (state["connected"], state["replicas"], state["averageLatencyMs"]) == (False, 0, None)
    wrong = [
        "subscription { noSuchField }",
        "subscription {",
        "query { a: __typename",
        STREAM.replace("String!", "Int!"),
    ]
    for query in wrong:
        lines = lines_of(graphql_ws(server.address, query, {"model": "m"}))
        (errors,) = [line["error"] for line in lines if "error" in line]
        assert errors[0]["message"]
        assert lines[-1]["closed"] == 1000  # the client closed, after it was told
    late = lines_of(graphql_ws(server.address, STREAM, {"model": "m", "after": "1-0"}))
    assert next(line for line in late if "error" in line)["error"][0]["extensions"] == {
        "code": "LOG_TRIMMED",
        "after": "1-0",
    }


async def test_gql_gets_stream_status_and_alerts_on_one_connection(server, redis):
    await asyncio.to_thread(until_listening, server, 0)
    async with Client(transport=WebsocketsTransport(url=f"ws://{server.address}")) as session:

        async def read():
            ids = []
            async for one in session.subscribe(asking(STREAM, model="gql")):
                ids.append(one["mlInferenceStream"]["inferenceId"])
                if len(ids) == 500:
                    return ids
            return ids

        reading = asyncio.create_task(read())
        await asyncio.to_thread(until_listening, server, 1)
        await asyncio.to_thread(add, redis, "gql", *range(500))
        assert await asyncio.wait_for(reading, 120) == [f"ml.inference-0-{n}" for n in range(500)]
        await server_beat(server, "gql")  # it is fresh for six seconds
        state = (await session.execute(asking(STATUS, model="gql")))["mlStreamingStatus"]
        assert (state["connected"], state["replicas"], state["lagRecords"]) == (True, 1, 7)
        assert (state["averageLatencyMs"], state["errorRate"]) == (50.0, 0.2)
        with pytest.raises(TransportQueryError, match="did you mean 'gql'"):
            await session.execute(asking(STATUS, model="glq"))

        async def alert():
            asked = gql("subscription { alerts(severity: critical) { id change state severity values } }")
            async for one in session.subscribe(asked):
                return one["alerts"]
            return None

        told = asyncio.create_task(alert())
        async with asyncio.timeout(60):
            while not await asyncio.to_thread(redis.client.pubsub_channels, "*alert*"):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        event = opened(1, severity="critical", at=int(time.time() * 1000) % 10_000_000)
        await asyncio.to_thread(lambda: server.run(server.alerts.write([opened(2), event])))
        shown = await asyncio.wait_for(told, 60)
        assert (shown["id"], shown["severity"]) == (event.id, "critical")
    redis.client.delete("ml:stream:inference:heartbeats")


def asking(query, **variables):
    request = gql(query)
    request.variable_values = variables
    return request


async def server_beat(server, endpoint):
    beat = Beat("ingest#1", 7, 30.0, {endpoint: ModelWindow(60, 15, 3.0)}, (endpoint, "m"))
    await asyncio.to_thread(lambda: server.run(server.beats.beat(beat)))
    await asyncio.sleep(1.1)  # the status is kept for a second


def test_over_http_every_refusal_is_graphql_json(server):
    def post(**asked):
        return httpx.post(f"http://{server.address}", timeout=60, **asked)

    good = post(json={"query": STATUS, "variables": {"model": "m"}})
    assert (good.status_code, "lagRecords" in good.json()["data"]["mlStreamingStatus"]) == (200, True)
    deep = "{ __schema { types { fields { type { ofType { ofType { ofType { name } } } } } } } }"
    for refused, status in (
        (post(content=b"{", headers={"content-type": "application/json"}), 400),
        (post(json=[1]), 400),
        (post(json={"query": 7}), 400),
        (post(json={"query": "subscription { alerts { id } }"}), 400),
        (post(content=b"query", headers={"content-type": "text/plain"}), 400),
        (post(json={"query": "{ " + "x" * 20_000 + " }"}), 413),
        (post(content=b"x" * 70_000, headers={"content-type": "application/json"}), 413),
        (httpx.get(f"http://{server.address}/x", timeout=60), 404),
        (httpx.put(f"http://{server.address}", timeout=60), 405),
        (post(json={"query": "{ " + " ".join(f"a{n}: __typename" for n in range(31)) + " }"}), 200),
        (post(json={"query": "{ " + "__typename " * 1_100 + " }"}), 200),
        (post(json={"query": "{ nothing }"}), 200),
    ):
        assert refused.status_code == status, refused.text
        assert refused.json()["errors"][0]["message"]
    assert post(json={"query": deep}).json()["data"]["__schema"]["types"]  # introspection has no depth


def test_a_redis_that_was_killed_costs_nothing_but_time(server, redis, graphql_ws):
    reading = listening(server, graphql_ws, "killed", 40)
    add(redis, "killed", *range(20))
    server.run(server.beats.beat(Beat("ingest#1", 0, 30.0, {}, ("killed",))))
    time.sleep(1.1)
    asked = {"json": {"query": STATUS, "variables": {"model": "killed"}}}

    def state():
        return httpx.post(f"http://{server.address}", timeout=60, **asked).json()["data"]["mlStreamingStatus"]

    heard = state()
    assert heard["connected"]
    redis.kill()
    began = time.monotonic()
    while (gone := state())["connected"]:
        assert time.monotonic() < began + 10
        time.sleep(0.1)
    assert (gone["lastHeartbeatAt"], gone["replicas"]) == (heard["lastHeartbeatAt"], 0)
    redis.start()
    add(redis, "killed", *range(20, 40))
    found = [line["next"]["data"]["mlInferenceStream"] for line in lines_of(reading) if "next" in line]
    assert [one["inferenceId"] for one in found] == [f"ml.inference-0-{n}" for n in range(40)]
    redis.client.delete("ml:stream:inference:heartbeats")


def test_a_browser_opens_with_the_two_documents_and_runs_them_without_the_internet(server):
    sync_api = pytest.importorskip("playwright.sync_api")
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if not chromium:
        missing("no chromium on the PATH (Debian: apt-get install chromium)")
    time.sleep(1.1)
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"], timeout=180_000)
        page = browser.new_page()
        page.set_default_timeout(60_000)
        page.route("**/unpkg.com/**", lambda route: route.abort())
        page.goto(f"http://{server.address}")
        text = page.input_value("#document")
        assert "mlInferenceStream(" in text
        assert "mlStreamingStatus(" in text
        page.select_option("#operation", "Status")
        page.click("#run")
        page.wait_for_function(
            "document.querySelector('#result').textContent.includes('\"connected\": false')"
        )
        browser.close()
