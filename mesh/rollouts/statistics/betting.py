"""A bet on the mean of bounded values: the e-process behind paired comparisons.

Whoever believes that the mean is above m stakes a share λ on every value x and holds

    K(λ) = ∏ (1 + λ (x - m))

which nobody expects to grow while the mean of each value, given all before it, is at most m (Waudby-Smith and Ramdas,
"Estimating means of bounded random variables by betting", JRSS-B 86, 2024, §4). Not knowing which λ is best, we
spread the first stake over a fixed grid of them and never move it: the method of mixtures (Robbins 1970), a universal
portfolio (Cover 1991; Orabona and Jun 2024). For values of which there are only a few kinds, the counts of each kind are all
that K depends on: the order does not matter, several processes may count, and a restart loses nothing.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import numpy as np

GRID: Final = 48
"""Shares staked on: evenly apart in their logarithm, over three decades below the largest that cannot go broke."""
_LARGEST: Final = 0.98
"""Of the share at which the worst value loses everything."""


def log_wealth_above(values: Sequence[float], counts: Sequence[int], mean: float) -> float:
    """Log evidence against "the mean is at most `mean`".

    `values` [K] are the kinds of value there are, `counts` [K] how many came of each. Raises `ValueError` where `mean` is
    not strictly inside the range of `values`: nothing can then be learnt, or everything is certain beforehand.
    """
    kinds = np.asarray(values, np.float64)
    if not kinds.min() < mean < kinds.max():
        raise ValueError(f"a mean of {mean:g} is not inside {kinds.min():g} to {kinds.max():g}")
    gains = kinds - mean
    shares = _shares(float(-gains.min()))
    logs = np.log1p(np.outer(shares, gains)) @ np.asarray(counts, np.float64)
    highest = float(logs.max())
    return highest + float(np.log(np.mean(np.exp(logs - highest))))


def log_wealth_below(values: Sequence[float], counts: Sequence[int], mean: float) -> float:
    """Log evidence against "the mean is at least `mean`", as `log_wealth_above`."""
    return log_wealth_above([-value for value in values], counts, -mean)


@lru_cache(maxsize=64)
def _shares(worst_loss: float) -> np.ndarray:
    largest = _LARGEST / worst_loss
    return np.asarray(np.geomspace(largest / 1_000.0, largest, GRID))
