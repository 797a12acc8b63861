"""What all connections of one fast lane share: the application, the limits, and the work under way."""

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from serve.http.app import MeshApp
from serve.http.errors import HttpRefusal

if TYPE_CHECKING:
    from serve.http.connection import Connection
    from serve.http.exchanges import Exchange


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What one connection may cost, and how many there may be.

    `header_s` is the time from a request's first byte to the end of its headers, and from connecting to that first byte;
    `keep_alive_s` the time between requests; `write_s` how long a client may leave its replies unread. `held_bytes`
    bounds the unfinished and the unpacked bodies of all connections together, and those of calls that are no inference.
    `sweep_s` is how often the times are looked at.
    """

    connections: int = 8192
    header_bytes: int = 65_536
    header_s: float = 10.0
    keep_alive_s: float = 75.0
    write_s: float = 60.0
    held_bytes: int = 1 << 30
    sweep_s: float = 1.0


@dataclass(slots=True, eq=False)
class Lane:
    """Shared by the connections of one server."""

    app: MeshApp
    limits: ConnectionLimits
    loop: asyncio.AbstractEventLoop
    connections: "set[Connection]" = field(default_factory=set)
    under_way: "set[Exchange]" = field(default_factory=set)
    held_bytes: int = 0
    draining: bool = False

    def hold(self, size: int) -> HttpRefusal | None:
        """Count bytes of a body as held; the refusal if they are too many for all connections together."""
        self.held_bytes += size
        if self.held_bytes > self.limits.held_bytes:
            return HttpRefusal(503, "too many large requests are under way", {"retry-after": "1"})
        return None
