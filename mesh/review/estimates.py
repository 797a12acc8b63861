"""Rates of the whole stream from a sample of known probabilities. Pure.

The Horvitz-Thompson estimate of a total weighs each sampled row by 1/inclusion (D. G. Horvitz, D. J. Thompson, "A
generalization of sampling without replacement from a finite universe", JASA 47, 1952). A rate is the ratio of two such totals
(Hájek's estimate), with the variance of the linearised ratio under Poisson sampling, Σ w² (y - R z)² / (Σ w z)² (Särndal,
Swensson, Wretman, "Model assisted survey sampling", 1992, 5.6-5.7), without a finite-population factor, since it is the rate of
the stream to come that is asked for.

Rows that were drawn and not judged are made up for within their stratum (flagged or not) by weighting with drawn/judged (H. L.
Oh, F. J. Scheuren, "Weighting adjustment for unit nonresponse", 1983), which is right as long as *which* audit items get judged
does not depend on their label; they are therefore served in the order of chance, and nobody picks them.

Intervals are Wilson's with the effective number of trials n = R(1-R)/V, never more than Kish's (Σw)²/Σw² where that variance is
0 (the modified Wilson interval of E. L. Korn, B. I. Graubard, "Confidence intervals for proportions with small expected number
of positive counts estimated from survey data", Survey Methodology 24, 1998, and N. Dean, M. Pagano, JSSAM 3, 2015).
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
    """A row of the audit: its inclusion probability, whether the mesh flagged it, and its label once it has one."""

    inclusion: float
    flagged: bool
    label: Label | None


@dataclass(frozen=True, slots=True)
class Estimate:
    """A share with its interval of 95 %. `rows` judged stand behind it, worth `effective` independent ones.

    The three are None where no row was judged that counts.
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
    return Rates(
        tpr=_share([(w, row.flagged) for w, row in weighed if row.label == "anomaly"]),
        fpr=_share([(w, row.flagged) for w, row in weighed if row.label == "normal"]),
        precision=_share([(w, row.label == "anomaly") for w, row in weighed if row.flagged]),
        prevalence=_share([(w, row.label == "anomaly") for w, row in weighed]),
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


def _share(rows: Sequence[tuple[float, bool]]) -> Estimate:
    """The weighted share of rows that hold, of all in the domain."""
    if not rows:
        return NOTHING
    total = sum(weight for weight, _ in rows)
    squares = sum(weight * weight for weight, _ in rows)
    value = sum(weight for weight, holds in rows if holds) / total
    variance = sum((weight * (holds - value)) ** 2 for weight, holds in rows) / total**2
    kish = total * total / squares
    effective = min(value * (1 - value) / variance, len(rows)) if variance > 0 else kish
    low, high = wilson(value * effective, effective)
    return Estimate(value, low, high, len(rows), effective)
