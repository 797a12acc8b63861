"""Who may do what. Each role may do all that the one before it may."""

from typing import Final, Literal, get_args

from mesh.errors import MeshError

Role = Literal["viewer", "analyst", "operator", "admin"]
"""viewer reads; analyst decides on alerts and reviews; operator changes what runs (rules, models, rollouts) and settles
disagreements; admin gives and takes tokens."""

ROLES: Final[tuple[Role, ...]] = get_args(Role)


class NoToken(MeshError):
    """Nobody is named, or the token is none of ours; the message says what to do."""


class NotAllowed(MeshError):
    """Whoever asks is known, and their role is too small."""

    def __init__(self, actor: str, role: Role, needed: Role) -> None:
        super().__init__(f"this needs the role {needed}: '{actor}' is {role}; an admin makes another token")
        self.actor, self.role, self.needed = actor, role, needed


class Crossed(MeshError):
    """A page of another site asked through somebody's browser."""


def includes(role: Role, needed: Role) -> bool:
    """Whether `role` may do what `needed` may."""
    return ROLES.index(role) >= ROLES.index(needed)
