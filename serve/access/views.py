"""What the API shows of access."""

from dataclasses import dataclass
from typing import Literal

from mesh.records.roles import Role


@dataclass(frozen=True, slots=True)
class ApiError:
    """The body of every error."""

    error: str


@dataclass(frozen=True, slots=True)
class CallerView:
    """Who asks. `by` says how that is known; of `nobody` there is neither name nor role."""

    actor: str | None
    role: Role | None
    by: Literal["token", "local", "nobody"]
