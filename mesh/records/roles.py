"""Who may do what. Each role may do all that the one before it may."""

from typing import Final, Literal, get_args

from mesh.errors import Forbidden

Role = Literal["viewer", "analyst", "operator", "admin"]
"""viewer reads; analyst decides on alerts and reviews; operator changes what runs (rules, models, rollouts) and settles
disagreements; admin gives and takes tokens."""

ALIASES: Final[dict[str, Role]] = {"infer": "viewer", "read": "viewer", "operate": "operator"}
"""Other words for roles: having rows scored, and reading, is what a viewer may."""

ROLES: Final[tuple[Role, ...]] = get_args(Role)


def role_named(word: str) -> Role | None:
    """The role that a word means; None where it means none."""
    return ALIASES.get(word) or next((role for role in ROLES if role == word), None)


def held(role: Role) -> tuple[Role, ...]:
    """`role` and all that it includes."""
    return ROLES[: ROLES.index(role) + 1]


def includes(role: Role, needed: Role) -> bool:
    """Whether `role` may do what `needed` may."""
    return ROLES.index(role) >= ROLES.index(needed)


def require(actor: str, role: Role, needed: Role) -> None:
    """Raises `Forbidden` where `role` is too small."""
    if not includes(role, needed):
        raise Forbidden(
            f"this needs the role {needed}, and '{actor}' is {role}; an admin can make another token"
        )
