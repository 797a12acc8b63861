"""The tree of a parsed `when`."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Relation = Literal["==", "!=", "<", "<=", ">", ">="]
Value = bool | int | float | str


@dataclass(frozen=True, slots=True)
class Name:
    """An attribute, or part of the answer so far."""

    text: str


@dataclass(frozen=True, slots=True)
class Fixed:
    """A value that stands in the text."""

    value: Value


@dataclass(frozen=True, slots=True)
class Constant:
    """`always`, `true` or `false`."""

    holds: bool


@dataclass(frozen=True, slots=True)
class Compare:
    """`left relation right`; a literal on the left has been turned to the right."""

    relation: Relation
    left: Name
    right: Name | Fixed


@dataclass(frozen=True, slots=True)
class Among:
    """`name in [...]`."""

    name: Name
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Has:
    """`has(name)`."""

    name: Name


@dataclass(frozen=True, slots=True)
class Not:
    """Plain negation of what the inner condition comes to."""

    inner: "Node"


@dataclass(frozen=True, slots=True)
class Both:
    """`a && b && ...`."""

    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Either:
    """`a || b || ...`."""

    parts: tuple["Node", ...]


Node = Constant | Compare | Among | Has | Not | Both | Either


def folded(node: Node) -> Node:
    """The tree without constants inside it."""
    if isinstance(node, Not):
        inner = folded(node.inner)
        return Constant(not inner.holds) if isinstance(inner, Constant) else Not(inner)
    if isinstance(node, Both | Either):
        decides = isinstance(node, Either)  # the constant that settles it; the other one drops out
        parts = [folded(part) for part in node.parts]
        if any(isinstance(part, Constant) and part.holds is decides for part in parts):
            return Constant(decides)
        left = tuple(part for part in parts if not isinstance(part, Constant))
        if len(left) < 2:
            return left[0] if left else Constant(not decides)
        return type(node)(left)
    return node


def names_in(node: Node) -> Iterator[str]:
    """Every name that the tree reads, with repeats."""
    if isinstance(node, Not):
        yield from names_in(node.inner)
    elif isinstance(node, Both | Either):
        for part in node.parts:
            yield from names_in(part)
    elif isinstance(node, Compare):
        yield node.left.text
        if isinstance(node.right, Name):
            yield node.right.text
    elif isinstance(node, Among | Has):
        yield node.name.text
