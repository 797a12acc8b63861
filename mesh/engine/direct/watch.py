"""Is the replica still there? The decision alone: time and observations are arguments."""

from typing import Literal

from mesh.engine.direct.limits import LinkLimits

Verdict = Literal["fine", "ping", "give up"]


class Watch:
    """Judges a link from what was seen since the last look. Look every `period_s`."""

    def __init__(self, limits: LinkLimits, now: float) -> None:
        self._limits = limits
        self._heard_at = self._looked_at = now
        self._pinged_at: float | None = None
        self._unsent = 0
        self.period_s = min(limits.ping_s, limits.pong_timeout_s) / 2

    def look(self, now: float, *, heard: bool, unsent: int, busy: bool) -> Verdict:
        """`heard`: bytes came since the last look; `unsent`: bytes not sent yet; `busy`: calls are out."""
        # A socket that takes bytes is a sign of life too: a long request on a slow network delays the ping.
        alive = heard or unsent < self._unsent
        # And if this process itself stood still, what came meanwhile has not been read yet: look again first.
        stood_still = now - self._looked_at > 2 * self.period_s
        self._looked_at, self._unsent = now, unsent
        if alive:
            self._heard_at, self._pinged_at = now, None
        if self._pinged_at is not None:
            overdue = now - self._pinged_at >= self._limits.pong_timeout_s
            return "give up" if overdue and not stood_still else "fine"
        if now - self._heard_at >= (self._limits.ping_s if busy else self._limits.idle_ping_s):
            self._pinged_at = now
            return "ping"
        return "fine"
