"""`needs(role)`: what a route that changes something, or shows what not everybody may see, depends on."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Annotated, Any, Final

from fastapi import Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from mesh.errors import InvalidInput, Unauthenticated
from mesh.records.bearer import HOW
from mesh.records.entry import Actor
from mesh.records.roles import Role, require
from serve.access.views import ApiError

# For the OpenAPI document; the guard before the application is what reads the header.
_BEARER: Final = HTTPBearer(
    auto_error=False, description="An API token (hyperstream token create); see docs/access.md"
)
_Header = Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)]

REFUSALS: Final[dict[int | str, dict[str, Any]]] = {
    401: {"model": ApiError, "description": "No token, or one that is not known, expired or revoked"},
    403: {"model": ApiError, "description": "The role is too small, or a page of another site asks"},
}
"""What a route with `needs` may answer beside its own, for its `responses`."""


def needs(role: Role) -> Callable[[Request, Any], Awaitable[Actor]]:
    """A dependency that gives who asks: `Annotated[Actor, Depends(needs("analyst"))]`.

    Raises `Unauthenticated` and `Forbidden`.
    """

    async def asker(request: Request, _: _Header) -> Actor:
        actor: Actor | None = request.scope.get("state", {}).get("actor")
        if actor is None:
            raise Unauthenticated(f"{request.method} {request.url.path} needs the role {role}: {HOW}")
        require(actor.name, actor.role, role)
        return actor

    return asker


def acting(actor: Actor, said: str | None) -> Actor:
    """`actor` under the name that the request gives, which only this machine's own user may choose.

    Raises `InvalidInput` where a token says another name.
    """
    if said is None or said == actor.name:
        return actor
    if actor.via != "local":
        raise InvalidInput(
            "actor", f"the token is of '{actor.name}'; leave the name out, or take a token of '{said}'"
        )
    return replace(actor, name=said)
