"""Who a request is from. A token says so; without one, whoever sits at the machine that the mesh runs on is its user."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from mesh.errors import Forbidden, RateLimited, Unauthenticated
from mesh.records.bearer import HOW, Bearers
from mesh.records.entry import Actor
from mesh.security.pace import Pace
from mesh.settings import Access
from serve.access.certified import actor_of
from serve.access.origin import crossed, from_this_machine
from serve.http.certificate import PeerCertificate

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
    certificate: PeerCertificate | None = None

    @property
    def changes(self) -> bool:
        """It may change something."""
        return self.method not in _SAFE and self.path not in _READING_POSTS


class Gate:
    """Tells who asks and refuses what nobody may ask; what a role may do is each route's own to say (`needs`)."""

    def __init__(
        self,
        bearers: Bearers,
        access: Access,
        user: str,
        *,
        pace: Pace | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`user` is who sits at this machine; `pace` is how often a token may ask, `clock` in seconds."""
        self.bearers, self.access, self._user = bearers, access, user
        self._pace, self._clock = pace, clock

    async def admit(self, asked: Asked) -> Actor | None:
        """Who asks; None for an unnamed reader where reading is free.

        Raises `Unauthenticated` for a wrong token or where one is needed, `Forbidden` where a page of another site asks through
        a browser on this machine or with its certificate, `RateLimited`, `StoreAway` where the token cannot be looked up.
        """
        authorization = asked.headers.get(b"authorization")
        if authorization is not None:
            return self._paced(await self.bearers.actor(authorization.decode("latin-1")))
        if asked.certificate is not None:
            actor = self._uncrossed(asked, actor_of(asked.certificate))
            self._take_certified(actor.name)
            return actor
        if self.access == "local" and from_this_machine(asked.peer, asked.headers, asked.listener_local):
            return self._uncrossed(asked, Actor(self._user, "admin", "local"))
        if asked.changes or (self.access == "all" and asked.path not in _OPEN):
            raise Unauthenticated(f"{asked.method} {asked.path} needs a token: {HOW}")
        return None

    async def admit_inference(self, authorization: str | None, certificate: str | None = None) -> None:
        """As `serve.oip.ports.Admission`: rows need a token or a certificate where all calls do."""
        if self.access != "all":
            return
        if authorization is not None:
            actor = self.bearers.known(authorization) or await self.bearers.actor(authorization)
            self._paced(actor)
        elif certificate is None:
            raise Unauthenticated(f"every call needs a token here: {HOW}")
        else:
            self._take_certified(certificate)

    async def reader(self, authorization: str | None) -> Actor | None:
        """Who reads by other ways than HTTP's routes: None is nobody, where that may be. Raises as `admit`."""
        if authorization is not None:
            return self._paced(await self.bearers.actor(authorization))
        if self.access == "all":
            raise Unauthenticated(f"reading needs a token here: {HOW}")
        return None

    def _uncrossed(self, asked: Asked, actor: Actor) -> Actor:
        """What a browser sends along by itself, its address or its certificate, proves nothing about who wrote the page."""
        if asked.changes and crossed(asked.headers):
            raise Forbidden(
                "a page of another site may change nothing here: the request's origin is not this server"
            )
        return actor

    def _paced(self, actor: Actor) -> Actor:
        if actor.via != "local":
            self._take(actor.via)
        return actor

    def _take_certified(self, name: str) -> None:
        # By the name, not the serial: it is all that every listener knows, and one client is one caller on all of them.
        self._take(f"certificate:{name}")

    def _take(self, caller: str) -> None:
        if self._pace is None:
            return
        wait = self._pace.take(caller, self._clock())
        if wait:
            raise RateLimited(
                f"more than {self._pace.rate:g} requests a second by one token (MESH_RATE_LIMIT); slow down",
                wait,
            )
