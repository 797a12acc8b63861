"""A bound on a wait that never loses a cancellation."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


async def within(seconds: float, awaitable: Awaitable[T]) -> T:
    """What `awaitable` gives; raises `TimeoutError` after `seconds`.

    `asyncio.wait_for` of Python 3.11 gives the result and forgets a cancellation that comes in the same step
    (bpo-42130, mended in 3.12): a task that is cancelled to be drained would go on for ever.
    """
    async with asyncio.timeout(seconds):
        return await awaitable
