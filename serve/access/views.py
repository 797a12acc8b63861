"""What the API shows of access."""

from dataclasses import dataclass
from typing import Literal

from mesh.records.roles import Role
from serve.api.errors import ApiError

__all__ = ["ApiError", "By", "CallerView"]

By = Literal["token", "certificate", "local", "nobody"]


@dataclass(frozen=True, slots=True)
class CallerView:
    """Who asks. `by` says how that is known; of `nobody` there is neither name nor role."""

    actor: str | None
    role: Role | None
    by: By
