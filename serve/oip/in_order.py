"""A stream of requests answered concurrently and in order, within a window."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable
from typing import TypeVar

_Request = TypeVar("_Request")
_Reply = TypeVar("_Reply")


async def in_order(
    requests: AsyncIterable[_Request], answer: Callable[[_Request], Awaitable[_Reply]], window: int
) -> AsyncGenerator[_Reply, None]:
    """One reply per request, in the order of the requests, at most `window` of them under way or unread.

    Closing the iterator, or an error of `requests` or `answer`, ends what is under way.
    """
    pending: asyncio.Queue[asyncio.Task[_Reply] | None] = asyncio.Queue()
    room = asyncio.Semaphore(window)
    tasks: set[asyncio.Task[_Reply]] = set()

    async def one(request: _Request) -> _Reply:
        return await answer(request)

    async def read() -> None:
        async for request in requests:
            await room.acquire()
            task = asyncio.create_task(one(request))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            pending.put_nowait(task)

    reader = asyncio.create_task(read())
    reader.add_done_callback(lambda _: pending.put_nowait(None))
    try:
        while (task := await pending.get()) is not None:
            yield await task
            room.release()
        await reader  # it has ended; this raises what ended it
    finally:
        under_way = [reader, *tasks]
        for each in under_way:
            each.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
