"""Rates of the whole stream from a sample of known probabilities. Pure.

The Horvitz-Thompson estimate of a total weighs each sampled row by 1/inclusion (D. G. Horvitz, D. J. Thompson, JASA 47, 1952).
A rate is a ratio of two such totals, A/(A+B) (Hájek's estimate; Särndal, Swensson, Wretman, "Model assisted survey sampling",
1992).

Rows that were drawn and not judged are made up for within their stratum, flagged or not, by weighting with drawn/judged (H. L.
Oh, F. J. Scheuren, "Weighting adjustment for unit nonresponse", 1983). That is right as long as *which* audit items get judged
does not depend on their label; they are therefore served in the order of chance, and nobody picks them.

Intervals. Missed faults are few and weigh much, so a normal approximation of the ratio is far too short (it held the truth in 75
of 100 simulated streams). Under Poisson sampling A and B are independent weighted sums of rare events; each has the gamma
interval of M. P. Fay, E. J. Feuer, "Confidence intervals for directly standardized rates", Statistics in Medicine 16, 1997,
which also speaks where nothing was found. The two make that of the ratio by MOVER-R (A. Donner, G. Y. Zou, "Closed-form
confidence intervals for functions of the normal mean and standard deviation", Statistical Methods in Medical Research 21, 2012).
Quantiles of chi-square are those of E. B. Wilson and M. M. Hilferty (PNAS 17, 1931), which err to the safe side here.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from mesh.review.values import Label

Z95: Final = 1.959964
"""The normal deviate that 2.5 % lie above."""


@dataclass(frozen=True, slots=True)
class Audited:
    """A row of the audit: its inclusion probability, whether `model` flagged it, and its label once it has one."""

    inclusion: float
    flagged: bool
    label: Label | None
    model: str = ""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A share with its interval of 95 %; the three are None where no row was judged that counts.

    `rows` judged stand behind it, worth `effective` of equal weight (Kish: (Σw)²/Σw²).
    """

    value: float | None
    low: float | None
    high: float | None
    rows: int
    effective: float


NOTHING: Final = Estimate(None, None, None, 0, 0.0)


@dataclass(frozen=True, slots=True)
class Rates:
    """True and false positive rate, precision and prevalence; `drawn` rows, of which `judged`."""

    tpr: Estimate
    fpr: Estimate
    precision: Estimate
    prevalence: Estimate
    drawn: int
    judged: int


def rates(sample: Iterable[Audited]) -> Rates:
    """What the audit says. Raises `ValueError` for an inclusion outside (0, 1]."""
    rows = list(sample)
    for row in rows:
        if not 0 < row.inclusion <= 1:
            raise ValueError(f"inclusion: {row.inclusion} is not in (0, 1]")
    weighed = _weighed(rows)
    faults = {flagged: _weights(weighed, "anomaly", flagged=flagged) for flagged in (True, False)}
    normal = {flagged: _weights(weighed, "normal", flagged=flagged) for flagged in (True, False)}
    heaviest = {flagged: max([0.0, *faults[flagged], *normal[flagged]]) for flagged in (True, False)}
    both = max(heaviest.values())
    return Rates(
        tpr=_rate(faults[True], faults[False], (heaviest[True], heaviest[False])),
        fpr=_rate(normal[True], normal[False], (heaviest[True], heaviest[False])),
        precision=_rate(faults[True], normal[True], (heaviest[True], heaviest[True])),
        prevalence=_rate([*faults[True], *faults[False]], [*normal[True], *normal[False]], (both, both)),
        drawn=len(rows),
        judged=len(weighed),
    )


def wilson(hits: float, trials: float) -> tuple[float, float]:
    """Wilson's interval of 95 % for a share of `trials` (E. B. Wilson, JASA 22, 1927)."""
    if trials <= 0:
        return 0.0, 1.0
    part, weight = hits / trials, Z95 * Z95 / trials
    centre = (part + weight / 2) / (1 + weight)
    reach = Z95 * math.sqrt(part * (1 - part) / trials + weight / (4 * trials)) / (1 + weight)
    return max(0.0, min(part, centre - reach)), min(1.0, max(part, centre + reach))


def simple_share(hits: int, trials: int) -> Estimate:
    """A share of independent trials of equal weight."""
    if not trials:
        return NOTHING
    low, high = wilson(hits, trials)
    return Estimate(hits / trials, low, high, trials, float(trials))


def _weighed(rows: Sequence[Audited]) -> list[tuple[float, Audited]]:
    drawn = Counter(row.flagged for row in rows)
    judged = Counter(row.flagged for row in rows if row.label is not None)
    return [
        (drawn[row.flagged] / judged[row.flagged] / row.inclusion, row)
        for row in rows
        if row.label is not None
    ]


def _weights(weighed: Sequence[tuple[float, Audited]], label: Label, *, flagged: bool) -> list[float]:
    return [weight for weight, row in weighed if row.label == label and row.flagged == flagged]


@dataclass(frozen=True, slots=True)
class _Total:
    """A weighted count with its interval of 95 %."""

    value: float
    low: float
    high: float


def _total(weights: Sequence[float], heaviest: float) -> _Total:
    """`heaviest` is the most that a row of the stratum weighs, found or not."""
    value, variance = sum(weights), sum(weight * weight for weight in weights)
    low = variance / (2 * value) * _chi_square(-Z95, 2 * value * value / variance) if weights else 0.0
    above, spread = value + heaviest, variance + heaviest * heaviest
    high = spread / (2 * above) * _chi_square(Z95, 2 * above * above / spread) if heaviest else 0.0
    return _Total(value, low, high)


def _chi_square(deviate: float, freedom: float) -> float:
    part = 2 / (9 * freedom)
    return freedom * max(0.0, 1 - part + deviate * math.sqrt(part)) ** 3


def _ratio_high(top: _Total, bottom: _Total) -> float:
    """The upper limit of top/bottom by MOVER-R; infinite where the bottom may be nothing."""
    reach = bottom.low * (2 * bottom.value - bottom.low)
    if reach <= 0:
        return math.inf
    product = top.value * bottom.value
    return (product + math.sqrt(product**2 - top.high * (2 * top.value - top.high) * reach)) / reach


def _rate(hits: Sequence[float], rest: Sequence[float], heaviest: tuple[float, float]) -> Estimate:
    """The share of the weights `hits` in all; `heaviest` as for `_total`, of either."""
    if not hits and not rest:
        return NOTHING
    a, b = _total(hits, heaviest[0]), _total(rest, heaviest[1])
    value = a.value / (a.value + b.value)
    upper = _ratio_high(a, b)
    low, high = 1 / (1 + _ratio_high(b, a)), 1.0 if math.isinf(upper) else upper / (1 + upper)
    every = [*hits, *rest]
    effective = sum(every) ** 2 / sum(weight * weight for weight in every)
    return Estimate(value, min(value, low), max(value, high), len(every), effective)
