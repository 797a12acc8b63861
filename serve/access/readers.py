"""Who may read over GraphQL: the gate, as `serve.graphql.access.Access`."""

from collections.abc import Mapping

from mesh.errors import Forbidden, Unauthenticated
from serve.access.gate import Gate
from serve.graphql.access import Caller, Denied


class Readers:
    """By the header `Authorization`, or by `authorization` in the payload of `connection_init`.

    A page cannot set headers on a WebSocket.
    """

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def admit(self, headers: Mapping[str, str], presented: Mapping[str, object]) -> Caller:
        """As `Access.admit`. A wrong token is refused also where none is needed.

        What says nothing about the token, a rate or a database that is away, is told as what it is.
        """
        shown = headers.get("authorization") or next(
            (value for key, value in presented.items() if key.lower() == "authorization"), None
        )
        if shown is not None and not isinstance(shown, str):
            raise Denied("authorization: must be the text 'Bearer TOKEN'")
        try:
            actor = await self._gate.reader(shown)
        except (Forbidden, Unauthenticated) as error:
            raise Denied(str(error)) from error
        return Caller() if actor is None else Caller(actor.name)
