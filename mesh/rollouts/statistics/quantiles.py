"""A quantile at any time, from a histogram.

For the quantile Q at level q, each value is at or below Q with probability q. So of n values the number at or below a bound x
refutes "Q is x" as a proportion refutes q, by the beta-binomial mixture with the prior of Howard and Ramdas, "Sequential
estimation of quantiles with applications to A/B testing and best-arm identification", Bernoulli 28, 2022, §3 and Theorem 1
(b), which is what PyPI's `confseq` computes. What is not refuted is a confidence sequence for Q.

Values are counted in bins 1 % wide, so that a million of them cost as much as ten and counts of several processes add up.
An edge of the interval is rounded outwards to the edge of its bin.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from math import floor, inf, log
from typing import Final

from mesh.rollouts.statistics.beta_binomial import log_evidence

BIN: Final = 1.01
"""The ratio of a bin's edges."""
LOWEST: Final = 1e-3
"""What is smaller counts as this."""
BINS: Final = 1_900
"""Up to LOWEST * BIN ** BINS, about 1.6e5."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts by bin; bin b holds values in [LOWEST * BIN**b, LOWEST * BIN**(b+1))."""

    counts: Mapping[int, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """How many values."""
        return sum(self.counts.values())

    def with_values(self, values: Iterable[float]) -> "Histogram":
        """With these counted too. NaN counts as the largest: a time that nobody knows was not short."""
        counts = dict(self.counts)
        for value in values:
            place = bin_of(value)
            counts[place] = counts.get(place, 0) + 1
        return Histogram(counts)

    def plus(self, other: "Histogram") -> "Histogram":
        """Both together."""
        counts = dict(self.counts)
        for place, count in other.counts.items():
            counts[place] = counts.get(place, 0) + count
        return Histogram(counts)

    def quantile(self, q: float) -> float | None:
        """The upper edge of the bin in which the empirical quantile lies; None of nothing."""
        needed, below = q * self.total, 0
        for place in sorted(self.counts):
            below += self.counts[place]
            if below >= needed:
                return edge(place + 1)
        return None


def bin_of(value: float) -> int:
    """The bin of a value."""
    if not value > LOWEST:
        return BINS if value != value else 0  # noqa: PLR0124 - NaN
    return min(BINS, floor(log(value / LOWEST) / log(BIN)))


def edge(place: int) -> float:
    """The lower edge of a bin; infinity past the last."""
    return inf if place > BINS else LOWEST * BIN**place


def quantile_prior(q: float, tuned_for: int, alpha: float = 0.05) -> tuple[float, float]:
    """The Beta prior whose interval is narrowest near `tuned_for` values, as `confseq` chooses it.

    r = v / (2 log(1/alpha) + log(1 + 2 log(1/alpha))) with v = q (1 - q) n, less q (1 - q); Beta(r / (1 - q), r / q).
    """
    twice = 2.0 * log(1.0 / alpha)
    spread = q * (1.0 - q)
    r = max(spread * tuned_for / (twice + log(1.0 + twice)) - spread, 1e-3 * spread)
    return r / (1.0 - q), r / q


def quantile_interval(
    values: Histogram, q: float, alpha: float, tuned_for: int = 1_000
) -> tuple[float, float]:
    """Bounds of the `q` quantile that hold at all times with probability 1 - `alpha`; (0, inf) of nothing."""
    places = sorted(values.counts)
    below = list(accumulate(values.counts[place] for place in places))  # up to the end of each bin
    total, threshold, prior = values.total, log(1.0 / alpha), quantile_prior(q, tuned_for)

    def refuted(count: int) -> bool:
        return log_evidence(count, total, q, prior) >= threshold

    # The evidence grows from q * total outwards, so each edge is found by halving: too few at or below the end of a bin put Q
    # above it, too many at or below it.
    middle = bisect_left(below, q * total)
    lows = bisect_left(below, True, 0, middle, key=lambda count: not refuted(count))
    highs = bisect_left(below, True, middle, len(below), key=refuted)
    low = edge(places[lows - 1] + 1) if lows else 0.0
    high = edge(places[highs] + 1) if highs < len(places) else inf
    return low, high
