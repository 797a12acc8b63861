"""What a client may not do on a WebSocket, and what it is told: close codes, slow readers, limits, access."""

import asyncio
import contextlib
import json
import socket
from dataclasses import replace

import httpx
import pytest
from graphql_server import GraphqlServer, document
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from serve.graphql.access import Caller, Denied
from serve.graphql.limits import Limits

LIMITS = Limits(
    connections=12, connections_per_client=8, subscriptions=3, ping_s=0.5, waiting=200, unread=400
)
HASTY = replace(LIMITS, idle_s=1.5, init_s=1.0, pong_s=1.5)
PATIENCE_S = 60
STREAM = 'subscription { mlInferenceStream(modelId: "m") { inferenceId metadata } }'


@pytest.fixture(scope="module")
def server():
    running = GraphqlServer(limits=LIMITS)
    yield running
    running.close()


@pytest.fixture(scope="module")
def hasty():
    """Lets go of whoever is slow."""
    running = GraphqlServer(limits=HASTY)
    yield running
    running.close()


@contextlib.asynccontextmanager
async def connected(server, *, init=True, protocols=("graphql-transport-ws",), **more):
    async with connect(f"ws://{server.address}", subprotocols=protocols, **more) as client:
        if init:
            await client.send('{"type": "connection_init"}')
            assert json.loads(await client.recv())["type"] == "connection_ack"
        yield client


async def closed(client):
    """Reads until the connection is closed; code and reason."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                await client.recv()
    except ConnectionClosed as error:
        return error.rcvd.code, error.rcvd.reason


async def told_by(client):
    """The next message that is no ping; those are answered."""
    async with asyncio.timeout(PATIENCE_S):
        while (message := json.loads(await client.recv()))["type"] == "ping":
            await client.send('{"type": "pong"}')
        return message


async def until(holds):
    async with asyncio.timeout(PATIENCE_S):
        while not holds():  # noqa: ASYNC110 - what is watched has no event
            await asyncio.sleep(0.01)


async def subscribe(client, name="1", query=STREAM):
    await client.send(json.dumps({"type": "subscribe", "id": name, "payload": {"query": query}}))


@pytest.mark.parametrize(
    ("messages", "code", "reason"),
    [
        (["nonsense"], 4400, "valid JSON"),
        (["[]"], 4400, "must be an object"),
        (['{"type": "what"}'], 4400, "Unknown message type"),
        (['{"type": "subscribe", "id": 5, "payload": {"query": "x"}}'], 4400, "id: must be a text"),
        (['{"type": "subscribe", "id": "1", "payload": []}'], 4400, "payload: must be an object"),
        (
            ['{"type": "subscribe", "id": "1", "payload": {"query": 5}}'],
            4400,
            "payload.query: must be a text",
        ),
        (['{"type": "subscribe", "id": "1", "payload": {"query": "x"}}'], 4401, "Unauthorized"),
        (['{"type": "connection_init"}', '{"type": "connection_init"}'], 4429, "Too many"),
        (['{"type": "ping", "payload": {"x": "' + "x" * 70_000 + '"}}'], 1009, "longer than 65536"),
        ([], 4408, "timeout"),
    ],
)
async def test_a_connection_is_never_closed_without_a_code_and_a_reason(
    server, hasty, messages, code, reason
):
    async with connected(server if messages else hasty, init=False) as client:
        for message in messages:
            await client.send(message)
        got, why = await closed(client)
    assert (got, reason in why) == (code, True), (got, why)


async def test_binary_ids_in_use_and_other_protocols(server):
    async with connected(server) as client:
        await client.send(b"binary")
        assert (await closed(client))[0] == 4400
    async with connected(server) as client:
        await subscribe(client)
        await subscribe(client)
        assert await closed(client) == (4409, "Subscriber for 1 already exists")
    async with connected(server, init=False, protocols=("graphql-ws",)) as client:
        assert (await closed(client))[0] == 4406


async def test_a_wrong_document_ends_its_operation_and_no_other(server):
    async with connected(server) as client:
        await subscribe(client, "good")
        for name, query in (("syntax", "{"), ("long", "#" * 20_000), ("unknown", "{ x }"), ("empty", "")):
            await subscribe(client, name, query)
            told = await told_by(client)
            assert (told["type"], told["id"]) == ("error", name)
            assert told["payload"][0]["message"]
        await subscribe(client, "2")
        await subscribe(client, "3")
        await subscribe(client, "4")
        told = await told_by(client)
        assert (told["id"], told["payload"][0]["message"]) == ("4", "Subscription limit reached")
        await until(lambda: server.feed.listeners == 3)
        server.run(added(server, [1]))
        got = [await told_by(client) for _ in range(3)]
        assert {one["id"] for one in got if one["type"] == "next"} == {"good", "2", "3"}


async def added(server, numbers, padding=""):
    for number in numbers:
        server.log.add(document("m", number, metadata={"n": number, "x": padding}))


async def test_whoever_does_not_read_is_told_and_dropped_and_slows_nobody():
    """The reader that sleeps has a small receive buffer, and answers no ping while it does not read."""
    server = GraphqlServer(limits=replace(LIMITS, pong_s=1.5))
    try:
        await one_reads_and_one_does_not(server)
    finally:
        await asyncio.to_thread(server.close)


async def one_reads_and_one_does_not(server):
    silent = socket.socket()
    silent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    silent.connect(("127.0.0.1", int(server.address.split(":")[1].split("/")[0])))
    async with (
        connected(server, sock=silent, max_queue=1, ping_interval=None, close_timeout=0.2) as slow,
        connected(server) as quick,
    ):
        await subscribe(slow)
        await subscribe(quick)
        await until(lambda: server.feed.listeners == 2)
        sent, got = 600, []

        async def feed():
            for start in range(0, sent, 20):
                server.run(added(server, range(start, start + 20), "x" * 2_000))
                await asyncio.sleep(0.01)

        feeding = asyncio.create_task(feed())
        while len(got) < sent:
            message = await told_by(quick)
            got.append(message["payload"]["data"]["mlInferenceStream"]["metadata"]["n"])
        await feeding
        assert got == list(range(sent))
        # The server lets go of the slow one; the quick one answers pings meanwhile
        while server.app.connections > 1:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(told_by(quick), 0.05)


async def test_a_client_that_reads_but_too_slowly_is_told_where_to_go_on(server):
    async with connected(server) as client:
        await subscribe(client)
        await until(lambda: server.feed.listeners == 1)
        server.run(added(server, range(1_000)))  # at once: more than may wait
        got = []
        async with asyncio.timeout(PATIENCE_S):
            while (message := json.loads(await client.recv()))["type"] != "error":
                got += [message] if message["type"] == "next" else []
    assert message["payload"][0]["extensions"]["code"] == "SLOW_READER"
    assert [one["payload"]["data"]["mlInferenceStream"]["metadata"]["n"] for one in got] == list(range(200))
    after = message["payload"][0]["extensions"]["after"]
    async with connected(server, close_timeout=0.2) as client:  # it leaves without reading the rest
        await subscribe(client, query=STREAM.replace('"m"', f'"m", after: "{after}"'))
        first = await told_by(client)
    assert first["payload"]["data"]["mlInferenceStream"]["metadata"]["n"] == 200


async def test_who_does_not_answer_pings_and_who_does_nothing_are_let_go(hasty):
    async with connected(hasty) as client:
        await subscribe(client)
        assert await closed(client) == (4411, "no pong for 1.5 s: read, or answer pings")
    async with connected(hasty) as client:
        with pytest.raises(ConnectionClosed) as told:
            await told_by(client)
    assert (told.value.rcvd.code, told.value.rcvd.reason) == (4410, "no operation for 1.5 s")


async def test_one_connection_too_many_is_told_so(server):
    await until(lambda: server.app.connections == 0)  # those of the tests before
    async with contextlib.AsyncExitStack() as open_ones:
        for _ in range(8):
            await open_ones.enter_async_context(connected(server))
        async with connected(server, init=False) as client:
            code, reason = await closed(client)
        assert (code, "this client: the limit is 8" in reason) == (1013, True)


async def test_pages_of_other_origins_are_refused(server):
    headers = {"origin": "https://elsewhere.example"}
    with pytest.raises(Exception, match="403"):
        async with connected(server, additional_headers=headers):
            pass


class Doorman:
    async def admit(self, headers, presented):
        if "let-me-in" in (headers.get("authorization"), presented.get("authorization")):
            return Caller("ann")
        raise Denied("a token is needed")


async def test_access_is_asked_over_both_and_the_end_of_the_server_is_told():
    server = GraphqlServer(access=Doorman())
    status = {"query": '{ mlStreamingStatus(modelId: "m") { connected } }'}
    async with httpx.AsyncClient(timeout=PATIENCE_S) as http:
        refused = await http.post(f"http://{server.address}", json=status)
        assert (refused.status_code, refused.json()["errors"][0]["extensions"]["code"]) == (
            401,
            "UNAUTHENTICATED",
        )
        headers = {"authorization": "let-me-in"}
        assert (await http.post(f"http://{server.address}", json=status, headers=headers)).status_code == 200
    async with connected(server, init=False) as client:
        await client.send('{"type": "connection_init"}')
        assert await closed(client) == (4403, "Forbidden")
    async with connected(server, init=False) as client:
        await client.send('{"type": "connection_init", "payload": {"authorization": "let-me-in"}}')
        assert json.loads(await client.recv())["type"] == "connection_ack"
        ending = asyncio.create_task(asyncio.to_thread(server.close))
        assert await closed(client) == (1001, "the server goes away: connect again")
        await ending
