"""How far a client has read, by the pings that it answered. Pure: `now` is an argument.

A server cannot see whether a client reads: Ray Serve's proxies take whatever is sent. But graphql-transport-ws obliges a
client to answer a Ping as soon as possible (https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md), and it finds the
Ping behind all that was sent before. So a Pong says that all of that was read.
"""

from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FlowPolicy:
    """As the fields of these names in `serve.graphql.limits.Limits`."""

    ping_s: float
    pong_s: float
    unread: int
    unread_bytes: int


@dataclass(frozen=True, slots=True)
class _Ping:
    messages: int
    bytes: int
    at: float


class Flow:
    """What was sent on one connection, and what of it was read."""

    def __init__(self, policy: FlowPolicy, now: float) -> None:
        self._policy = policy
        self._messages = self._bytes = 0
        self._read = _Ping(0, 0, now)
        self._last = self._read
        self._waiting: deque[_Ping] = deque()

    @property
    def room(self) -> bool:
        """One more message may be sent."""
        policy = self._policy
        return (
            self._messages - self._read.messages < policy.unread
            and self._bytes - self._read.bytes < policy.unread_bytes
        )

    def sent(self, size: int) -> None:
        """A message of `size` bytes was sent."""
        self._messages += 1
        self._bytes += size

    def ping_due(self, now: float) -> bool:
        """A quarter of what may be unread was sent since the last ping, or that was long ago."""
        policy, last = self._policy, self._last
        return (
            4 * (self._messages - last.messages) >= policy.unread
            or 4 * (self._bytes - last.bytes) >= policy.unread_bytes
            or now - last.at >= policy.ping_s
        )

    def pinged(self, now: float) -> None:
        """A ping was sent."""
        self._last = _Ping(self._messages, self._bytes, now)
        self._waiting.append(self._last)

    def ponged(self) -> None:
        """The oldest ping was answered. A pong that nobody asked for, which clients may send, says nothing."""
        if self._waiting:
            self._read = self._waiting.popleft()

    def overdue(self, now: float) -> bool:
        """The oldest ping should have been answered by now."""
        return bool(self._waiting) and now - self._waiting[0].at >= self._policy.pong_s
