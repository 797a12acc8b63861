"""How far a shadow's outputs are from the primary's, for the same rows."""

from dataclasses import dataclass, field

import numpy as np

from mesh.routing.facts import LabelRule, labels_of
from mesh.routing.types import Tensors


@dataclass(frozen=True, slots=True)
class Comparison:
    """Primary against shadow over `rows` rows.

    `label_disagreements`: rows whose labels differ. `max_abs_difference` and `mean_abs_difference` are over
    `values` pairs of numbers in the floating-point outputs that both have, both 0.0 where there are none.
    `incomparable` counts pairs whose difference is no finite number, and every pair of an output whose shapes
    differ or that only one of them has.
    """

    rows: int
    label_disagreements: int
    max_abs_difference: float
    mean_abs_difference: float
    values: int
    incomparable: int
    disagree: np.ndarray = field(default_factory=lambda: np.zeros(0, np.bool_), compare=False, repr=False)
    """bool [rows]: the rows that `label_disagreements` counts."""


def compare(primary: Tensors, shadow: Tensors, label: LabelRule | None = None) -> Comparison:
    """Compare outputs of the same rows, row by row.

    Labels are read by `label` where it is given and both have that output. Without it, a row disagrees where
    the largest columns of a floating-point output [N, C>1] differ, or anything in an output of another type
    does.
    """
    rows = len(next(iter(primary.values()))) if primary else 0
    disagree = np.zeros(rows, np.bool_)
    worst, total, values, incomparable = 0.0, 0.0, 0, 0
    for name in primary.keys() | shadow.keys():
        mine, theirs = primary.get(name), shadow.get(name)
        if mine is None or theirs is None or mine.shape != theirs.shape:
            incomparable += max(0 if array is None else array.size for array in (mine, theirs))
            continue
        if label is None:
            disagree |= _differ(mine, theirs)
        if mine.dtype.kind == "f" and theirs.dtype.kind == "f":
            apart = _apart(mine, theirs)
            known = np.isfinite(apart)
            incomparable += int(np.count_nonzero(~known))
            apart = apart[known]
            values += apart.size
            total += float(apart.sum())
            worst = max(worst, float(apart.max(initial=0.0)))
    if label is not None:
        disagree = _labels_differ(label, primary, shadow, rows)
    mean = total / values if values else 0.0
    return Comparison(rows, int(np.count_nonzero(disagree)), worst, mean, values, incomparable, disagree)


def _apart(mine: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Distances in float64: 0 for equal values, infinities and two NaN among them; NaN or infinite where there is none."""
    one, other = mine.astype(np.float64), theirs.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        apart = np.abs(one - other)
    apart[(one == other) | (np.isnan(one) & np.isnan(other))] = 0.0
    return apart


def _differ(mine: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Rows whose labels differ, by the looks of one output."""
    one, other = mine.reshape(len(mine), -1), theirs.reshape(len(theirs), -1)
    if one.dtype.kind != "f" or other.dtype.kind != "f":
        return np.asarray((one != other).any(axis=1))
    if one.shape[1] < 2:
        return np.zeros(len(one), np.bool_)
    return np.asarray(one.argmax(axis=1) != other.argmax(axis=1))


def _labels_differ(label: LabelRule, primary: Tensors, shadow: Tensors, rows: int) -> np.ndarray:
    mine, theirs = labels_of(label, primary), labels_of(label, shadow)
    if mine is None or theirs is None:
        return np.zeros(rows, np.bool_)
    # NaN, which equals nothing, is no label; two rows without one agree.
    pairs = zip(mine.tolist(), theirs.tolist(), strict=True)
    return np.array([a != b and not (a != a and b != b) for a, b in pairs], np.bool_)  # noqa: PLR0124
