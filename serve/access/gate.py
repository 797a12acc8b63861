"""Who a request is from. A token says so; without one, whoever sits at the machine that the mesh runs on is its user."""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from mesh.errors import Forbidden, StoreAway, Unauthenticated
from mesh.records.audit_log import now_ms
from mesh.records.entry import Actor
from mesh.records.tokens import ASK, Token, check, parts
from mesh.settings import Access
from serve.access.origin import crossed, from_this_machine

Find = Callable[[str], Awaitable[Token | None]]

HOW: Final = f"send the header 'Authorization: Bearer TOKEN'; {ASK}"
KEPT_S: Final = 2.0
"""How long a token that was looked up is not looked up again: so long a revoked one may still pass."""
STALE_S: Final = 300.0
"""How long a token that was valid passes while the database does not answer."""
_MAX_KEPT: Final = 10_000

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_READING_POSTS: Final = frozenset({"/v2/repository/index", "/graphql"})
"""What only reads although it is a POST. GraphQL here has queries and subscriptions, and no mutations."""
_OPEN: Final = ("/healthz", "/v2/health/live", "/v2/health/ready", "/whoami")
"""What needs no token even where all calls do: probes send none."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What of a request tells who it is from. Header names are in lower case.

    `listener_local` says that only this machine reaches the port that it came by.
    """

    method: str
    path: str
    headers: Mapping[bytes, bytes]
    peer: str | None
    listener_local: bool

    @property
    def changes(self) -> bool:
        """It may change something."""
        return self.method not in _SAFE and self.path not in _READING_POSTS


class Gate:
    """Tells who asks and refuses what nobody may ask; what a role may do is each route's own to say (`needs`)."""

    def __init__(
        self,
        find: Find,
        access: Access,
        user: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], int] = now_ms,
    ) -> None:
        """`find` looks tokens up, `user` is who sits at this machine; `clock` is in seconds, `now` in ms since 1970."""
        self._find, self.access, self._user = find, access, user
        self._clock, self._now = clock, now
        self._kept: dict[str, tuple[float, Token | None]] = {}

    async def admit(self, asked: Asked) -> Actor | None:
        """Who asks; None for an unnamed reader where reading is free.

        Raises `Unauthenticated` for a wrong token or where one is needed, `Forbidden` where a page of another site asks through
        a browser on this machine, `StoreAway` where the token cannot be looked up.
        """
        authorization = asked.headers.get(b"authorization")
        if authorization is not None:
            return await self.bearer(authorization.decode("latin-1"))
        if self.access == "local" and from_this_machine(asked.peer, asked.headers, asked.listener_local):
            if not asked.changes or not crossed(asked.headers):
                return Actor(self._user, "admin", "local")
            raise Forbidden(
                "a page of another site may change nothing here: the request's origin is not this server"
            )
        if asked.changes or (self.access == "all" and asked.path not in _OPEN):
            raise Unauthenticated(f"{asked.method} {asked.path} needs a token: {HOW}")
        return None

    async def admit_inference(self, authorization: str | None) -> None:
        """As `serve.oip.ports.Admission`: rows need a token where all calls do."""
        if self.access != "all":
            return
        if authorization is None:
            raise Unauthenticated(f"every call needs a token here: {HOW}")
        await self.bearer(authorization)

    async def bearer(self, authorization: str) -> Actor:
        """Who the value of an `Authorization` header names. Raises `Unauthenticated`, `StoreAway`."""
        scheme, _, text = authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthenticated(f"the scheme '{scheme[:20]}' is not known: {HOW}")
        identifier, secret = parts(text.strip())
        token = check(secret, await self._looked_up(identifier), self._now())
        return Actor(token.actor, token.role, f"token:{token.id}")

    async def _looked_up(self, identifier: str) -> Token | None:
        at = self._clock()
        kept = self._kept.get(identifier)
        if kept is not None and at - kept[0] < KEPT_S:
            return kept[1]
        try:
            token = await self._find(identifier)
        except StoreAway:
            if kept is None or kept[1] is None or at - kept[0] > STALE_S:
                raise
            return kept[1]
        if len(self._kept) >= _MAX_KEPT:
            self._kept.clear()
        self._kept[identifier] = (at, token)
        return token
