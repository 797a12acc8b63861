"""Seconds, bytes and counts of the two ends of the direct path."""

from dataclasses import dataclass

from mesh.wire.frames import DEFAULT_MAX_FRAME_BYTES


@dataclass(frozen=True, slots=True)
class LinkLimits:
    """The engine's end.

    A replica that was not heard for `ping_s` while calls are out (`idle_ping_s` while none are) is pinged;
    one that is not heard within `pong_timeout_s` of that is given up. While more than `high_water_bytes` are
    unsent, calls are held back; beyond `max_held_bytes` held back, they are refused. `max_frame_bytes` bounds
    replies.
    """

    max_frame_bytes: int = DEFAULT_MAX_FRAME_BYTES
    ping_s: float = 5.0
    pong_timeout_s: float = 10.0
    idle_ping_s: float = 60.0
    high_water_bytes: int = 1024 * 1024
    max_held_bytes: int = DEFAULT_MAX_FRAME_BYTES


@dataclass(frozen=True, slots=True)
class ListenerLimits:
    """The replica's end, beside what its Welcome announces: `max_frame_bytes` and `max_calls`.

    A connection has `handshake_s` to greet. One that is silent for `idle_s` without calls in work, or that
    does not read its replies for as long, is closed; links ping far more often. `grace_s` is how long a
    connection that was told to go away may stay without calls.
    """

    max_connections: int = 256
    handshake_s: float = 5.0
    idle_s: float = 180.0
    grace_s: float = 1.0
    high_water_bytes: int = 1024 * 1024
