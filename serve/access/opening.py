"""The gate of one process, and how it learns of tokens before the records are there."""

import asyncio
import getpass
import os

from mesh.records.bearer import Bearers, Find
from mesh.records.tokens import Token
from mesh.security.pace import Pace
from mesh.settings import Settings
from serve.access.gate import Gate


class LateTokens:
    """Where tokens are looked up: whoever asks before `know` waits, for as long as `Bearers` lets a look-up take.

    Lives on one event loop.
    """

    def __init__(self) -> None:
        self._known: asyncio.Future[Find] = asyncio.get_running_loop().create_future()

    def know(self, find: Find) -> None:
        """They are looked up by `find` from now on."""
        self._known.set_result(find)

    async def find(self, identifier: str) -> Token | None:
        """The token of this id. Raises what the look-up raises."""
        find = await asyncio.shield(self._known)
        return await find(identifier)


def gate_of(find: Find, settings: Settings) -> Gate:
    """A gate whose tokens `find` looks up. Each router lets through its share of what a token may ask."""
    rate = settings.rate_limit
    pace = None if rate is None else Pace(rate / settings.routers, rate / settings.routers)
    return Gate(Bearers(find), settings.access, local_user(), pace=pace)


def local_user() -> str:
    """Who this process runs as."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return f"uid-{os.getuid()}"
