"""What routing must know of a model beyond its name, and how scores and labels are read from outputs."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from mesh.routing.types import MISSING, Signature, Tensors

LabelKind = Literal["value", "argmax", "threshold"]


@dataclass(frozen=True, slots=True)
class LabelRule:
    """How a row's label is read from one output.

    `value`: the row's first element (BYTES as UTF-8 text). `argmax`: the number of the largest element,
    counted from 0 (a row that holds NaN has no label). `threshold`: 1 where the first element is >=
    `threshold`, else 0. With `names`, the number becomes `names[number]`; a number without a name is no
    label.
    """

    output: str
    kind: LabelKind = "value"
    names: tuple[str, ...] = ()
    threshold: float = 0.5


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """One model, as the rules see it.

    `signature` is None where nobody has said yet. `score` is (output, flat element number) of the number that
    rules read as `score`. `expected_ms` is the time that one call takes, for deadline checks.
    """

    name: str
    signature: Signature | None = None
    has_confidence: bool = False
    score: tuple[str, int] | None = None
    label: LabelRule | None = None
    expected_ms: float | None = None


def scores_of(score: tuple[str, int], outputs: Tensors) -> np.ndarray | None:
    """The score of each row, [n], often a view; None where the outputs hold no such element."""
    output, element = score
    array = outputs.get(output)
    if array is None or array.dtype.kind not in "fiu":
        return None
    flat = array.reshape(len(array), -1)
    return flat[:, element] if element < flat.shape[1] else None


def labels_of(rule: LabelRule, outputs: Tensors) -> np.ndarray | None:
    """The label of each row: float64 [n] with NaN for none, or object [n] with `MISSING` for none.

    None where the outputs hold nothing that the rule could read.
    """
    array = outputs.get(rule.output)
    if array is None or array.size == 0:
        return None
    flat = array.reshape(len(array), -1)
    if rule.kind != "value" and flat.dtype.kind not in "fiu":
        return None
    if rule.kind == "argmax":
        numbers = np.where(np.isnan(flat).any(axis=1), np.nan, flat.argmax(axis=1))
    elif rule.kind == "threshold":
        first = flat[:, 0].astype(np.float64)
        numbers = np.where(np.isnan(first), np.nan, first >= rule.threshold)
    elif flat.dtype.kind == "O":
        return _objects([_text(value) for value in flat[:, 0].tolist()])
    elif flat.dtype.kind == "b" and not rule.names:
        return _objects(flat[:, 0].tolist())
    else:
        numbers = flat[:, 0].astype(np.float64)
    return _named(numbers, rule.names) if rule.names else numbers


def _text(value: object) -> object:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _named(numbers: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    by_number: dict[float, object] = dict(enumerate(names))
    return _objects([by_number.get(number, MISSING) for number in numbers.tolist()])


def _objects(values: list[object]) -> np.ndarray:
    column = np.empty(len(values), object)
    column[:] = values
    return column
