"""Comparisons over columns: one value a row in, one truth a row out.

Types never convert. Numbers compare with numbers, texts with texts, truth values with truth values (and these
two only under `==` and `!=`); anything else, NaN, null and a missing value make a comparison false, also
under `!=`. A column is a numpy array, a sequence of Python values, or None where no row has a value. A number
in the rule is rounded to the column's own precision first, so that a float32 confidence of 0.7 is >= 0.7.
"""

import operator
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final, cast

import numpy as np

from mesh.routing.tree import Relation, Value
from mesh.routing.types import MISSING

Column = np.ndarray | Sequence[object] | None

_OPERATORS: Final = cast(
    "dict[Relation, Callable[[object, object], bool]]",
    {
        "==": operator.eq,
        "!=": operator.ne,
        "<": operator.lt,
        "<=": operator.le,
        ">": operator.gt,
        ">=": operator.ge,
    },
)
_UFUNCS: Final[dict[Relation, np.ufunc]] = {
    "==": np.equal,
    "!=": np.not_equal,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}
_NUMBERS: Final = frozenset(
    {
        int,
        float,
        np.float16,
        np.float32,
        np.float64,
        *(np.dtype(f"{sign}int{b}").type for sign in ("", "u") for b in (8, 16, 32, 64)),
    }
)
_SMALLER_FLOATS: Final = {np.dtype(np.float16), np.dtype(np.float32)}


def compare_fixed(column: Column, relation: Relation, value: Value, n: int) -> np.ndarray:
    """`column relation value`, bool [n]."""
    if column is None:
        return np.zeros(n, np.bool_)
    holds = _OPERATORS[relation]
    if isinstance(column, np.ndarray):
        if column.dtype.kind in "fiu":
            return _compare_array(column, relation, value, n)
        column = column.tolist()
    if type(value) is bool:
        truths: list[object] = [type(cell) is bool and holds(cell, value) for cell in column]
    elif type(value) is str:
        truths = [type(cell) is str and holds(cell, value) for cell in column]
    elif relation == "!=":
        truths = [type(cell) in _NUMBERS and cell == cell and cell != value for cell in column]  # noqa: PLR0124
    else:
        truths = [type(cell) in _NUMBERS and holds(cell, value) for cell in column]
    return np.array(truths, np.bool_)


def _compare_array(column: np.ndarray, relation: Relation, value: Value, n: int) -> np.ndarray:
    if isinstance(value, bool | str):
        return np.zeros(n, np.bool_)
    number = _at_precision(value, column.dtype)
    truths: np.ndarray = _UFUNCS[relation](column, number)
    if relation == "!=":
        truths = truths & (column == column)  # noqa: PLR0124 - false for NaN
    return truths


@lru_cache(maxsize=1024)
def _at_precision(value: int | float, dtype: np.dtype) -> object:
    if dtype not in _SMALLER_FLOATS:
        return value
    with np.errstate(over="ignore"):
        return dtype.type(value)


def compare_columns(left: Column, relation: Relation, right: Column, n: int) -> np.ndarray:
    """`left relation right` row by row, bool [n]."""
    if left is None or right is None:
        return np.zeros(n, np.bool_)
    holds = _OPERATORS[relation]
    for column in (left, right):
        if isinstance(column, np.ndarray) and column.dtype in _SMALLER_FLOATS:
            one, other = _numbers(left, column.dtype), _numbers(right, column.dtype)
            truths: np.ndarray = _UFUNCS[relation](one, other) & ~(np.isnan(one) | np.isnan(other))
            return truths
    pairs = zip(_cells(left), _cells(right), strict=True)
    return np.array([_alike(a, b, relation) and holds(a, b) for a, b in pairs], np.bool_)


def _alike(a: object, b: object, relation: Relation) -> bool:
    """Two values that may be compared."""
    if type(a) in _NUMBERS:
        return type(b) in _NUMBERS and a == a and b == b  # noqa: PLR0124 - NaN
    if type(a) is bool:
        return type(b) is bool and relation in ("==", "!=")
    return type(a) is str and type(b) is str


def _cells(column: np.ndarray | Sequence[object]) -> Sequence[object]:
    return column.tolist() if isinstance(column, np.ndarray) else column


def _numbers(column: np.ndarray | Sequence[object], dtype: np.dtype) -> np.ndarray:
    """The column's numbers in `dtype`, NaN for anything else."""
    if isinstance(column, np.ndarray) and column.dtype.kind in "fiu":
        return column.astype(dtype)
    with np.errstate(over="ignore"):
        return np.array([_number(cell) for cell in _cells(column)], np.float64).astype(dtype)


def _number(cell: object) -> float:
    if type(cell) not in _NUMBERS:
        return float("nan")
    try:
        return float(cell)  # type: ignore[arg-type]
    except OverflowError:  # a whole number past the range of floats
        return float("inf") if cell > 0 else float("-inf")  # type: ignore[operator]


def among(column: Column, values: Sequence[Value], n: int) -> np.ndarray:
    """`column in [values]`, bool [n]: whether a row equals any of them."""
    if column is None:
        return np.zeros(n, np.bool_)
    texts = frozenset(value for value in values if type(value) is str)
    truth_values = frozenset(value for value in values if type(value) is bool)
    numbers = frozenset(value for value in values if not isinstance(value, bool | str))
    if isinstance(column, np.ndarray):
        if column.dtype.kind in "fiu":
            truths = np.zeros(n, np.bool_)
            for number in numbers:
                truths |= column == _at_precision(number, column.dtype)
            return truths
        column = column.tolist()
    by_type = {str: texts, bool: truth_values, **dict.fromkeys(_NUMBERS, numbers)}
    return np.array([type(cell) in by_type and cell in by_type[type(cell)] for cell in column], np.bool_)


def present(column: Column, n: int) -> np.ndarray:
    """`has(column)`, bool [n]: neither missing nor null nor NaN."""
    if column is None:
        return np.zeros(n, np.bool_)
    if isinstance(column, np.ndarray):
        if column.dtype.kind == "f":
            return ~np.isnan(column)
        if column.dtype.kind != "O":
            return np.ones(n, np.bool_)
        column = column.tolist()
    return np.array([_there(cell) for cell in column], np.bool_)


def _there(cell: object) -> bool:
    return cell is not None and cell is not MISSING and not (isinstance(cell, float) and cell != cell)  # noqa: PLR0124
