"""How good a prediction of remaining cycles is: RMSE, the PHM08 score, coverage and width of the interval."""

from dataclasses import asdict, dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Quality:
    """What was measured on `assets` predictions; all but `phm08_score` and the shares are in cycles.

    `coverage` is the share of true values in [low, high]; `below` and `above` are the shares under and over it.
    """

    assets: int
    rmse: float
    phm08_score: float
    coverage: float
    below: float
    above: float
    mean_width: float

    def as_dict(self) -> dict[str, float]:
        """For a model card, rounded to four places."""
        return {name: round(value, 4) for name, value in asdict(self).items()}


def measure(true: np.ndarray, rul: np.ndarray, low: np.ndarray, high: np.ndarray) -> Quality:
    """All four arrays are [N] in cycles; `true` as it is, not capped. Raises `ValueError` where N is 0."""
    if not len(true):
        raise ValueError("nothing to measure")
    below, above = float((true < low).mean()), float((true > high).mean())
    return Quality(
        assets=len(true),
        rmse=rmse(true, rul),
        phm08_score=phm08_score(true, rul),
        coverage=1 - below - above,
        below=below,
        above=above,
        mean_width=float((high - low).mean()),
    )


def rmse(true: np.ndarray, rul: np.ndarray) -> float:
    """The root of the mean squared error, in cycles."""
    return float(np.sqrt(np.mean((rul - true) ** 2)))


def phm08_score(true: np.ndarray, rul: np.ndarray) -> float:
    """The sum over assets of exp(-d/13)-1 where d = rul-true is under 0, and exp(d/10)-1 elsewhere.

    Saxena et al., PHM 2008: 0 is perfect, and a late alarm costs more than an early one.
    """
    error = np.asarray(rul, np.float64) - true
    return float(np.expm1(np.where(error < 0, -error / 13, error / 10)).sum())


def flips(first: np.ndarray, second: np.ndarray, threshold: float) -> int:
    """How many of N decisions `value <= threshold` differ between two computations of the same value."""
    return int(((first <= threshold) != (second <= threshold)).sum())
