"""How often each caller may ask: a token bucket a caller (https://en.wikipedia.org/wiki/Token_bucket).

Pure, `now` is an argument.
"""

from dataclasses import dataclass

MAX_CALLERS = 10_000
"""Buckets that are kept; those that are full again say nothing and go first."""


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float


class Pace:
    """At most `rate` requests a second of one caller on average, and `burst` at once."""

    def __init__(self, rate: float, burst: float) -> None:
        """Both are above 0; a burst under 1 would let nothing pass, so it is 1 at least."""
        self.rate, self.burst = rate, max(1.0, burst)
        self._buckets: dict[str, _Bucket] = {}

    def take(self, caller: str, now: float) -> float:
        """0 where the caller may go on, else the seconds after which it may. `now` is in seconds and never goes back."""
        bucket = self._buckets.get(caller)
        if bucket is None:
            self._make_room(now)
            self._buckets[caller] = _Bucket(self.burst - 1.0, now)
            return 0.0
        bucket.left = min(self.burst, bucket.left + (now - bucket.at) * self.rate)
        bucket.at = now
        if bucket.left >= 1.0:
            bucket.left -= 1.0
            return 0.0
        return (1.0 - bucket.left) / self.rate

    def _make_room(self, now: float) -> None:
        if len(self._buckets) < MAX_CALLERS:
            return
        busy = {
            name: bucket
            for name, bucket in self._buckets.items()
            if bucket.left + (now - bucket.at) * self.rate < self.burst
        }
        # Callers are people and machines with a token: so many at once are none of ours, and forgetting them costs one burst.
        self._buckets = busy if len(busy) < MAX_CALLERS else {}
