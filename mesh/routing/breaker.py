"""A circuit breaker: stop calling what fails or drags, try a few calls after a while.

The semantics are resilience4j's CircuitBreaker (its documentation, "CircuitBreaker"): rates of failed and of
slow calls over a sliding window of the last calls, a minimum of calls before rates count, a wait while open,
and a few permitted calls while half open that decide. One difference: calls older than `window_s` leave the
window, so that yesterday's failures of a quiet model do not count today.
"""

from collections import deque
from dataclasses import dataclass
from typing import Literal

BreakerState = Literal["closed", "half_open", "open"]


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """When to open and for how long. Rates are shares, 0 to 1, reached or passed; times are seconds.

    `failure_rate`: failed calls of those in the window. `slow_rate`: calls that took `slow_s` or longer,
    failed or not. `window_calls` and `window_s` bound the window. `min_calls` come before rates count.
    `open_s` is the wait before probes, `probes` is how many of them decide.
    """

    failure_rate: float = 0.5
    slow_rate: float = 1.0
    slow_s: float = 10.0
    window_calls: int = 100
    window_s: float = 30.0
    min_calls: int = 10
    open_s: float = 5.0
    probes: int = 3

    def __post_init__(self) -> None:
        for name in ("failure_rate", "slow_rate"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name} must be above 0 and at most 1, not {getattr(self, name)}")
        for name in ("slow_s", "window_s", "open_s"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, not {getattr(self, name)}")
        for name in ("window_calls", "min_calls", "probes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.min_calls > self.window_calls:
            raise ValueError(
                f"min_calls ({self.min_calls}) is more than the window holds ({self.window_calls})"
            )


class Breaker:
    """The state of one breaker. `now` is any clock that only moves forward, in seconds. Not thread-safe.

    Ask `allow` before each call and report each allowed call's end with `succeeded` or `failed`.
    """

    __slots__ = ("_calls", "_failures", "_permits", "_policy", "_since", "_slow", "_state")

    def __init__(self, policy: BreakerPolicy) -> None:
        """Closed, with an empty window."""
        self._policy = policy
        self._state: BreakerState = "closed"
        self._since = 0.0  # when it last opened or half opened
        self._permits = 0  # probes still to hand out while half open
        self._calls: deque[tuple[float, bool, bool]] = deque()
        self._failures = 0
        self._slow = 0

    @property
    def state(self) -> BreakerState:
        """As of the last call of a method; an open breaker becomes half open when it is next asked."""
        return self._state

    def state_at(self, now: float) -> BreakerState:
        """For whoever watches. One that nobody asks any more is open while the calls that opened it are in the window."""
        told_s = max(self._policy.open_s, self._policy.window_s)
        stale = self._state == "open" and now - self._since >= told_s
        return "half_open" if stale else self._state

    def retry_after_s(self, now: float) -> float:
        """Seconds until it may be asked again; 0 unless it is open."""
        return max(0.0, self._since + self._policy.open_s - now) if self._state == "open" else 0.0

    def allow(self, now: float) -> bool:
        """Whether a call may be made now. While half open, each True is one of the probes."""
        if self._state == "closed":
            return True
        if now - self._since >= self._policy.open_s:
            # The wait is over; or probes were handed out and never reported, and would block it for ever.
            self._enter("half_open", now)
            self._permits = self._policy.probes
        if self._permits > 0:
            self._permits -= 1
            return True
        return False

    def succeeded(self, now: float, seconds: float) -> None:
        """A call came back after `seconds`."""
        self._report(now, failed=False, slow=seconds >= self._policy.slow_s)

    def failed(self, now: float, seconds: float = 0.0) -> None:
        """A call raised, broke or ran out of time after `seconds`."""
        self._report(now, failed=True, slow=seconds >= self._policy.slow_s)

    def _report(self, now: float, *, failed: bool, slow: bool) -> None:
        if self._state == "open":  # the end of a call that began before it opened
            return
        self._calls.append((now, failed, slow))
        self._failures += failed
        self._slow += slow
        self._forget(now)
        policy = self._policy
        count = len(self._calls)
        probing = self._state == "half_open"
        if count < (policy.probes if probing else policy.min_calls):
            return
        if self._failures >= policy.failure_rate * count or self._slow >= policy.slow_rate * count:
            self._enter("open", now)
        elif probing:
            self._enter("closed", now)

    def _forget(self, now: float) -> None:
        calls, policy = self._calls, self._policy
        while len(calls) > policy.window_calls or calls[0][0] < now - policy.window_s:
            _, failed, slow = calls.popleft()
            self._failures -= failed
            self._slow -= slow

    def _enter(self, state: BreakerState, now: float) -> None:
        self._state = state
        self._since = now
        self._permits = 0
        self._calls.clear()
        self._failures = self._slow = 0
