"""How a model in a registry is named in a file: `registry:NAME@champion` or `@3`, `models:/NAME@champion` or `models:/NAME/3`.

`models:/` is MLflow's own notation. Pure.
"""

import re
from dataclasses import dataclass
from typing import Final, Literal

Place = Literal["registry", "mlflow"]

_OURS: Final = re.compile(r"registry:([A-Za-z0-9][A-Za-z0-9._-]*)@([A-Za-z0-9_-]+)")
_MLFLOW: Final = re.compile(r"models:/([^/@:]+)(?:@([A-Za-z0-9_-]+)|/([0-9]+))")
_SCHEMES: Final = ("registry:", "models:/")


@dataclass(frozen=True, slots=True)
class Reference:
    """`version` is a number as text, or an alias."""

    place: Place
    name: str
    version: str

    def __str__(self) -> str:
        if self.place == "registry":
            return f"registry:{self.name}@{self.version}"
        return f"models:/{self.name}{'/' if self.version.isdigit() else '@'}{self.version}"


def is_reference(path: str) -> bool:
    """Whether a model's path means a registry; whether it is well-formed is another question."""
    return path.startswith(_SCHEMES)


def parse_reference(path: str) -> Reference:
    """Raises `ValueError` that says what is expected."""
    ours, theirs = _OURS.fullmatch(path), _MLFLOW.fullmatch(path)
    if ours:
        return Reference("registry", ours[1], ours[2])
    if theirs:
        return Reference("mlflow", theirs[1], theirs[2] or theirs[3])
    raise ValueError(
        f"'{path}' names no model of a registry: write registry:NAME@champion, registry:NAME@3, models:/NAME@champion "
        "or models:/NAME/3"
    )
