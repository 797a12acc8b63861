"""A router whose API cannot be opened has ports that answer already: they are closed in order."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from mesh.errors import InvalidConfig
from serve.router import opened_or_closed


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
