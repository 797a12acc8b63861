"""A router whose API cannot be opened has ports that answer already: they are closed in order. One in another's place."""

import asyncio
from contextlib import AsyncExitStack
from types import SimpleNamespace

import pytest
from ray.exceptions import RayActorError
from ray.serve.schema import ApplicationStatus

import serve.opening
from mesh.errors import InvalidConfig
from serve.opening import OpeningBeside, opened_or_closed, runs_already


@pytest.mark.parametrize(
    "error", [InvalidConfig("review.yaml", 1, "lease", "is no time"), asyncio.CancelledError()]
)
async def test_what_is_being_answered_is_answered_before_the_failure_is_told(error):
    events = []
    parts = AsyncExitStack()

    async def drain():
        await asyncio.sleep(0.001)
        events.append("drained")

    async def opening():
        raise error

    parts.push_async_callback(drain)
    with pytest.raises(type(error)):
        await opened_or_closed(opening(), parts)
    assert events == ["drained"]
    await parts.aclose()
    assert events == ["drained"]


async def test_what_is_open_stays_open():
    parts = AsyncExitStack()
    closed = []
    parts.callback(closed.append, "closed")
    await opened_or_closed(asyncio.sleep(0), parts)
    assert not closed


@pytest.mark.parametrize("status", [*ApplicationStatus, None])
async def test_a_router_takes_the_place_of_another_where_its_application_was_deployed_whole(
    monkeypatch, status
):
    found = {} if status is None else {"mesh": SimpleNamespace(status=status)}
    monkeypatch.setattr(
        serve.opening, "serve", SimpleNamespace(status=lambda: SimpleNamespace(applications=found))
    )
    assert await runs_already("mesh") == (status in ("RUNNING", "UNHEALTHY"))


@pytest.mark.parametrize("error", [RayActorError(), TimeoutError()])
async def test_where_serve_does_not_answer_a_router_opens_all_of_itself_first(monkeypatch, error):
    def status():
        raise error

    monkeypatch.setattr(serve.opening, "serve", SimpleNamespace(status=status))
    assert not await runs_already("mesh")


async def test_an_api_that_cannot_be_opened_beside_rows_makes_its_router_unhealthy():
    async def broken():
        raise InvalidConfig("review.yaml", 1, "lease", "is no time")

    beside = OpeningBeside()
    beside.check()
    beside.begin(broken())
    beside.check()
    await asyncio.sleep(0.001)
    with pytest.raises(InvalidConfig, match="is no time"):
        beside.check()
    await beside.end()


async def test_an_api_that_is_being_opened_when_its_router_ends_is_given_up_first():
    events = []

    async def opening():
        try:
            await asyncio.sleep(30)
        finally:
            events.append("given up")

    beside = OpeningBeside()
    await beside.end()
    beside.begin(opening())
    await asyncio.sleep(0)
    await beside.end()
    assert events == ["given up"]
    beside.check()
