"""Staying awake for an answer that comes at once: an event loop that falls asleep for 100 µs pays as much for waking up.

Adaptive busy polling, as Linux's haltpoll governor does it for virtual processors: while a single call is out whose like
has been answered quickly of late, the loop polls its sockets without going to sleep, for a bounded time.
"""

import time
from collections.abc import Callable
from typing import Final, Protocol

QUICK_S: Final = 400e-6
"""Answers that usually take longer are slept for: waking up is then a small part of them."""

LIMIT_S: Final = 500e-6
"""The longest that the loop stays awake for one answer."""

_WEIGHT: Final = 0.1
_COUNTS_AS_S: Final = 1e-3
"""A slower answer counts as this, so that a model that was slow once is soon believed to be quick again."""


class Loop(Protocol):
    """What is used of an event loop."""

    def call_soon(self, callback: Callable[[], None]) -> object:
        """Run it in the next turn; while something waits for that, the loop does not sleep."""
        ...


class Vigil:
    """Tell it of a call when no other is out, and of its answer."""

    def __init__(self, loop: Loop, clock: Callable[[], float] = time.monotonic) -> None:
        """Believes answers to be slow until it has seen some that are not."""
        self._loop, self._clock = loop, clock
        self._usual_s = _COUNTS_AS_S
        self._call = 0
        self._began = self._ends = 0.0
        self._awake = False

    def began(self, call: int) -> None:
        """The only call that is out has been sent."""
        now = self._clock()
        self._call, self._began = call, now
        if self._usual_s < QUICK_S:
            self._ends = now + LIMIT_S
            if not self._awake:
                self._awake = True
                self._loop.call_soon(self._turn)

    def answered(self, call: int) -> None:
        """An answer came; that of another call says nothing."""
        if call == self._call:
            took = min(self._clock() - self._began, _COUNTS_AS_S)
            self._usual_s += _WEIGHT * (took - self._usual_s)
            self._call, self._ends = 0, 0.0

    def _turn(self) -> None:
        if self._clock() < self._ends:
            self._loop.call_soon(self._turn)
        else:
            self._awake = False
