"""Who may read. The one question that GraphQL asks of whoever keeps tokens and roles."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


class Denied(Exception):
    """The caller may not read; the message says why, and never what was presented."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, as it is known; connections are counted by this name where it is not empty."""

    name: str = ""


class Access(Protocol):
    """Lets callers in."""

    async def admit(self, headers: Mapping[str, str], presented: Mapping[str, object]) -> Caller:
        """The caller behind a request or a connection. Raises `Denied`, and a `MeshError` where trying again may help.

        `headers` have names in lower case; `presented` is the payload of `connection_init`, empty over HTTP, where a browser
        that cannot set headers on a WebSocket puts its token.
        """
        ...


class Anyone:
    """Everybody reads, as on a machine of one's own."""

    async def admit(self, headers: Mapping[str, str], presented: Mapping[str, object]) -> Caller:  # noqa: ARG002
        """As `Access.admit`; never refuses."""
        return Caller()
