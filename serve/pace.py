"""Whether a model's calls are so quick that a thread would only slow them down."""

from typing import Final

INLINE_BELOW_S: Final = 80e-6
"""Handing a call to a thread and back costs about this; a quicker call runs on the event loop."""

INLINE_ROWS: Final = 64
"""Larger calls always go to the thread: they hold the loop for longer than the measured ones did."""

_WEIGHT: Final = 0.1
_MOST_TIMES: Final = 8.0
"""A single call counts for at most so many times the average: one that the system has interrupted for milliseconds
says nothing of the model, and one that has truly become slow is believed within a few calls."""

_LEAST_S: Final = 10e-6
"""No average counts as shorter than this, or a mean of nothing would never rise."""


class Pace:
    """The moving average of a model's small calls, in seconds."""

    def __init__(self, seconds_per_call: float) -> None:
        """Start from what warming up has measured (infinite: nothing)."""
        self._seconds = min(seconds_per_call, 1.0)  # an infinite mean would never come down

    def inline(self, rows: int) -> bool:
        """True if a call of so many rows belongs on the event loop."""
        return rows <= INLINE_ROWS and self._seconds < INLINE_BELOW_S

    def observe(self, rows: int, seconds: float) -> None:
        """A call of `rows` took so long, wherever it ran."""
        if rows <= INLINE_ROWS:
            most = _MOST_TIMES * max(self._seconds, _LEAST_S)
            self._seconds += _WEIGHT * (min(seconds, most) - self._seconds)
