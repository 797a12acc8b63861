"""Waiting for what comes in its own time, which on a busy machine is long: never for a time after which it should have come."""

import asyncio
import time
from collections.abc import Callable


async def eventually(condition: Callable[[], object], seconds: float = 20.0) -> None:
    """Return once it holds; `seconds` are many times what a busy machine takes."""
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, "it did not happen in time"
        await asyncio.sleep(0.01)


async def turns(count: int = 300) -> None:
    """What can go on on this loop without a timer, a thread or a socket has gone on, however slow the machine is."""
    for _ in range(count):
        await asyncio.sleep(0)
