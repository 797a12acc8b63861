"""How a router opens its API: before Serve hears that it is ready, or beside its rows where it takes the place of another."""

import asyncio
from collections.abc import Awaitable, Coroutine
from contextlib import AsyncExitStack
from typing import Any, Final

from ray import serve
from ray.exceptions import RayError
from ray.serve.schema import ApplicationStatus

from mesh.bounded import within

_ANSWER_S: Final = 2.0


async def runs_already(app: str) -> bool:
    """True where Serve says that application `app` has been deployed whole: what its files say was opened before.

    False where it is being deployed, and where Serve does not answer.
    """
    try:
        found = (await within(_ANSWER_S, asyncio.to_thread(serve.status))).applications.get(app)
    except (RayError, TimeoutError):
        return False
    return found is not None and found.status in (ApplicationStatus.RUNNING, ApplicationStatus.UNHEALTHY)


async def opened_or_closed(opening: Awaitable[None], parts: AsyncExitStack) -> None:
    """Await `opening`; where it fails or is cancelled, close `parts` before that is told.

    Serve kills a replica that did not begin within a moment: what its ports are answering by then would be cut off.
    """
    try:
        await opening
    except BaseException:
        await parts.aclose()
        raise


class OpeningBeside:
    """An API that is opened while rows are answered. Lives on one event loop."""

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None

    def begin(self, opening: Coroutine[Any, Any, None]) -> None:
        """Begin with it, and return at once."""
        self._task = asyncio.create_task(opening)

    def check(self) -> None:
        """Raises what keeps it from being opened."""
        if self._task is not None and self._task.done() and not self._task.cancelled():
            self._task.result()

    async def end(self) -> None:
        """Give it up where it is under way; returns once nothing of it goes on."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
