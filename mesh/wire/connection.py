"""Which frame may come when: the two ends of a connection, without a socket, a clock or a task.

Every rule about order is in the four tables. An end is given bytes, gives frames, and turns frames into
bytes; who carries them is no matter of this file. Anything out of place is a `WireError`, and the connection
is over.
"""

import hmac
from collections.abc import Mapping
from enum import Enum, auto
from typing import Final

from mesh.wire.codec import decode, encode
from mesh.wire.errors import Refused, WireError
from mesh.wire.frames import (
    BAD_MODEL,
    BAD_PROTOCOL,
    BAD_SECRET,
    CONNECTION,
    PROTOCOL,
    Failure,
    Frame,
    GoAway,
    Hello,
    Ping,
    Pong,
    Reply,
    Request,
    Welcome,
)
from mesh.wire.reader import FrameReader
from mesh.wire.sections import Buffer

HANDSHAKE_BYTES: Final = 8 * 1024
"""No frame may be larger before both sides have greeted: a stranger cannot make anyone hold memory."""


class State(Enum):
    """Where a connection stands. The transport's own end is not part of it."""

    GREETING = auto()
    OPEN = auto()
    GOING_AWAY = auto()


Table = Mapping[State, Mapping[type, State]]

_CLIENT_SENDS: Final[Table] = {
    State.GREETING: {Hello: State.GREETING},
    State.OPEN: {Request: State.OPEN, Ping: State.OPEN, Pong: State.OPEN},
    State.GOING_AWAY: {Ping: State.GOING_AWAY, Pong: State.GOING_AWAY},
}
_SERVER_SENDS: Final[Table] = {
    State.GREETING: {Welcome: State.OPEN, Failure: State.GREETING},
    State.OPEN: {
        Reply: State.OPEN,
        Failure: State.OPEN,
        Ping: State.OPEN,
        Pong: State.OPEN,
        GoAway: State.GOING_AWAY,
    },
    State.GOING_AWAY: {
        Reply: State.GOING_AWAY,
        Failure: State.GOING_AWAY,
        Ping: State.GOING_AWAY,
        Pong: State.GOING_AWAY,
    },
}
_CLIENT_TAKES: Final[Table] = _SERVER_SENDS
# Requests that were under way when the server said GoAway are still served.
_SERVER_TAKES: Final[Table] = {
    State.GREETING: {Hello: State.GREETING},
    State.OPEN: _CLIENT_SENDS[State.OPEN],
    State.GOING_AWAY: {
        Request: State.GOING_AWAY,
        Ping: State.GOING_AWAY,
        Pong: State.GOING_AWAY,
    },
}


class Connection:
    """What both ends share: a reader, a state, and the tables that move it."""

    __slots__ = ("_sends", "_takes", "peer_max_frame_bytes", "reader", "state")

    def __init__(self, takes: Table, sends: Table) -> None:
        self._takes, self._sends = takes, sends
        self.state = State.GREETING
        self.reader = FrameReader(HANDSHAKE_BYTES)
        self.peer_max_frame_bytes = HANDSHAKE_BYTES

    def next_frame(self) -> Frame | None:
        """The next whole frame that came, or None; `WireError` ends the connection, `Refused` by the peer."""
        received = self.reader.next_frame()
        if received is None:
            return None
        frame = decode(received)
        state = self._takes[self.state].get(type(frame))
        if state is None:
            raise WireError(f"a {type(frame).__name__} came while {self.state.name.lower()}")
        if self.state is State.GREETING:
            self._greeted(frame)
        self.state = state
        return frame

    def send(self, frame: Frame) -> list[Buffer]:
        """The bytes of a frame; `WireError`, and nothing changes, where it is not allowed or too large."""
        state = self._sends[self.state].get(type(frame))
        if state is None:
            raise WireError(f"a {type(frame).__name__} cannot be sent while {self.state.name.lower()}")
        buffers = encode(frame, self.peer_max_frame_bytes)
        self.state = state
        return buffers

    def farewell(self, error: WireError) -> list[Buffer]:  # noqa: ARG002  the server's end has more to say
        """What to send before closing because of `error`."""
        return []

    def _greeted(self, frame: Frame) -> None:
        """Check the peer's greeting."""


class ClientConnection(Connection):
    """The engine's end: `send(hello)`, then a Welcome comes, or `Refused` is raised."""

    __slots__ = ("_max_frame_bytes", "welcome")

    def __init__(self, max_frame_bytes: int) -> None:
        super().__init__(_CLIENT_TAKES, _CLIENT_SENDS)
        self._max_frame_bytes = max_frame_bytes
        self.welcome: Welcome | None = None

    def next_frame(self) -> Frame | None:
        """As `Connection.next_frame`; a Failure of the whole connection is raised as `Refused`."""
        frame = super().next_frame()
        if type(frame) is Failure and frame.id == CONNECTION:
            raise Refused(frame)
        return frame

    def _greeted(self, frame: Frame) -> None:
        if isinstance(frame, Welcome):
            if frame.protocol != PROTOCOL:
                raise WireError(f"the replica speaks protocol {frame.protocol}, not {PROTOCOL}")
            self.welcome = frame
            self.peer_max_frame_bytes = frame.max_frame_bytes
            self.reader.max_frame_bytes = self._max_frame_bytes


class ServerConnection(Connection):
    """The replica's end: a Hello comes and is checked; answer it with `send(identity)`.

    A Hello that is not accepted raises `Refused` with the Failure to send before closing.
    """

    __slots__ = ("_identity", "_secret")

    def __init__(self, identity: Welcome, secret: str) -> None:
        super().__init__(_SERVER_TAKES, _SERVER_SENDS)
        self._identity, self._secret = identity, secret

    def _greeted(self, frame: Frame) -> None:
        if not isinstance(frame, Hello):
            return
        if frame.protocol != PROTOCOL:
            reason = f"this replica speaks protocol {PROTOCOL}, not {frame.protocol}"
            raise Refused(Failure(CONNECTION, BAD_PROTOCOL, reason))
        if not hmac.compare_digest(frame.secret.encode(), self._secret.encode()):
            raise Refused(Failure(CONNECTION, BAD_SECRET, "wrong secret"))
        if frame.model != self._identity.model:
            reason = f"this replica hosts '{self._identity.model}', not '{frame.model}'"
            raise Refused(Failure(CONNECTION, BAD_MODEL, reason))
        self.peer_max_frame_bytes = frame.max_frame_bytes
        self.reader.max_frame_bytes = self._identity.max_frame_bytes

    def farewell(self, error: WireError) -> list[Buffer]:
        """A Failure that says what was wrong."""
        failure = (
            error.failure if isinstance(error, Refused) else Failure(CONNECTION, BAD_PROTOCOL, str(error))
        )
        return self.send(failure)
