"""What a check found."""

from dataclasses import dataclass
from typing import Final, Literal

Level = Literal["ok", "note", "problem"]
LEVELS: Final[tuple[Level, ...]] = ("problem", "note", "ok")
"""Worst first. A note is nothing to worry about, or something that the mesh sees to itself."""


@dataclass(frozen=True, slots=True)
class Finding:
    """`what` was found by `check`, and what to `do` about it: empty where there is nothing to do."""

    check: str
    level: Level
    what: str
    do: str = ""
