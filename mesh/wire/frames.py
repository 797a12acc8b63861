"""The frames: what engines and model replicas say to each other.

An engine (client) says Hello, Request and Ping; a replica (server) says Welcome, Reply, Failure, GoAway and
Pong. Their bytes are laid out in `docs/wire.md`.
"""

from dataclasses import dataclass, field
from typing import Final

from mesh.routing.types import Scored, Tensors

PROTOCOL: Final = 1
"""The version of the protocol that this code speaks. Both sides must speak the same one."""

DEFAULT_MAX_FRAME_BYTES: Final = 64 * 1024 * 1024
DEFAULT_MAX_CALLS: Final = 128
CONNECTION: Final = 0
"""The id of a Failure that ends the connection instead of one call. Calls count from 1."""

INVALID_INPUT: Final = "invalid_input"
UNAVAILABLE: Final = "unavailable"
OVERLOADED: Final = "overloaded"
DEADLINE: Final = "deadline"
INTERNAL: Final = "internal"
BAD_PROTOCOL: Final = "protocol"
BAD_SECRET: Final = "secret"  # noqa: S105  the name of a failure
BAD_MODEL: Final = "model"


@dataclass(frozen=True, slots=True)
class Hello:
    """Opens a connection. `max_frame_bytes` is the largest frame that the client takes."""

    protocol: int
    model: str
    secret: str = field(repr=False)
    max_frame_bytes: int = DEFAULT_MAX_FRAME_BYTES


@dataclass(frozen=True, slots=True)
class Welcome:
    """Accepts a connection. The client keeps to `max_frame_bytes` a frame and `max_calls` open calls."""

    protocol: int
    model: str
    version: str
    replica_id: str
    max_frame_bytes: int = DEFAULT_MAX_FRAME_BYTES
    max_calls: int = DEFAULT_MAX_CALLS


@dataclass(frozen=True, slots=True)
class Request:
    """Score these rows. Every tensor has `rows` rows.

    `time_left_ms` is what is left of the caller's time as this is sent (0: no limit); never a point in time,
    because the clocks of two machines differ. `queued_rows` is how many more rows wait at the caller for
    this model.
    """

    id: int
    tensors: Tensors
    rows: int
    time_left_ms: int = 0
    queued_rows: int = 0


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model said. `rows_waiting` is the replica's load: rows that it holds and has not answered."""

    id: int
    scored: Scored
    rows_waiting: int = 0


@dataclass(frozen=True, slots=True)
class Failure:
    """A call without an answer or, with id `CONNECTION`, no connection. `kind` is one of the names above."""

    id: int
    kind: str
    message: str
    retry_after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class GoAway:
    """Send no more calls here; those that are out will be answered."""

    reason: str


@dataclass(frozen=True, slots=True)
class Ping:
    """Are you there? `token` comes back in the Pong."""

    token: int = 0


@dataclass(frozen=True, slots=True)
class Pong:
    """I am."""

    token: int = 0


Frame = Hello | Welcome | Request | Reply | Failure | GoAway | Ping | Pong
