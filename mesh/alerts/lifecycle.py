"""The states of an alert and who may change them. Every store applies this table and no other."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

State = Literal["open", "acknowledged", "resolved"]
Action = Literal["acknowledge", "resolve"]

STATES: Final[tuple[State, ...]] = get_args(State)
MESH: Final = "mesh"
"""The actor of an alert that cleared by itself."""


@dataclass(frozen=True, slots=True)
class Step:
    """The states that an action starts from, and the one that it leads to."""

    begins: tuple[State, ...]
    ends: State


ACTIONS: Final[Mapping[Action, Step]] = {
    "acknowledge": Step(("open",), "acknowledged"),
    "resolve": Step(("open", "acknowledged"), "resolved"),
}
