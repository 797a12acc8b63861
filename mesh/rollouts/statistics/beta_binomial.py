"""Proportions at any time: a beta-binomial mixture, and the interval that it leaves.

Of n trials, k succeeded. Against the proportion q stands every other, weighed by a Beta(a, b):

    E(q) = B(a + k, b + n - k) / (B(a, b) q^k (1 - q)^(n - k))

an e-process for "the proportion is q" (Robbins 1970; Howard, Ramdas, McAuliffe and Sekhon, "Time-uniform, nonparametric,
nonasymptotic confidence sequences", Annals of Statistics 49, 2021, Proposition 7). The proportions that are not refuted,
{q : E(q) < 1/alpha}, are a confidence sequence: with probability 1 - alpha it holds the truth at all times together.
"""

from math import inf, lgamma, log
from typing import Final

UNIFORM: Final = (1.0, 1.0)
_HALVINGS: Final = 24


def log_evidence(successes: int, trials: int, q: float, prior: tuple[float, float] = UNIFORM) -> float:
    """Log E(q). Raises `ValueError` for counts that cannot be."""
    if not 0 <= successes <= trials:
        raise ValueError(f"{successes} of {trials} trials cannot succeed")
    return log_mixture(successes, trials, prior) - log_likelihood(successes, trials, q)


def proportion_interval(successes: int, trials: int, alpha: float) -> tuple[float, float]:
    """The proportions that are not refuted at `alpha`; (0, 1) before the first trial."""
    return lower_proportion(successes, trials, alpha), upper_proportion(successes, trials, alpha)


def lower_proportion(successes: int, trials: int, alpha: float) -> float:
    """The lower end of `proportion_interval`."""
    return _edge(successes, trials, alpha, 0.0)


def upper_proportion(successes: int, trials: int, alpha: float) -> float:
    """The upper end of `proportion_interval`."""
    return _edge(successes, trials, alpha, 1.0)


def _edge(successes: int, trials: int, alpha: float, outside: float) -> float:
    """The end of the interval on the side of `outside`, by halving; rather too wide than too narrow."""
    if not trials:
        return outside
    # The mixture's part of log E(q) does not depend on q; what is left is compared with it at each halving.
    least = log_mixture(successes, trials, UNIFORM) - log(1.0 / alpha)
    if log_likelihood(successes, trials, outside) > least:
        return outside
    inside = successes / trials
    for _ in range(_HALVINGS):
        middle = (inside + outside) / 2.0
        if log_likelihood(successes, trials, middle) > least:
            inside = middle
        else:
            outside = middle
    return outside


def log_mixture(successes: int, trials: int, prior: tuple[float, float]) -> float:
    """The logarithm of the likelihood, averaged over the prior."""
    a, b = prior
    return _log_beta(a + successes, b + (trials - successes)) - _log_beta(a, b)


def log_likelihood(successes: int, trials: int, q: float) -> float:
    """The logarithm of q^k (1 - q)^(n - k)."""
    failures = trials - successes
    if (q <= 0.0 and successes) or (q >= 1.0 and failures):
        return -inf
    return (successes * log(q) if successes else 0.0) + (failures * log(1.0 - q) if failures else 0.0)


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)
