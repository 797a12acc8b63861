"""How far people agree beyond chance, for nominal labels, any number of people, and gaps. Pure.

Krippendorff's alpha: K. Krippendorff, "Computing Krippendorff's alpha-reliability", 2011 (1 - observed / expected disagreement
over the coincidences of values within units). Gwet's AC1: K. L. Gwet, "Computing inter-rater reliability and its variance in
the presence of high agreement", British Journal of Mathematical and Statistical Psychology 61, 2008; the form for many raters
with gaps as in his "Handbook of inter-rater reliability", 4th ed., 2014. Alpha falls towards 0 where almost all is of one kind,
whatever people do; AC1 does not, so both are told.
"""

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

Units = Sequence[Sequence[Hashable]]
"""One sequence a unit: the labels that its raters gave, without those who gave none."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """`units` with two labels or more; `observed` share of agreeing pairs; None where it cannot be said."""

    units: int
    observed: float | None
    alpha: float | None
    ac1: float | None


def agreement(units: Units) -> Agreement:
    """Both coefficients."""
    paired = [unit for unit in units if len(unit) > 1]
    if not paired:
        return Agreement(0, None, None, None)
    return Agreement(len(paired), _observed(paired), alpha(paired), ac1(units))


def alpha(units: Units) -> float | None:
    """Krippendorff's alpha; None without a unit of two labels, or where every label is the same."""
    paired = [Counter(unit) for unit in units if len(unit) > 1]
    totals: Counter[Hashable] = Counter()
    for counts in paired:
        totals.update(counts)
    n = totals.total()
    apart = n * n - sum(count * count for count in totals.values())
    if not apart:
        return None
    disagreeing = sum(
        (counts.total() ** 2 - sum(count * count for count in counts.values())) / (counts.total() - 1)
        for counts in paired
    )
    return 1 - (n - 1) * disagreeing / apart


def ac1(units: Units) -> float | None:
    """Gwet's AC1; units of one label inform the expected agreement alone. None without a unit of two labels."""
    rated = [Counter(unit) for unit in units if unit]
    paired = [unit for unit in units if len(unit) > 1]
    kinds = {label for counts in rated for label in counts}
    if not paired:
        return None
    if len(kinds) < 2:
        return 1.0
    prevalence = [sum(counts[kind] / counts.total() for counts in rated) / len(rated) for kind in kinds]
    expected = sum(p * (1 - p) for p in prevalence) / (len(kinds) - 1)
    return (_observed(paired) - expected) / (1 - expected)


def _observed(paired: Units) -> float:
    """The share of agreeing pairs, averaged over units."""
    shares = [
        sum(count * (count - 1) for count in Counter(unit).values()) / (len(unit) * (len(unit) - 1))
        for unit in paired
    ]
    return sum(shares) / len(shares)
