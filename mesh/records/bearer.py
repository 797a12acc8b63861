"""Who the value of an `Authorization` header names: looked up, proved, and remembered for a moment.

A token that was proved a moment ago costs one look into a dictionary. For `KEPT_S` nothing is looked up again; so long a
revoked one may pass.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

from mesh.bounded import within
from mesh.errors import Overloaded, RateLimited, StoreAway, Unauthenticated
from mesh.records.entry import Actor
from mesh.records.times import WAIT_S, now_ms
from mesh.records.tokens import ASK, Token, check, parts
from mesh.security.pace import Pace

Find = Callable[[str], Awaitable[Token | None]]

HOW: Final = f"send the header 'Authorization: Bearer TOKEN'; {ASK}"
KEPT_S: Final = 2.0
"""How long a token that was looked up is not looked up again: so long a revoked one may still pass."""
STALE_S: Final = 300.0
"""How long a token that was valid passes while the database does not answer."""
ANSWER_S: Final = 1.0
"""How long the database may take to answer before a token that was valid passes without it."""
_MAX_KEPT: Final = 10_000
_MAX_TEXT: Final = 256
"""Characters of a header that are looked at: a token has 60."""
_STRANGERS_S: Final = 50.0
"""Look-ups a second of tokens that were not seen before: guessing must not keep the database busy."""


class Bearers:
    """One per process and event loop."""

    def __init__(
        self,
        find: Find,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], int] = now_ms,
    ) -> None:
        """`find` looks a token up by its id; `clock` is in seconds, `now` in ms since 1970."""
        self._find, self._clock, self._now = find, clock, now
        self._proved: dict[str, tuple[float, Actor]] = {}
        self._kept: dict[str, tuple[float, Token]] = {}
        self._asking: dict[str, asyncio.Task[Token | None]] = {}
        self._strangers = Pace(_STRANGERS_S, _STRANGERS_S)

    def known(self, authorization: str) -> Actor | None:
        """Who it names where that was proved within `KEPT_S`."""
        proved = self._proved.get(authorization)
        return proved[1] if proved is not None and self._clock() < proved[0] else None

    async def actor(self, authorization: str) -> Actor:
        """Who it names. Raises `Unauthenticated`, `StoreAway`, `Overloaded`, `RateLimited`."""
        known = self.known(authorization)
        if known is not None:
            return known
        scheme, _, text = authorization[:_MAX_TEXT].partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthenticated(f"the scheme '{scheme[:20]}' is not known: {HOW}")
        identifier, secret = parts(text.strip())
        found = await self._looked_up(identifier)
        now = self._now()
        token = check(secret, found, now)
        actor = Actor(token.actor, token.role, f"token:{token.id}")
        left_s = KEPT_S if token.expires_at is None else min(KEPT_S, (token.expires_at - now) / 1_000)
        if len(self._proved) >= _MAX_KEPT:
            self._proved.clear()
        self._proved[authorization] = (self._clock() + left_s, actor)
        return actor

    async def _looked_up(self, identifier: str) -> Token | None:
        kept = self._kept.get(identifier)
        at = self._clock()
        if kept is not None and at - kept[0] < KEPT_S:
            return kept[1]
        if kept is None:
            wait = self._strangers.take("", at)
            if wait:
                raise RateLimited("too many tokens that are not known here are being tried", wait)
        passes = kept is not None and at - kept[0] <= STALE_S
        try:
            token = await self._ask(identifier, ANSWER_S if passes else WAIT_S)
        except (StoreAway, Overloaded):
            if kept is None or not passes:
                raise
            return kept[1]
        if token is None:
            self._kept.pop(identifier, None)
            return None
        if len(self._kept) >= _MAX_KEPT:
            self._kept.clear()
        self._kept[identifier] = (at, token)
        return token

    async def _ask(self, identifier: str, seconds: float) -> Token | None:
        """One look-up for all who wait for it; whoever gives up, after `seconds` with `StoreAway`, does not end it for others."""
        task = self._asking.get(identifier)
        if task is None:
            task = self._asking[identifier] = asyncio.ensure_future(_found(self._find, identifier))
            task.add_done_callback(lambda done: self._answered(identifier, done))
        try:
            return await within(seconds, asyncio.shield(task))
        except TimeoutError:
            raise StoreAway("the database of records", f"no token was found within {seconds:g} s") from None

    def _answered(self, identifier: str, task: "asyncio.Task[Token | None]") -> None:
        self._asking.pop(identifier, None)
        if not task.cancelled():
            task.exception()  # whoever waits hears of it; where nobody does any more, it is no news


async def _found(find: Find, identifier: str) -> Token | None:
    return await find(identifier)
