"""The port that Prometheus scrapes, against clients that are slow, silent or many."""

import asyncio
import socket

import pytest

from mesh.cluster import metrics_port
from mesh.cluster.metrics_port import MetricsPort
from mesh.errors import StoreAway
from tests.fakes.machine import free_port

ASK = b"GET /metrics HTTP/1.1\r\nHost: mesh\r\n\r\n"


@pytest.fixture
async def listening(monkeypatch):
    """Begins a port over `exposition`, which waits `patience_s` for its clients; gives its number."""
    tasks = []

    async def begin(exposition, patience_s=60.0):
        monkeypatch.setattr(metrics_port, "_REQUEST_S", patience_s)
        number = free_port()
        tasks.append(asyncio.create_task(MetricsPort("127.0.0.1", number, exposition).serve_forever()))
        async with asyncio.timeout(60):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", number)
                except OSError:
                    await asyncio.sleep(0.01)
                else:
                    writer.close()
                    await writer.wait_closed()
                    return number

    yield begin
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def answer(number, ask=ASK):
    reader, writer = await asyncio.open_connection("127.0.0.1", number)
    try:
        writer.write(ask)
        return await asyncio.wait_for(reader.read(), 60)
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_a_page_is_told_whole_and_a_refusal_in_words(listening):
    number = await listening(lambda: b"up 1\n" * 200_000)
    head, _, body = (await answer(number)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK")
    assert len(body) == 1_000_000

    def away():
        raise StoreAway("the scoreboard", "it began anew")

    said = await answer(await listening(away))
    assert said.startswith(b"HTTP/1.1 503 ")
    assert b"it began anew" in said


async def test_whoever_asks_and_never_reads_holds_no_page(listening):
    page = b"x" * (32 << 20)
    number = await listening(lambda: page, 0.3)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", number))
        client.sendall(ASK)
        await asyncio.sleep(1.0)
        client.settimeout(30.0)
        got = await asyncio.to_thread(_all_of, client)
    assert got < len(page)


def _all_of(client):
    got = 0
    try:
        while part := client.recv(1 << 20):
            got += len(part)
    except OSError:
        pass
    return got


async def test_silent_connections_are_so_many_at_most(listening):
    number = await listening(lambda: b"up 1\n")
    held = [await asyncio.open_connection("127.0.0.1", number) for _ in range(metrics_port._MAX_CONNECTIONS)]
    assert await answer(number) == b""
    for _, writer in held:
        writer.close()
    async with asyncio.timeout(60):  # until their ends are noticed
        while not (said := await answer(number)):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert said.endswith(b"up 1\n")
