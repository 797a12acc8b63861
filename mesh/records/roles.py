"""Who may do what. Each role may do all that the one before it may."""

from typing import Final, Literal, get_args

from mesh.errors import Forbidden

Role = Literal["viewer", "analyst", "operator", "admin"]
"""viewer reads; analyst decides on alerts and reviews; operator changes what runs (rules, models, rollouts) and settles
disagreements; admin gives and takes tokens."""

ROLES: Final[tuple[Role, ...]] = get_args(Role)


def includes(role: Role, needed: Role) -> bool:
    """Whether `role` may do what `needed` may."""
    return ROLES.index(role) >= ROLES.index(needed)


def require(actor: str, role: Role, needed: Role) -> None:
    """Raises `Forbidden` where `role` is too small."""
    if not includes(role, needed):
        raise Forbidden(
            f"this needs the role {needed}, and '{actor}' is {role}; an admin can make another token"
        )
