"""How sure is a share or a rate? Intervals of 95 % for small numbers. Pure.

Shares: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22, 1927. Rates: Byar's
approximation of the exact Poisson limits, as in N. E. Breslow, N. E. Day, "Statistical Methods in Cancer Research" II, 1987, 2.3.
"""

import math
from dataclasses import dataclass
from typing import Final

_Z: Final = 1.959964
"""The normal deviate that 2.5 % lie above."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A share or a rate with its interval; NaN where there was nothing to count in."""

    value: float
    low: float
    high: float


NOTHING: Final = Estimate(math.nan, math.nan, math.nan)


def share(hits: int, of: int) -> Estimate:
    """`hits` of `of` independent trials, with Wilson's interval."""
    if not of:
        return NOTHING
    part, weight = hits / of, _Z * _Z / of
    centre = (part + weight / 2) / (1 + weight)
    reach = _Z * math.sqrt(part * (1 - part) / of + weight / (4 * of)) / (1 + weight)
    return Estimate(part, max(0.0, min(part, centre - reach)), min(1.0, max(part, centre + reach)))


def rate(events: int, exposure: float) -> Estimate:
    """`events` in so many units of exposure, as hours, with Byar's interval."""
    if exposure <= 0:
        return NOTHING
    low = 0.0 if not events else events * _byar(events, -_Z) / exposure
    return Estimate(events / exposure, low, (events + 1) * _byar(events + 1, _Z) / exposure)


def _byar(events: int, deviate: float) -> float:
    return max(0.0, 1 - 1 / (9 * events) + deviate / (3 * math.sqrt(events))) ** 3
