"""`when`: the text of a condition, compiled once to a function from columns to a mask.

A comparison is two-valued: where it cannot be made (a missing attribute, null, NaN, different types) it is
false. `!` negates that: `!(tenant == "blue")` holds for a row without `tenant`. Write `has(tenant) && !(...)`
to leave such rows out.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Final

import numpy as np

from mesh.routing.masks import Column, among, compare_columns, compare_fixed, present
from mesh.routing.syntax import parse
from mesh.routing.tree import Among, Both, Compare, Constant, Either, Fixed, Node, Not, folded, names_in

ANSWER_NAMES: Final = frozenset({"confidence", "score", "label", "model"})
"""The names that read the row's answer so far instead of its attributes."""

Lookup = Callable[[str], Column]
Mask = Callable[[int, Lookup], np.ndarray]
Bounds = Callable[[int, Lookup], tuple[np.ndarray, np.ndarray]]


class When:
    """A compiled condition. Equal, and pickled, by its text.

    `reads` are the names that it needs columns for; `reads_answer` says that some are of `ANSWER_NAMES`, and
    `reads_attributes` that some are not. `always` and `never` hold for conditions that no value can change.
    `canonical` is equal for two texts that differ in spaces and spelling of operators only.
    """

    __slots__ = (
        "_bounds",
        "_mask",
        "always",
        "canonical",
        "never",
        "reads",
        "reads_answer",
        "reads_attributes",
        "text",
    )

    def __init__(self, text: str, tree: Node) -> None:
        """Use `compile_when`."""
        self.text = text
        tree = folded(tree)
        self.canonical = repr(tree)
        self._mask = _mask(tree)
        self._bounds = _bounds(tree)
        self.reads = frozenset(names_in(tree))
        self.reads_answer = bool(self.reads & ANSWER_NAMES)
        self.reads_attributes = bool(self.reads - ANSWER_NAMES)
        self.always = tree == Constant(holds=True)
        self.never = tree == Constant(holds=False)

    def mask(self, n: int, lookup: Lookup) -> np.ndarray:
        """The rows for which the condition holds: bool [n], not to be written to."""
        return self._mask(n, lookup)

    def undecided(self, n: int, lookup: Lookup) -> np.ndarray:
        """The rows that attributes alone do not decide: bool [n]. `lookup` is asked for no answer."""
        certain, possible = self._bounds(n, lookup)
        return possible & ~certain

    def __repr__(self) -> str:
        return f"When({self.text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, When) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __reduce__(self) -> tuple[Callable[[str], "When"], tuple[str]]:
        return compile_when, (self.text,)


@lru_cache(maxsize=1024)
def compile_when(text: str) -> When:
    """Compile `text`; `RuleSyntaxError` says where it is wrong and why."""
    return When(text, parse(text))


def _mask(node: Node) -> Mask:
    """The function that evaluates `node`."""
    if isinstance(node, Constant):
        fill = np.ones if node.holds else np.zeros
        return lambda n, _: fill(n, np.bool_)
    if isinstance(node, Not):
        inner = _mask(node.inner)
        return lambda n, lookup: ~inner(n, lookup)
    if isinstance(node, Both | Either):
        return _joined(
            [_mask(part) for part in node.parts], np.logical_and if isinstance(node, Both) else np.logical_or
        )
    if isinstance(node, Compare):
        return _comparison(node)
    name = node.name.text
    if isinstance(node, Among):
        values = node.values
        return lambda n, lookup: among(lookup(name), values, n)
    return lambda n, lookup: present(lookup(name), n)


def _joined(parts: list[Mask], join: np.ufunc) -> Mask:
    first, *others = parts

    def mask(n: int, lookup: Lookup) -> np.ndarray:
        holds = first(n, lookup)
        for part in others:
            holds = join(holds, part(n, lookup))
        return holds

    return mask


def _comparison(node: Compare) -> Mask:
    left, relation = node.left.text, node.relation
    if isinstance(node.right, Fixed):
        value = node.right.value
        return lambda n, lookup: compare_fixed(lookup(left), relation, value, n)
    right = node.right.text
    return lambda n, lookup: compare_columns(lookup(left), relation, lookup(right), n)


def _bounds(node: Node) -> Bounds:
    """Where `node` holds whatever the answer, and where it holds for some answer (Kleene's logic)."""
    names = frozenset(names_in(node))
    if not names & ANSWER_NAMES:
        exact = _mask(node)
        return lambda n, lookup: (holds := exact(n, lookup), holds)
    if isinstance(node, Not):
        inner = _bounds(node.inner)

        def negated(n: int, lookup: Lookup) -> tuple[np.ndarray, np.ndarray]:
            certain, possible = inner(n, lookup)
            return ~possible, ~certain

        return negated
    if isinstance(node, Both | Either):
        return _joined_bounds(
            [_bounds(part) for part in node.parts],
            np.logical_and if isinstance(node, Both) else np.logical_or,
        )
    return lambda n, _: (np.zeros(n, np.bool_), np.ones(n, np.bool_))


def _joined_bounds(parts: list[Bounds], join: np.ufunc) -> Bounds:
    first, *others = parts

    def bounds(n: int, lookup: Lookup) -> tuple[np.ndarray, np.ndarray]:
        certain, possible = first(n, lookup)
        for part in others:
            also_certain, also_possible = part(n, lookup)
            certain, possible = join(certain, also_certain), join(possible, also_possible)
        return certain, possible

    return bounds
