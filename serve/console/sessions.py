"""Who is signed in: a random name in a cookie stands for a token, which never leaves this process."""

import hashlib
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

COOKIE: Final = "hyperstream_console"
IDLE_S: Final = 12 * 3600.0
MOST: Final = 1_000


@dataclass(frozen=True, slots=True)
class _Session:
    token: str
    seen: float


class Sessions:
    """Sessions of this process; past `most`, the longest unused goes. Threads may share it."""

    def __init__(
        self, idle_s: float = IDLE_S, most: int = MOST, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._idle_s, self._most, self._clock = idle_s, most, clock
        self._lock = threading.Lock()
        self._sessions: dict[str, _Session] = {}
        self._left: dict[bytes, None] = {}

    def begin(self, token: str) -> str:
        """The new session's name: 256 random bits."""
        name = secrets.token_urlsafe(32)
        with self._lock:
            self._sessions[name] = _Session(token, self._clock())
            while len(self._sessions) > self._most:
                del self._sessions[next(iter(self._sessions))]
        return name

    def token(self, name: str | None) -> str | None:
        """The token of a session that is alive, which it keeps alive; None else."""
        with self._lock:
            session = self._alive(name)
            if name is None or session is None:
                return None
            del self._sessions[name]  # last in order: the longest unused stays first
            self._sessions[name] = _Session(session.token, self._clock())
            return session.token

    def look(self, name: str | None) -> str | None:
        """The same, and a session that is only looked at grows idle: pages ask on by themselves."""
        with self._lock:
            session = self._alive(name)
            return None if session is None else session.token

    def _alive(self, name: str | None) -> _Session | None:
        session = self._sessions.get(name or "")
        if session is not None and self._clock() - session.seen > self._idle_s:
            del self._sessions[name or ""]
            return None
        return session

    def end(self, name: str | None) -> None:
        """Forget it."""
        with self._lock:
            self._sessions.pop(name or "", None)

    def leave(self, account: str) -> None:
        """The cookie of an organisation's account was signed out: it counts no more, also where a browser shows it still."""
        with self._lock:
            self._left[_digest(account)] = None
            while len(self._left) > self._most:
                del self._left[next(iter(self._left))]

    def left(self, account: str) -> bool:
        """Whether it was signed out."""
        with self._lock:
            return _digest(account) in self._left


def _digest(account: str) -> bytes:
    return hashlib.sha256(account.encode()).digest()
