"""How long to wait before trying again: exponential with full jitter over its upper half, free of clocks."""

import random


def unheard(_reason: str) -> None:
    """Tells nobody of a retry."""


class Backoff:
    """Grows from `first_s` to `longest_s`; `reset` after a success."""

    def __init__(self, first_s: float, longest_s: float, source: random.Random | None = None) -> None:
        self._first, self._longest = first_s, longest_s
        self._random = source or random.Random()  # noqa: S311 - spreads retries, guards nothing
        self._next = first_s

    def delay(self, at_least_s: float = 0.0) -> float:
        """Seconds to wait now; never less than what a server asked for, up to `longest_s`."""
        base = self._next
        self._next = min(self._longest, base * 2)
        return max(base * self._random.uniform(0.5, 1.0), min(at_least_s, self._longest))

    def reset(self) -> None:
        """Begin again with the shortest wait."""
        self._next = self._first
