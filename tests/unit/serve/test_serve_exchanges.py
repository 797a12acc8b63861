"""What an ASGI application is told of a request's body, and of its end."""

import asyncio
from types import SimpleNamespace

from serve.http.exchanges import AsgiExchange
from tests.fakes.waiting import turns


def exchange() -> AsgiExchange:
    async def write(_data) -> None:
        pass

    limits = SimpleNamespace(api_bytes=100)
    lane = SimpleNamespace(
        app=SimpleNamespace(limits=limits), hold=lambda _: None, held_bytes=0, draining=False
    )
    connection = SimpleNamespace(
        lane=lane, write=write, pause_reading=lambda: None, resume_reading=lambda: None
    )
    return AsgiExchange(connection, {"method": "POST", "headers": []}, keep_alive=True)


async def test_after_its_body_nothing_comes_until_the_client_goes():
    one = exchange()
    one.feed(b"{}")
    one.complete = True
    one.release()
    assert await one.receive() == {"type": "http.request", "body": b"{}", "more_body": False}
    waiting = asyncio.create_task(one.receive())
    await turns()
    assert not waiting.done()
    one.task = waiting  # as one that has been started
    one.left()
    assert await waiting == {"type": "http.disconnect"}
    assert await one.receive() == {"type": "http.disconnect"}


async def test_who_listens_for_the_end_hears_of_the_answer():
    one = exchange()
    one.complete = True
    one.release()
    assert (await one.receive())["more_body"] is False
    waiting = asyncio.create_task(one.receive())
    await asyncio.sleep(0)
    await one.send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await one.send({"type": "http.response.body", "body": b"{}"})
    assert await waiting == {"type": "http.disconnect"}


async def test_pieces_of_a_body_come_as_they_do():
    one = exchange()
    waiting = asyncio.create_task(one.receive())
    await asyncio.sleep(0)
    one.feed(b"a")
    assert await waiting == {"type": "http.request", "body": b"a", "more_body": True}
    one.complete = True
    one.release()
    assert await one.receive() == {"type": "http.request", "body": b"", "more_body": False}
