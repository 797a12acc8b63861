"""What a listener calls for each request."""

import asyncio
from collections.abc import Awaitable, Callable

from mesh.wire import Failure, Reply, Request
from mesh.wire.errors import failure_of

Respond = Callable[[Reply | Failure], None]
"""Give the answer, once, with the request's own id; on the event loop's thread. Afterwards, or once the
connection is gone, it does nothing."""

Handler = Callable[[Request, Respond], None]
"""Answer a request: call `respond` now, for work of microseconds, or later. Runs on the event loop: it must
not block. An exception becomes a Failure (`InvalidInput`, `Unavailable`, `Overloaded`, `DeadlineExceeded` as
such, others as internal) and leaves the connection as it is."""


def awaited(answer: Callable[[Request], Awaitable[Reply | Failure]]) -> Handler:
    """A handler from a coroutine function: a task for each request, where callbacks would cost less."""
    tasks: set[asyncio.Task[None]] = set()

    async def run(request: Request, respond: Respond) -> None:
        try:
            respond(await answer(request))
        except Exception as error:  # noqa: BLE001  as for a plain handler: whatever it is, the caller is told
            respond(failure_of(request.id, error))

    def handle(request: Request, respond: Respond) -> None:
        task = asyncio.get_running_loop().create_task(run(request, respond))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    return handle
