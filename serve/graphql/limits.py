"""What one client may cost, and how many there may be. The connections' counts are kept here."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from mesh.errors import InvalidConfig

_PREFIX: Final = "MESH_GRAPHQL_"


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one process. Variables are `MESH_GRAPHQL_` and the field's name in capitals, for the first six.

    | field | meaning |
    |---|---|
    | connections | WebSockets at a time |
    | connections_per_client | of them from one client |
    | subscriptions | operations at a time on one connection |
    | idle_s | a connection without an operation is closed after so long |
    | waiting | predictions or alerts that may wait for one subscription; one more drops it |
    | origins | pages of other origins that may open a WebSocket, separated by commas |
    | document_chars | characters of a document |
    | document_tokens, document_depth, aliases | tokens, levels of fields and aliases of a document |
    | message_bytes | bytes of a WebSocket message or a request's body |
    | init_s | how long a client may take to send `connection_init` |
    | ping_s, pong_s | pause between two pings, and how long a client may take to answer one |
    | unread, unread_bytes | messages and bytes sent after the last ping that was answered; then sending waits |
    """

    connections: int = 2_000
    connections_per_client: int = 1_000
    subscriptions: int = 100
    idle_s: float = 300.0
    waiting: int = 1_000
    origins: tuple[str, ...] = ()
    document_chars: int = 16_384
    document_tokens: int = 1_000
    document_depth: int = 8
    aliases: int = 30
    message_bytes: int = 65_536
    init_s: float = 10.0
    ping_s: float = 10.0
    pong_s: float = 20.0
    unread: int = 1_000
    unread_bytes: int = 8 << 20

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "Limits":
        """Read `environ`; `InvalidConfig` names the variable that is wrong and what it may be."""
        origins = tuple(one.strip() for one in environ.get(f"{_PREFIX}ORIGINS", "").split(",") if one.strip())
        standard = cls()
        return replace(
            standard,
            connections=_number(environ, "CONNECTIONS", standard.connections),
            connections_per_client=_number(
                environ, "CONNECTIONS_PER_CLIENT", standard.connections_per_client
            ),
            subscriptions=_number(environ, "SUBSCRIPTIONS", standard.subscriptions),
            idle_s=float(_number(environ, "IDLE_S", int(standard.idle_s))),
            waiting=_number(environ, "WAITING", standard.waiting),
            origins=origins,
        )


def _number(environ: Mapping[str, str], name: str, default: int) -> int:
    text = environ.get(_PREFIX + name, "").strip()
    if not text:
        return default
    if not (text.isascii() and text.isdigit()) or not 0 < int(text) <= 1_000_000:
        reason = f"'{text}' is not a whole number from 1 to 1000000"
        raise InvalidConfig("environment", 0, _PREFIX + name, reason)
    return int(text)


class Connections:
    """Who is connected. A client that leaves must be let go of once for each time that it was let in."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._of: Counter[str] = Counter()
        self.total = 0

    def enter(self, client: str) -> str | None:
        """Count one more; the reason where there is no room for it, and then it is not counted."""
        limits = self._limits
        if self.total >= limits.connections:
            return f"too many connections: {limits.connections} are open, which is the limit"
        if self._of[client] >= limits.connections_per_client:
            return f"too many connections of this client: the limit is {limits.connections_per_client}"
        self._of[client] += 1
        self.total += 1
        return None

    def leave(self, client: str) -> None:
        """One less."""
        self.total -= 1
        self._of[client] -= 1
        if not self._of[client]:
            del self._of[client]
