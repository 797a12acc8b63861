"""What routing says no with. `mesh.spec` turns these into errors that name file and line.

RoutingError
├── RuleSyntaxError   the text of a `when` cannot be read: position, reason
└── MixedOutputs      models whose answers should stand side by side have different outputs
"""


class RoutingError(Exception):
    """Anything the routing room says no with."""


class RuleSyntaxError(RoutingError):
    """The text of a `when` is wrong at `position` (characters from 0); `reason` says how to put it right."""

    def __init__(self, position: int, reason: str) -> None:
        super().__init__(position, reason)
        self.position, self.reason = position, reason

    def __str__(self) -> str:
        return f"at character {self.position + 1}: {self.reason}"


class MixedOutputs(RoutingError):
    """Answers cannot be put together because their outputs differ in name, dtype or shape."""
